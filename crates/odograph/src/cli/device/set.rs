//! `odograph device set`: what people say of a device.

use crate::cli::Outcome;
use crate::cli::table::{visible, visible_json};
use crate::cli::token::Tenanted;
use anyhow::Result;
use clap::Args;
use odograph_catalog::{Device, DeviceFields};
use std::io::Write;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    of: Tenanted,
    /// The device's id, or one of its other names.
    id: String,
    #[command(flatten)]
    to: To,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// What it becomes. What is not named stays.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct To {
    /// Its name; '' takes it away.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The number plate; '' takes it away.
    #[arg(long, value_name = "PLATE")]
    plate: Option<String>,
    /// The time zone by whose clocks its days are read, as the IANA names it: `Europe/Riga`; '' takes it away.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let Options { of, id, to: To { name, plate, time_zone }, json } = options;
    let (name, plate, time_zone) = (name.clone(), plate.clone(), time_zone.clone());
    let fields = DeviceFields { name, plate, time_zone, ..DeviceFields::default() };
    let device = of.with(async |catalog, access| Ok(catalog.within(access).update_device(id, fields).await?))?;
    if *json {
        writeln!(out, "{}", visible_json(&serde_json::to_string(&device)?))?;
    } else {
        writeln!(out, "{}", told(&device))?;
    }
    Ok(Outcome::Done)
}

/// A device in a line.
fn told(device: &Device) -> String {
    let Device { id, name, plate, time_zone, .. } = device;
    let said = [("name", name), ("plate", plate), ("time zone", time_zone)];
    let said =
        said.map(|(what, value)| format!("{what} {}", if value.is_empty() { "–".into() } else { visible(value) }));
    format!("{}: {}", visible(id), said.join(", "))
}
