//! `odograph journal verify`: whether every byte is as it was written and sealed.

use super::super::{
    Outcome,
    table::{visible, visible_json},
};
use super::proven::{Proven, compare};
use crate::client;
use crate::config::{Config, Source};
use crate::exit::{Failure, Status};
use crate::folder::Folder;
use crate::history::{self, FRAMES};
use anyhow::Result;
use clap::Args;
use odograph_env::{Clock as _, Disk, LocalDisk, SystemClock};
use odograph_journal::{Begin, CursorStore, Erasure, Problem, Progress, PublicKey, Reader, Report};
use odograph_lake::{CheckedFiles, DamagedFile, Lake};
use odograph_model::Time;
use odograph_wire::notation::{from_hex, to_hex};
use serde::Serialize;
use std::io::{IsTerminal as _, Write};
use std::sync::Arc;

/// Check every entry, hash, index and signature; exit with 1 if anything is not as it was written.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// Check signatures with this public key (64 hex digits) instead of those that the folder names. May be repeated, for a
    /// journal that had several.
    #[arg(long = "key", value_name = "HEX", value_parser = key)]
    keys: Vec<PublicKey>,
    /// Also look at history: whether every file of every tenant's tables is as it was written; and put together again what
    /// history has of sealed segments, removed ones too, and compare it with what was signed.
    #[arg(long)]
    history: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Options {
    /// Of the journal alone.
    pub(super) const fn of(source: Source, json: bool) -> Self {
        Self { source, keys: Vec::new(), history: false, json }
    }
}

fn key(text: &str) -> Result<PublicKey, String> {
    let bytes = from_hex(text).map_err(|error| error.to_string())?;
    bytes.try_into().map_err(|_| "a public key has 64 hex digits".to_owned())
}

#[derive(Serialize)]
struct View {
    sound: bool,
    sealed: u64,
    unsealed: u64,
    removed: u64,
    provable: u64,
    entries: u64,
    bytes: u64,
    /// Entries that were erased by order, among those.
    #[serde(skip_serializing_if = "is_zero")]
    erased: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    erasures: Vec<ErasureView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<HistoryView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history_files: Option<FilesView>,
    problems: Vec<ProblemView>,
    /// Where the chain of seals goes on with another key, or after a loss.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    begins: Vec<BeginView>,
    /// Files that are none of the journal's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    strange: Vec<String>,
}

#[derive(Serialize)]
struct ErasureView {
    order: u64,
    at: Time,
    /// Nothing: it is under way.
    done: Option<Time>,
    entries: u64,
    bytes: u64,
    segments: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Serialize)]
struct BeginView {
    record: u64,
    time: Time,
    other_key: bool,
    seals_lost: bool,
    /// It goes on from a copy that ends at the first place, and from the second one on.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<[u64; 2]>,
    public_key: String,
}

#[derive(Serialize)]
struct HistoryView {
    segments: u64,
    devices: u64,
    #[serde(skip_serializing_if = "is_zero")]
    erased: u64,
    passed_over: u64,
    wrong: Vec<WrongView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<UnreadView>,
}

#[derive(Serialize)]
struct FilesView {
    sound: u64,
    /// Written without a checksum.
    unchecked: u64,
    damaged: Vec<DamagedView>,
}

#[derive(Serialize)]
struct DamagedView {
    tenant: String,
    table: &'static str,
    file: String,
    why: String,
}

#[derive(Serialize)]
struct UnreadView {
    segment: u64,
    file: String,
    why: String,
}

#[derive(Serialize)]
struct WrongView {
    segment: u64,
    device: String,
}

