//! `odograph device import`: the fleet of somebody who moves over. What would change is shown first.

use crate::cli::pairs::one_character;
use crate::cli::table::{self, visible};
use crate::cli::token::Tenanted;
use crate::cli::{Outcome, usage};
use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use odograph_catalog::bounds::time_zone_named;
use odograph_catalog::{DeviceFields, DeviceRow, DeviceState, DriverFields, ImportMode, ImportOutcome, ImportReport};
use odograph_movein::{Device, Driver, Format, Found, Hint, Speaks};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    of: Tenanted,
    /// A table saved as CSV, or a dump of a Traccar database as SQL: which it is is found out.
    file: PathBuf,
    /// Do it. Without this, what would change is shown and nothing is changed.
    #[arg(long)]
    apply: bool,
    /// Leave out rows that cannot be taken. Without this, one such row is enough to change nothing.
    #[arg(long)]
    skip_bad: bool,
    /// What kind of file it is.
    #[arg(long, value_enum)]
    format: Option<FormatName>,
    /// What its text is in: `utf-8`, `windows-1251`.
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// What stands between the columns of a table.
    #[arg(long, value_name = "CHARACTER", value_parser = one_character)]
    delimiter: Option<u8>,
    /// Where its times are from, if they do not say: `Europe/Berlin`.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    Csv,
    H2,
    Postgresql,
    Mysql,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let time_zone = options.time_zone.as_deref().map(|name| match jiff::tz::TimeZone::get(name) {
        Ok(zone) => Ok(zone),
        Err(error) => usage(format!("{name:?} is no time zone: {error}")),
    });
    let hint = Hint {
        format: options.format.map(|name| match name {
            FormatName::Csv => Format::Csv,
            FormatName::H2 => Format::H2,
            FormatName::Postgresql => Format::PostgreSql,
            FormatName::Mysql => Format::MySql,
        }),
        encoding: options.encoding.clone(),
        delimiter: options.delimiter,
        time_zone: time_zone.transpose()?,
    };
    let mut found = odograph_movein::read(&options.file, &hint)
        .with_context(|| format!("cannot import {}", options.file.display()))?;
    found.said.extend(odd_time_zones(&found.devices));
    let rows: Vec<DeviceRow> = found.devices.iter().map(row).collect();
    let drivers: Vec<DriverFields> = found.drivers.iter().map(driver).collect();
    let mode = ImportMode { dry_run: !options.apply, skip_bad: options.skip_bad };
    let report = options
        .of
        .with(async |catalog, access| Ok(catalog.within(access).import_devices(&rows, &drivers, mode).await?))?;
    if options.json {
        let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
        writeln!(out, "{}", json!({"said": found.said, "problems": problems, "report": report}))?;
    } else {
        tell(options, &found, &report, out)?;
    }
    let refused = report.failed > 0 && !options.skip_bad;
    Ok(if refused || !found.problems.is_empty() { Outcome::Problems } else { Outcome::Done })
}

/// A device, as the catalog takes it.
fn row(device: &Device) -> DeviceRow {
    let mut attributes: Map<String, Value> =
        device.attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            attributes.entry(name.to_owned()).or_insert(Value::from(value));
        }
    };
    add("model", device.model.clone());
    add("phone", device.phone.clone());
    add("contact", device.contact.clone());
    add("category", device.category.clone());
    add("expires", device.expires_at.map(|at| at.to_string()));
    // One that nobody knows, such as GMT+2, is worth keeping, and no reason to leave the row out.
    let time_zone = device.time_zone.as_deref().and_then(time_zone_named);
    if time_zone.is_none() {
        add("time_zone", device.time_zone.clone());
    }
    let protocol = match &device.protocol {
        Some(Speaks::Ours(name)) => Some((*name).to_owned()),
        Some(Speaks::Foreign(name)) => {
            add("protocol", Some(name.clone()));
            None
        }
        None => None,
    };
    let fields = DeviceFields {
        name: device.name.clone(),
        plate: device.plate.clone(),
        time_zone: time_zone.map(str::to_owned),
        group: device.group.clone().map(Some),
        tags: (!device.tags.is_empty()).then(|| device.tags.clone()),
        protocol,
        notes: device.notes.clone(),
        attributes: (!attributes.is_empty()).then_some(attributes),
        // Where it was switched off, nobody wants its data. What the file says nothing of, people have decided or will.
        state: device.disabled.map(|is_so| if is_so { DeviceState::Rejected } else { DeviceState::Accepted }),
        ..DeviceFields::default()
    };
    DeviceRow { ids: device.ids.clone(), fields }
}

