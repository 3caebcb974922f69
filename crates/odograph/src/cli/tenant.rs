//! `odograph tenant`: whoever shares nothing with others but this server.

use super::{Outcome, table};
use crate::catalog;
use crate::config::Source;
use anyhow::Result;
use clap::{Args, Subcommand};
use odograph_catalog::{Access, Catalog, NewTenant, Quotas, Tenant, TenantChange};
use odograph_model::Time;
use std::io::Write;

/// Make, list and change tenants, and say how much each may have. Also while the server runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph tenant create north --name \"North Cold Chain\" --devices-max 500\n  \
    odograph tenant list\n  \
    odograph tenant disable north\n\n\
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
    /// Delete a tenant that has no devices any more.
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

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let config = options.source.load()?.config;
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
        Command::Create { id, name, quotas } => {
            let new = NewTenant { id: id.clone(), name: name.clone(), quotas: quotas.quotas() };
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
        Command::Disable { id } | Command::Enable { id } => {
            let disabled = Some(matches!(command, Command::Disable { .. }));
            tenants.update(id, TenantChange { disabled, ..TenantChange::default() }).await?;
            writeln!(out, "{id}: {}", if disabled == Some(true) { "disabled" } else { "enabled" })?;
        }
        Command::Delete { id } => {
            tenants.delete(id).await?;
            writeln!(out, "{id}: deleted")?;
        }
    }
    Ok(())
}

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