#[derive(Serialize)]
struct ProblemView {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    what: String,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let config = options.source.load()?.config;
    let folder = Folder::of(&config);
    folder.require()?;
    let Some(reader) = folder.reader(config.journal.node)? else {
        let what = format!("there is no journal in {}", folder.journal(config.journal.node).display());
        return Err(Failure::new(Status::NoInput, what).into());
    };
    // What a running server calls durable must be readable; without one, nobody knows how far writing came. A server that
    // does not answer, or is just ending, is no reason not to look.
    let durable = client::durable(&folder).unwrap_or_else(|error| {
        eprintln!("warning: a server runs and does not say how far it has come: {error:#}");
        None
    });
    let shown = std::io::stderr().is_terminal();
    let mut progress = |progress: Progress| {
        if shown {
            let Progress { done, total } = progress;
            eprint!("\r\x1b[K{done} of {total} bytes");
        }
    };
    let report = reader.verify(&options.keys, durable, &mut progress)?;
    if shown {
        eprint!("\r\x1b[K");
    }
    let proven = options.history.then(|| history(options, &config, &folder, &reader)).transpose();
    let files = options.history.then(|| files(&config, &folder)).transpose();
    // What the journal is must not be kept back for what history is not.
    let (proven, failed) = proven.map_or_else(|error| (None, Some(error)), |proven| (proven, None));
    let (files, unread) = files.map_or_else(|error| (None, Some(error)), |files| (files, None));
    let outcome = tell(report, proven, files, options.json, out)?;
    failed.or(unread).map_or(Ok(outcome), Err)
}

fn files(config: &Config, folder: &Folder) -> Result<CheckedFiles> {
    Ok(Lake::check_files(&history::lake(config, folder)?)?)
}

fn tell(
    report: Report,
    proven: Option<Proven>,
    files: Option<CheckedFiles>,
    json: bool,
    out: &mut dyn Write,
) -> Result<Outcome> {
    let Report { sealed, unsealed, removed, provable, entries, bytes, erased, erasures, problems, begins, strange } =
        report;
    let erasures: Vec<ErasureView> = erasures.iter().map(erasure).collect();
    let wrong = proven.as_ref().map_or(0, |proven| proven.wrong.len() + proven.unread.len());
    let partly = proven.as_ref().is_some_and(|proven| proven.passed_over > 0);
    let wrong = wrong + files.as_ref().map_or(0, |files| files.damaged.len());
    let sound = problems.is_empty() && wrong == 0;
    let begins: Vec<BeginView> = begins.iter().map(begin).collect();
    let strange: Vec<String> = strange.iter().map(|path| path.display().to_string()).collect();
    if json {
        let problems = problems.iter().map(view).collect();
        let (history, history_files) = (proven.map(history_view), files.map(files_view));
        let view = View {
            sound,
            sealed,
            unsealed,
            removed,
            provable,
            entries,
            bytes,
            erased,
            erasures,
            history,
            history_files,
            problems,
            begins,
            strange,
        };
        writeln!(out, "{}", visible_json(&serde_json::to_string(&view)?))?;
    } else {
        for problem in &problems {
            writeln!(out, "{}", visible(&problem.to_string()))?;
        }
        tell_notes(begins, erasures, out)?;
        for path in strange {
            writeln!(out, "note: {}: not a file of the journal", visible(&path))?;
        }
        if let Some(proven) = &proven {
            tell_history(proven, out)?;
        }
        if let Some(files) = &files {
            tell_files(files, out)?;
        }
        writeln!(
            out,
            "{entries} entries{} in {bytes} bytes, {sealed} sealed segments, {unsealed} without a seal, {removed} removed: {}",
            if erased > 0 { format!(" ({erased} of them erased by order)") } else { String::new() },
            match (sound, partly) {
                (true, false) => "all as they were written".to_owned(),
                (true, true) => "all that was looked at is as it was written".to_owned(),
                (false, _) => format!("{} problems", problems.len() + wrong),
            }
        )?;
    }
    Ok(if sound { Outcome::Done } else { Outcome::Problems })
}

/// What is no problem, and worth knowing.
fn tell_notes(begins: Vec<BeginView>, erasures: Vec<ErasureView>, out: &mut dyn Write) -> Result<()> {
    for BeginView { record, time, other_key, seals_lost, left_out, public_key } in begins {
        let what = match (seals_lost, other_key, left_out) {
            (true, false, _) => "seals before it were lost",
            (true, true, _) => "seals before it and the signing key were lost",
            (false, false, Some(_)) => "the journal goes on from a copy of it",
            (false, ..) => "the signing key before it was lost or exchanged",
        };
        if let Some([end, next]) = left_out {
            writeln!(out, "note: places {end} to {next} were left out: what was copied may have used them")?;
        }
        writeln!(out, "note: record {record} of the chain, {time}: {what}; signed with {public_key} from here on")?;
    }
    for ErasureView { order, at, done, entries, bytes, segments } in erasures {
        let state = if done.is_some() { "done" } else { "under way: a running server goes on with it" };
        writeln!(
            out,
            "note: order {order} of {at}: {entries} entries, {bytes} bytes, of {segments} segments erased; {state}"
        )?;
    }
    Ok(())
}