/// A driver, as the catalog takes him: what else the file says of him are remarks.
fn driver(driver: &Driver) -> DriverFields {
    let remark = |(name, value): (&String, &Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name}: {value}")
    };
    DriverFields {
        name: Some(driver.name.clone().unwrap_or_else(|| driver.id.clone())),
        cards: Some(vec![driver.id.clone()]),
        notes: Some(driver.attributes.iter().map(remark).collect::<Vec<_>>().join("\n")),
        ..DriverFields::default()
    }
}

/// What a person should know of time zones that are none.
fn odd_time_zones(devices: &[Device]) -> Option<String> {
    let named = devices.iter().filter_map(|device| device.time_zone.as_deref());
    let mut odd = named.filter(|name| time_zone_named(name).is_none());
    let first = odd.next()?;
    let many = odd.count() + 1;
    Some(format!(
        "{many} with a time zone that is none such as Europe/Berlin, the first is {first}: it becomes the attribute time_zone"
    ))
}

fn tell(options: &Options, found: &Found, report: &ImportReport, out: &mut dyn Write) -> Result<()> {
    for said in &found.said {
        writeln!(out, "{}", visible(said))?;
    }
    for problem in &found.problems {
        eprintln!("problem: {}", visible(&problem.to_string()));
    }
    if found.problems_more > 0 {
        eprintln!("problem: and {} more", found.problems_more);
    }
    let shown = |outcome: &ImportOutcome| match outcome {
        ImportOutcome::Created => Some("new".to_owned()),
        ImportOutcome::Changed { fields } => Some(format!("changes {}", fields.join(", "))),
        ImportOutcome::Same => None,
        ImportOutcome::Failed { reason } => Some(format!("cannot be taken: {reason}")),
    };
    let devices = report.rows.iter().filter_map(|row| Some(vec![row.id.clone(), shown(&row.outcome)?]));
    let drivers = report.drivers.iter();
    let drivers = drivers.filter_map(|row| Some(vec![format!("driver {}", row.id), shown(&row.outcome)?]));
    let mut lines: Vec<Vec<String>> = devices.chain(drivers).collect();
    let told = lines.len();
    lines.truncate(ROWS_SHOWN);
    if !lines.is_empty() {
        out.write_all(table::headed(&["DEVICE", "WHAT"], lines).as_bytes())?;
    }
    let ImportReport { written, created, changed, same, failed, groups_created, .. } = report;
    if told > ROWS_SHOWN {
        writeln!(out, "… and {} more", told - ROWS_SHOWN)?;
    }
    if !groups_created.is_empty() {
        writeln!(out, "new groups: {}", visible(&groups_created.join(", ")))?;
    }
    if !report.drivers.is_empty() {
        let many = |outcome: &ImportOutcome| report.drivers.iter().filter(|row| row.outcome == *outcome).count();
        let (new, known) = (many(&ImportOutcome::Created), many(&ImportOutcome::Same));
        writeln!(out, "drivers: {new} new, {known} that are here already")?;
    }
    let counts = format!("{created} new, {changed} changed, {same} as they are already, {failed} that cannot be taken");
    let what = match (options.apply, *written) {
        (true, true) => "done",
        (true, false) if *failed > 0 => "nothing was changed: mend the file, or leave such rows out with --skip-bad",
        (true, false) => "nothing had to be changed",
        (false, _) => "nothing was changed: --apply does it",
    };
    writeln!(out, "{counts}: {what}")?;
    Ok(())
}

/// So many rows are shown one by one; --json has all of them.
const ROWS_SHOWN: usize = 50;
