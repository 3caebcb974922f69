//! `odograph replay`: a period decoded again, beside what history has.

use super::pairs::{Pair, moment, pair};
use super::{Outcome, table, usage};
use crate::client::Access;
use crate::config::Source;
use crate::exit::{Failure, Status};
use crate::export::Sink;
use crate::folder::Folder;
use crate::history::Place;
use crate::replay::{self, Choice, Counts, Current, KeyTold, Line, ReplayQuery, Told, Total};
use anyhow::{Context as _, Result};
use clap::Args;
use odograph_env::SystemClock;
use odograph_model::Time;
use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;

/// Decode a period again and show what would be otherwise; with --apply, make it so.
///
/// The bytes are those of the table `frames`, and the period is by time of receipt. Records of which the bytes are not kept
/// any more stay as they are.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph replay --from 2026-06-01 --to 2026-06-08\n  \
    odograph replay --from 2026-06-01 --to 2026-07-01 --device 352093081452251 --set zone=+02:00\n  \
    odograph replay --from 2026-06-01 --to 2026-07-01 --settings current --apply\n\n\
    A device that sends again what was replayed is recognised only if its messages are read with the same settings: set\n\
    them in the configuration first, then replay with --settings current. Which settings there are:\n\
    odograph protocols NAME.")]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// What was received not before this moment: `2026-06-01` or `2026-06-01T12:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Time,
    /// What was received before this moment.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Time,
    /// Only this device. May be repeated.
    #[arg(long = "device", value_name = "ID")]
    devices: Vec<String>,
    /// Whose devices.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Decode with the settings that held when the bytes came, or with those that the configuration has now.
    #[arg(long, value_enum, default_value = "recorded")]
    settings: Choice,
    /// A setting that stands above all others, such as a time zone; may be repeated. See `odograph protocols NAME`.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<Pair>,
    /// Put what comes out in the place of what is there, in one commit.
    #[arg(long)]
    apply: bool,
    /// Print one JSON object a line instead of tables.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    if options.from >= options.to {
        return usage(format!("--from {} is not before --to {}", options.from, options.to));
    }
    let set: Vec<_> = options.set.iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect();
    if let Err(error) = replay::checked(&set) {
        return usage(error.to_string());
    }
    let query = ReplayQuery {
        from: options.from.0,
        to: options.to.0,
        devices: options.devices.iter().map(Into::into).collect(),
        tenant: options.tenant.clone(),
        settings: options.settings,
        set,
        apply: options.apply,
    };
    let config = options.source.load()?.config;
    let folder = Folder::of(&config);
    super::export::require_tenant(&config, &folder, &query.tenant)?;
    let mut screen = Screen::new(options.json, out);
    match Access::of(&folder)? {
        Access::Server(server) => {
            let body = serde_json::to_vec(&query)?.into();
            server.stream("POST", "/control/replay", body, |chunk| Ok(screen.write(chunk)?))?;
        }
        Access::Own(_lock) => {
            let Some(reader) = folder.reader(config.journal.node)? else {
                let what = format!("there is no journal in {}: nothing was ever received", folder.path().display());
                return Err(Failure::new(Status::NoInput, what).into());
            };
            let (roster, _) = folder.roster(&config, Some(&reader)).context("cannot read the devices")?;
            let place = Place::new(&config, &folder, reader, Arc::new(SystemClock::new()))?;
            let current = Arc::new(Current::new(&config, &[]).knowing(Arc::new(roster)));
            replay::run(&mut place.own()?, &current, &query, &mut screen)?;
        }
    }
    screen.finish(options.apply)
}

/// Where lines go: as they are, or as tables in the end.
struct Screen<'a> {
    json: bool,
    out: &'a mut dyn Write,
    shows_progress: bool,
    /// The beginning of a line.
    pending: Vec<u8>,
    devices: Vec<Told>,
    /// Devices that do not fit a table that a person reads.
    others: u64,
    last: Option<Line>,
}

impl<'a> Screen<'a> {
    fn new(json: bool, out: &'a mut dyn Write) -> Self {
        let shows_progress = io::stderr().is_terminal();
        Self { json, out, shows_progress, pending: Vec::new(), devices: Vec::new(), others: 0, last: None }
    }

