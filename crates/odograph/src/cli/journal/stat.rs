//! `odograph journal stat`: segments, entries, bytes.

use super::super::{Outcome, table};
use crate::config::Source;
use crate::folder::Folder;
use anyhow::Result;
use clap::Args;
use odograph_journal::{SegmentStat, Stat};
use odograph_model::Time;
use serde::Serialize;
use std::io::Write;

/// Count what is there: per segment and in total.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct View {
    segments: Vec<SegmentView>,
    entries: u64,
    bytes: u64,
    removed: u64,
    missing: Vec<Missing>,
}

/// Places that are lost.
#[derive(Serialize)]
struct Missing {
    begin: u64,
    end: u64,
}

#[derive(Serialize)]
struct SegmentView {
    begin: u64,
    end: u64,
    entries: u64,
    devices: u64,
    bytes: u64,
    first: Option<Time>,
    last: Option<Time>,
    sealed: Option<Time>,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let config = options.source.load()?.config;
    let folder = Folder::of(&config);
    folder.require()?;
    let stat = match folder.reader(config.journal.node)? {
        Some(reader) => reader.stat()?,
        None => Stat::default(),
    };
    let Stat { segments, entries, bytes, removed, holes, cut_short } = stat;
    let cut = cut_short.iter().map(|cut| (cut.begin, cut.end));
    let missing = holes.iter().map(|hole| (hole.begin, hole.end)).chain(cut);
    let missing: Vec<_> = missing.map(|(begin, end)| Missing { begin: begin.0, end: end.0 }).collect();
    let outcome = if missing.is_empty() { Outcome::Done } else { Outcome::Problems };
    let view = View { segments: segments.iter().map(view).collect(), entries, bytes, removed, missing };
    if options.json {
        writeln!(out, "{}", serde_json::to_string(&view)?)?;
        return Ok(outcome);
    }
    let rows = view.segments.iter().map(row).collect();
    let heading = ["BEGIN", "END", "ENTRIES", "DEVICES", "BYTES", "FIRST", "LAST", "SEALED"];
    out.write_all(table::headed(&heading, rows).as_bytes())?;
    let segments = view.segments.len();
    writeln!(out, "\n{segments} segments, {entries} entries, {bytes} bytes; {removed} sealed segments were removed")?;
    for hole in &holes {
        writeln!(out, "LOST: {hole}")?;
    }
    for cut in &cut_short {
        writeln!(out, "LOST: {cut}")?;
    }
    Ok(outcome)
}

fn view(segment: &SegmentStat) -> SegmentView {
    SegmentView {
        begin: segment.base.0,
        end: segment.end.0,
        entries: segment.entries,
        devices: segment.devices,
        bytes: segment.bytes,
        first: segment.times.map(|(first, _)| Time(first)),
        last: segment.times.map(|(_, last)| Time(last)),
        sealed: segment.sealed_at.map(Time),
    }
}

fn row(segment: &SegmentView) -> Vec<String> {
    let time = |time: Option<Time>| time.map_or("-".to_owned(), |time| time.to_string());
    let number = |number: u64| number.to_string();
    vec![
        number(segment.begin),
        number(segment.end),
        number(segment.entries),
        number(segment.devices),
        number(segment.bytes),
        time(segment.first),
        time(segment.last),
        time(segment.sealed),
    ]
}
