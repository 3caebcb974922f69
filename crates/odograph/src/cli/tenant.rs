//! `odograph tenant`: whoever shares nothing with others but this server.

use super::{Outcome, table};
use crate::catalog;
use crate::config::Source;
use crate::erase::Of;
use crate::exit::{Failure, Status};
use anyhow::Result;
use clap::{Args, Subcommand};
use odograph_catalog::{Access, Catalog, NewTenant, Quotas, Tenant, TenantChange, Tenants, UsageDay};
use odograph_env::{Clock as _, SystemClock};
use odograph_model::Time;
use std::io::Write;

/// Make, list and change tenants, and say how much each may have. Also while the server runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph tenant create north --name \"North Cold Chain\" --devices-max 500\n  \
    odograph tenant list\n  \
    odograph tenant usage north --from 2026-11-01 --to 2026-12-01 --csv\n  \
    odograph tenant disable north\n  \
    odograph tenant erase north                   shows what there is; --yes erases it\n\n\
    A tenant has users, tokens, devices and tables of its own. The tenant `default` is there from the beginning.")]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a tenant.
    Create {
        /// Its id, which its folders are named after.
        id: String,
        /// Its name; the id, without one.
        #[arg(long, default_value = "")]
        name: String,
        #[command(flatten)]
        quotas: QuotaOptions,
        /// It has what was sent to a tenant of this id that was deleted. Without this, it is not made where there is some.
        #[arg(long)]
        adopt: bool,
    },
    /// List tenants.
    List {
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Say how much a tenant may have: what is not given is without a limit.
    Quota {
        /// Its id.
        id: String,
        #[command(flatten)]
        quotas: QuotaOptions,
    },
    /// Show what tenants used, day by day (UTC): messages, records, bytes, devices, and how much was stored.
    Usage(UsageOptions),
    /// Keep a tenant's users and programs out. Its devices are served as before.
    Disable {
        /// Its id.
        id: String,
    },
    /// Let them in again.
    Enable {
        /// Its id.
        id: String,
    },
    /// Erase a tenant with all that its devices sent. Without --yes, only says what there is.
    Erase {
        /// Its id.
        id: String,
        /// Do it. Nothing brings it back but an older backup.
        #[arg(long)]
        yes: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Delete a tenant that is disabled and has no devices any more, with its users, tokens and drivers. What its devices sent stays.
    Delete {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Args)]
struct QuotaOptions {
    /// So many devices.
    #[arg(long, value_name = "COUNT")]
    devices_max: Option<i64>,
    /// So many messages of its devices in a day.
    #[arg(long, value_name = "COUNT")]
    messages_per_day_max: Option<i64>,
    /// So many bytes of history.
    #[arg(long, value_name = "BYTES")]
    storage_bytes_max: Option<i64>,
}

impl QuotaOptions {
    const fn quotas(&self) -> Quotas {
        let Self { devices_max, messages_per_day_max, storage_bytes_max } = *self;
        Quotas { devices_max, messages_per_day_max, storage_bytes_max }
    }
}

#[derive(Debug, Args)]
struct UsageOptions {
    /// Its id; all tenants, without one.
    id: Option<String>,
    /// The first day, as 2026-11-01; the first of this month, if it is not given.
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The day behind the last one; tomorrow, if it is not given.
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// Print a JSON object a line instead of a table.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV instead of a table.
    #[arg(long)]
    csv: bool,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let config = options.source.load()?.config;
    if let Command::Erase { id, yes, json } = &options.command {
        let of = Of { tenant: id.into(), device: None };
        return super::device::erase::carry_out(&config, &of, *yes, *json, out);
    }
    catalog::with(&config, async |catalog| {
        catalog.ensure_tenant("default").await?;
        carry_out(&options.command, catalog, out).await
    })?;
    Ok(Outcome::Done)
}

async fn carry_out(command: &Command, catalog: &Catalog, out: &mut dyn Write) -> Result<()> {
    let access = Access::owner("default");
    let tenants = catalog.tenants(&access);
    match command {
        Command::Create { id, name, quotas, adopt } => {
            let new = NewTenant { id: id.clone(), name: name.clone(), quotas: quotas.quotas(), adopt: *adopt };
            let tenant = tenants.create(new).await?;
            writeln!(
                out,
                "{}: made. `odograph user create LOGIN --tenant {0} --role owner` makes its first user",
                tenant.id
            )?;
        }
        Command::List { json: true } => writeln!(out, "{}", serde_json::to_string(&tenants.list().await?)?)?,
        Command::List { json: false } => {
            let title = ["ID", "NAME", "SINCE", "DEVICES", "MESSAGES A DAY", "STORAGE", "STATE"];
            out.write_all(table::headed(&title, tenants.list().await?.iter().map(row).collect()).as_bytes())?;
        }
        Command::Quota { id, quotas } => {
            let change = TenantChange { quotas: Some(quotas.quotas()), ..TenantChange::default() };
            tenants.update(id, change).await?;
            writeln!(out, "{id}: changed")?;
        }
        Command::Usage(options) => usage(&tenants, options, out).await?,
        Command::Disable { id } | Command::Enable { id } => {
            let disabled = Some(matches!(command, Command::Disable { .. }));
            tenants.update(id, TenantChange { disabled, ..TenantChange::default() }).await?;
            writeln!(out, "{id}: {}", if disabled == Some(true) { "disabled" } else { "enabled" })?;
        }
        // It goes through the server, before this.
        Command::Erase { .. } => {}
        Command::Delete { id } => {
            tenants.delete(id).await?;
            writeln!(out, "{id}: deleted")?;
        }
    }
    Ok(())
}

async fn usage(tenants: &Tenants<'_>, options: &UsageOptions, out: &mut dyn Write) -> Result<()> {
    let today = SystemClock::new().now().div_euclid(DAY_MS);
    let from = match options.from.as_deref() {
        Some(day) => day_of(day)?,
        None => day_of(&format!("{}01", date(today).get(..8).unwrap_or_default()))?,
    };
    let to = options.to.as_deref().map_or(Ok(today + 1), day_of)?;
    let ids = match &options.id {
        Some(id) => vec![id.clone()],
        None => tenants.list().await?.into_iter().map(|tenant| tenant.id).collect(),
    };
    let mut rows = Vec::new();
    for id in ids {
        let (days, _) = tenants.usage_of(&id, from, to).await?;
        rows.extend(days.into_iter().map(|day| (id.clone(), day)));
    }
    if options.json {
        for (tenant, day) in rows {
            let mut line = serde_json::json!({"tenant": tenant, "day": date(day.day)});
            if let (Some(line), serde_json::Value::Object(used)) = (line.as_object_mut(), serde_json::to_value(&day)?) {
                line.extend(used);
            }
            writeln!(out, "{line}")?;
        }
        return Ok(());
    }
    let cells = |(tenant, day): &(String, UsageDay)| {
        let numbers = [day.messages, day.records, day.bytes_in, day.bytes_out, day.devices].map(|it| it.to_string());
        let stored = day.storage_bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
        [tenant.clone(), date(day.day)].into_iter().chain(numbers).chain([stored]).collect::<Vec<_>>()
    };
    if options.csv {
        writeln!(out, "tenant,day,messages,records,bytes_in,bytes_out,devices,storage_bytes")?;
        for row in &rows {
            let mut cells = cells(row);
            cells[0] = quoted(&cells[0]);
            writeln!(out, "{}", cells.join(","))?;
        }
        return Ok(());
    }
    let title = ["TENANT", "DAY", "MESSAGES", "RECORDS", "BYTES IN", "BYTES OUT", "DEVICES", "STORED"];
    Ok(out.write_all(table::headed(&title, rows.iter().map(cells).collect()).as_bytes())?)
}

/// As a cell of CSV.
fn quoted(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn day_of(text: &str) -> Result<i64> {
    let moment = Time::parse(&format!("{text}T00:00:00Z"));
    let no_day = || Failure::new(Status::Usage, format!("{text} is no day: write it as 2026-11-01"));
    Ok(moment.ok_or_else(no_day)?.0.div_euclid(DAY_MS))
}

fn date(day: i64) -> String {
    Time(day * DAY_MS).to_string().chars().take(10).collect()
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn row(tenant: &Tenant) -> Vec<String> {
    let amount = |amount: Option<i64>| amount.map_or_else(|| "any".to_owned(), |amount| amount.to_string());
    let Quotas { devices_max, messages_per_day_max, storage_bytes_max } = tenant.quotas;
    vec![
        tenant.id.clone(),
        tenant.name.clone(),
        Time(tenant.created).to_string(),
        amount(devices_max),
        amount(messages_per_day_max),
        amount(storage_bytes_max),
        if tenant.disabled.is_some() { "disabled" } else { "active" }.to_owned(),
    ]
}