    fn take(&mut self, text: &[u8]) -> Result<()> {
        let line: Line = serde_json::from_slice(text).context("a line of a replay")?;
        match &line {
            Line::Progress { devices, of } => {
                if self.shows_progress {
                    eprint!("\r\x1b[K{devices} of {of} devices");
                }
            }
            Line::Error(_) => self.last = Some(line),
            Line::Device(_) | Line::Total(_) if self.json => {
                self.out.write_all(text)?;
                self.out.write_all(b"\n")?;
                self.last = Some(line);
            }
            Line::Device(told) if self.devices.len() < DEVICES_SHOWN => self.devices.push(told.clone()),
            Line::Device(_) => self.others += 1,
            Line::Total(_) => self.last = Some(line),
        }
        Ok(())
    }

    fn finish(self, apply: bool) -> Result<Outcome> {
        if self.shows_progress {
            eprint!("\r\x1b[K");
        }
        let total = match self.last {
            Some(Line::Total(total)) => total,
            Some(Line::Error(why)) => return Err(Failure::new(Status::Problems, why).into()),
            _ => {
                let cut = "the server's answer was cut short: its log says why";
                return Err(Failure::new(Status::Unavailable, cut).into());
            }
        };
        if !self.json {
            show(&self.devices, self.others, &total, apply, self.out)?;
        }
        Ok(Outcome::Done)
    }
}

impl Sink for Screen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(piece);
            if self.pending.pop_if(|last| *last == b'\n').is_some() {
                let line = std::mem::take(&mut self.pending);
                // As it is, so that an end of whoever reads is known for one.
                self.take(&line).map_err(|error| error.downcast().unwrap_or_else(io::Error::other))?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn is_gone(&self) -> bool {
        false
    }
}

fn show(devices: &[Told], others: u64, total: &Total, apply: bool, out: &mut dyn Write) -> Result<()> {
    if !devices.is_empty() {
        let row = |told: &Told| {
            let Counts { same, changed, new, gone, moved_days, kept } = told.records;
            let numbers = [same, changed, new, gone, moved_days, kept].map(|number| number.to_string());
            [told.id.to_string()].into_iter().chain(numbers).collect()
        };
        let heading = ["DEVICE", "SAME", "CHANGED", "NEW", "GONE", "OTHER DAY", "KEPT"];
        writeln!(out, "{}", table::headed(&heading, devices.iter().map(row).collect()))?;
        let rows: Vec<_> = devices.iter().flat_map(|told| told.keys.iter().map(|key| key_row(told, key))).collect();
        if !rows.is_empty() {
            let heading = ["DEVICE", "PARAMETER", "CHANGED", "APPEARED", "VANISHED", "BEFORE", "NOW"];
            writeln!(out, "{}", table::headed(&heading, rows))?;
        }
    }
    if others > 0 {
        writeln!(out, "and {others} more devices: --json has all of them\n")?;
    }
    for (number, what) in [
        (total.malformed, "frames are malformed and say nothing"),
        (total.unreadable, "frames cannot be read: the state of their conversations is not kept any more"),
        (total.carried, "records were left alone: another device sent them"),
        (total.left_out, "devices were left out with what they sent while they waited: nobody has accepted them since"),
        (total.records.kept, "records stay as they are: their bytes are not kept any more, or cannot be read"),
    ] {
        if number > 0 {
            writeln!(out, "{number} {what}.")?;
        }
    }
    let (differing, of) = (total.records.differing(), total.devices);
    match total.applied {
        Some(versions) => writeln!(
            out,
            "{differing} records of {of} devices were replaced: version {} of the table has the old ones, version {} the new ones.",
            versions.before, versions.after
        )?,
        None if differing == 0 => writeln!(out, "Nothing changes: {} records are as they were.", total.records.same)?,
        None if apply => writeln!(out, "Nothing was replaced.")?,
        None => writeln!(out, "{differing} records of {of} devices would be otherwise: --apply replaces them.")?,
    }
    Ok(())
}

fn key_row(told: &Told, (name, key): (&String, &KeyTold)) -> Vec<String> {
    let example = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let numbers = [key.changed, key.appeared, key.vanished].map(|number| number.to_string());
    let begin = [told.id.to_string(), name.clone()].into_iter();
    begin.chain(numbers).chain([example(&key.before), example(&key.now)]).collect()
}

/// More than a person reads.
const DEVICES_SHOWN: usize = 1000;