fn tell_history(proven: &Proven, out: &mut dyn Write) -> Result<()> {
    for (segment, device) in &proven.wrong {
        writeln!(out, "segment {segment}, device {device:?}: history has not what was sealed")?;
    }
    for (segment, file, why) in &proven.unread {
        let (file, why) = (visible(file), visible(why));
        writeln!(out, "segment {segment}: {file}: history cannot be read there: {why}")?;
    }
    let Proven { segments, devices, erased, passed_over, .. } = proven;
    if *erased > 0 {
        writeln!(out, "of {erased} devices in these segments something was erased: their leaves were left alone")?;
    }
    writeln!(
        out,
        "history has what was sealed of {segments} segments, {devices} devices; {passed_over} segments were not looked at"
    )?;
    Ok(())
}

fn tell_files(files: &CheckedFiles, out: &mut dyn Write) -> Result<()> {
    let CheckedFiles { sound, unchecked, damaged } = files;
    for DamagedFile { tenant, table, file, why } in damaged {
        writeln!(out, "history of {tenant:?}, table {table}: {}: {}", visible(file), visible(why))?;
    }
    let before = match unchecked {
        0 => String::new(),
        unchecked => format!("; {unchecked} were written without a checksum, and only their length is known"),
    };
    writeln!(out, "{sound} files of history are as they were written, {} are not{before}", damaged.len())?;
    Ok(())
}

fn history(options: &Options, config: &Config, folder: &Folder, reader: &Reader) -> Result<Proven> {
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let cursors = CursorStore::open(disk.clone(), &folder.journal(config.journal.node))?;
    let until = cursors.cursor(FRAMES).unwrap_or_default();
    let lake = Lake::of_frames(&history::lake(config, folder)?)?;
    let key = match options.keys.first().copied() {
        Some(key) => key,
        None => reader.public_key()?,
    };
    // The first day that is still kept begins up to a day after this.
    let first = |days: usize| i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY_MS).saturating_sub(DAY_MS);
    let kept = config.lake.keep_frames_days.map(|days| Time(SystemClock::new().now()).plus_ms(-first(days)));
    compare(reader, &lake, &key, until, kept)
}

fn history_view(proven: Proven) -> HistoryView {
    let Proven { segments, devices, erased, passed_over, wrong, unread } = proven;
    let wrong = wrong.into_iter().map(|(segment, device)| WrongView { segment: segment.0, device });
    let unread = unread.into_iter().map(|(segment, file, why)| UnreadView { segment: segment.0, file, why });
    HistoryView { segments, devices, erased, passed_over, wrong: wrong.collect(), unread: unread.collect() }
}

fn files_view(files: CheckedFiles) -> FilesView {
    let CheckedFiles { sound, unchecked, damaged } = files;
    let damaged =
        damaged.into_iter().map(|DamagedFile { tenant, table, file, why }| DamagedView { tenant, table, file, why });
    FilesView { sound, unchecked, damaged: damaged.collect() }
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn erasure(order: &Erasure) -> ErasureView {
    let Erasure { order, at, done, entries, bytes, segments, .. } = order;
    let (order, entries, bytes, segments) = (*order, *entries, *bytes, *segments);
    ErasureView { order, at: Time(*at), done: done.map(Time), entries, bytes, segments }
}

fn begin((record, begin): &(u64, Begin)) -> BeginView {
    let Begin { other_key, seals_lost, public_key, .. } = begin;
    let (time, public_key) = (Time(begin.at), to_hex(public_key));
    let left_out = begin.left_out.map(|left| [left.begin.0, left.end.0]);
    BeginView { record: *record, time, other_key: *other_key, seals_lost: *seals_lost, left_out, public_key }
}

fn view(problem: &Problem) -> ProblemView {
    ProblemView {
        file: problem.path.display().to_string(),
        offset: problem.offset,
        place: problem.lsn.map(|lsn| lsn.0),
        kind: problem.kind.map(|kind| kind.to_string()),
        device: problem.device.clone(),
        what: problem.flaw.to_string(),
    }
}
