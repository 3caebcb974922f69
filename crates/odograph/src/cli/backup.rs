//! `odograph backup`: copies of the data folder, and what there is of them.

mod told;

use super::pairs::moment;
use super::{Outcome, table};
use crate::backup::{At, BackupQuery, Done, Home};
use crate::client::Access;
use crate::config::Source;
use crate::exit::{Failure, Status};
use crate::folder::Folder;
use anyhow::Result;
use clap::{Args, Subcommand};
use odograph_backup::{Listed, Manifest};
use odograph_env::{Clock, SystemClock, SystemRng};
use odograph_model::Time;
use serde::Serialize;
use std::io::{IsTerminal as _, Write};
use std::sync::Arc;
use told::Told;
pub(super) use told::{show, show_rows};

/// Copy the data folder to another place, also while the server runs; list, check and remove such copies.
///
/// Everything that was acknowledged before the backup's time is in it. What an earlier backup at the same place has is not sent
/// again. `odograph restore` is the way back.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:\n  \
    odograph backup --to /mnt/backup/odograph\n  \
    odograph backup --to s3://fleet-backup/odograph\n  \
    odograph backup list --from /mnt/backup/odograph\n  \
    odograph backup verify --from /mnt/backup/odograph\n  \
    odograph backup prune --from /mnt/backup/odograph --keep 14\n\n\
    The key `backup.to` of the configuration stands for --to and --from. Whoever can read a backup can read all that the data\n\
    folder has, its signing key included.")]
pub(super) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    make: Make,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Verify(Verify),
    Prune(Prune),
}

#[derive(Debug, Args)]
struct Make {
    #[command(flatten)]
    source: Source,
    /// Where to: a folder, or the address of an object store.
    #[arg(long, value_name = "FOLDER|URL")]
    to: Option<String>,
    /// Read every file, also those whose length and time are as they were at the last backup.
    #[arg(long)]
    read_all: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// List the backups at a place, oldest first.
#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    source: Source,
    /// Where they are.
    #[arg(long, value_name = "FOLDER|URL")]
    from: Option<String>,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Read everything that backups consist of, and name what is not as it was written; exit with 1 if there is any.
#[derive(Debug, Args)]
struct Verify {
    #[command(flatten)]
    source: Source,
    /// Where they are.
    #[arg(long, value_name = "FOLDER|URL")]
    from: Option<String>,
    /// Only the newest one of those not after this moment.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Time>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Remove all backups but the newest, and what only they need.
#[derive(Debug, Args)]
struct Prune {
    #[command(flatten)]
    source: Source,
    /// Where they are.
    #[arg(long, value_name = "FOLDER|URL")]
    from: Option<String>,
    /// So many stay.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    match &options.command {
        None => make(&options.make, out),
        Some(Command::List(options)) => list(options, out),
        Some(Command::Verify(options)) => verify(options, out),
        Some(Command::Prune(options)) => prune(options, out),
    }
}

fn make(options: &Make, out: &mut dyn Write) -> Result<Outcome> {
    let loaded = options.source.load()?;
    let config = &loaded.config;
    let to = At::named(options.to.as_deref(), "--to", config)?;
    to.apart_from(Folder::of(config).path())?;
    let bytes_per_second = config.backup.bandwidth.map(|size| size.0);
    let query = BackupQuery { to, bytes_per_second, read_all: options.read_all };
    let mut told = Told::new();
    match Access::of(&Folder::of(config))? {
        Access::Server(server) => {
            let body = serde_json::to_vec(&query)?.into();
            server.stream("POST", "/control/backup", body, |chunk| Ok(told.take(chunk)?))?;
        }
        Access::Own(_lock) => Home::new(&loaded, clock())?.back_up(&query, None, &mut told)?,
    }
    let done = told.finish()?;
    if options.json {
        writeln!(out, "{}", serde_json::to_string(&done)?)?;
    } else {
        tell(&done, out)?;
    }
    Ok(if done.missing.is_empty() { Outcome::Done } else { Outcome::Problems })
}

fn tell(done: &Done, out: &mut dyn Write) -> Result<()> {
    let Done { time, files, bytes, sent, missing, .. } = done;
    for path in missing {
        writeln!(out, "{}: missing, and so it is in the backup", table::visible(path))?;
    }
    writeln!(
        out,
        "Backup of {time}: {files} files, {bytes} bytes, of which {} bytes in {} objects were sent.",
        sent.bytes, sent.objects
    )?;
    Ok(())
}

pub(super) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

#[derive(Serialize)]
struct ListedView<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

fn list(options: &List, out: &mut dyn Write) -> Result<Outcome> {
    let config = options.source.load()?.config;
    let place = At::named(options.from.as_deref(), "--from", &config)?.target(clock())?;
    let all = runtime()?.block_on(place.target.list()).map_err(|error| place.explained(error.into()))?;
    let views: Vec<ListedView<'_>> = all.iter().map(view).collect();
    let is_sound = views.iter().all(|view| view.problem.is_none());
    if options.json {
        for view in &views {
            writeln!(out, "{}", serde_json::to_string(view)?)?;
        }
    } else {
        let text = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
        let row = |view: &ListedView<'_>| {
            let time = view.time.map_or_else(|| view.name.to_owned(), |time| time.to_string());
            let files = text(view.files.map(|files| files as u64));
            vec![time, files, text(view.bytes), text(view.sent_bytes), view.problem.clone().unwrap_or_default()]
        };
        let heading = ["TIME", "FILES", "BYTES", "SENT", "PROBLEM"];
        out.write_all(table::headed(&heading, views.iter().map(row).collect()).as_bytes())?;
    }
    Ok(if is_sound { Outcome::Done } else { Outcome::Problems })
}

fn view(listed: &Listed) -> ListedView<'_> {
    let name = &listed.name;
    let none = ListedView { name, time: None, files: None, bytes: None, sent_bytes: None, problem: None };
    match &listed.manifest {
        Ok(manifest) => ListedView {
            time: Some(manifest.header.time),
            files: Some(manifest.files.len()),
            bytes: Some(manifest.bytes()),
            sent_bytes: Some(manifest.header.sent.bytes),
            ..none
        },
        Err(error) => ListedView { problem: Some(error.to_string()), ..none },
    }
}

#[derive(Serialize)]
struct VerifyView {
    sound: bool,
    backups: usize,
    objects: u64,
    bytes: u64,
    problems: Vec<ProblemView>,
}

#[derive(Serialize)]
struct ProblemView {
    object: String,
    what: String,
    files: Vec<String>,
}

fn verify(options: &Verify, out: &mut dyn Write) -> Result<Outcome> {
    let config = options.source.load()?.config;
    let place = At::named(options.from.as_deref(), "--from", &config)?.target(clock())?;
    let shown = std::io::stderr().is_terminal();
    let mut look = |done: u64, of: u64| {
        if shown {
            eprint!("\r\x1b[K{done} of {of} objects");
        }
    };
    let verified = runtime()?.block_on(async {
        let (manifests, mut problems) = manifests(&place.target, options.at).await?;
        let verified = place.target.verify(&manifests, &mut look).await?;
        problems.extend(verified.damages.iter().map(|damage| ProblemView {
            object: damage.object.clone(),
            what: damage.what.clone(),
            files: damage.files.clone(),
        }));
        Ok::<_, anyhow::Error>((verified, problems))
    });
    if shown {
        eprint!("\r\x1b[K");
    }
    let (verified, problems) = verified.map_err(|error| place.explained(error))?;
    let sound = problems.is_empty();
    let (backups, objects, bytes) = (verified.backups, verified.objects, verified.bytes);
    if options.json {
        let view = VerifyView { sound, backups, objects, bytes, problems };
        writeln!(out, "{}", serde_json::to_string(&view)?)?;
    } else {
        for ProblemView { object, what, files } in &problems {
            let files = if files.is_empty() { String::new() } else { format!(", needed for {}", files.join(", ")) };
            writeln!(out, "{}", table::visible(&format!("{object}: {what}{files}")))?;
        }
        let told = if sound { "all as they were written".to_owned() } else { format!("{} problems", problems.len()) };
        writeln!(out, "{backups} backups, {objects} objects, {bytes} bytes: {told}")?;
    }
    Ok(if sound { Outcome::Done } else { Outcome::Problems })
}

/// Those that are wanted and can be read, and what is wrong with the others.
async fn manifests(target: &odograph_backup::Target, at: Option<Time>) -> Result<(Vec<Manifest>, Vec<ProblemView>)> {
    if at.is_some() {
        return Ok((vec![target.find(at).await?], Vec::new()));
    }
    let (mut sound, mut problems) = (Vec::new(), Vec::new());
    for Listed { name, manifest } in target.list().await? {
        match manifest {
            Ok(manifest) => sound.push(manifest),
            Err(error) => {
                let (object, what) = (format!("manifests/{name}"), error.to_string());
                problems.push(ProblemView { object, what, files: Vec::new() });
            }
        }
    }
    if sound.is_empty() && problems.is_empty() {
        return Err(Failure::new(Status::NoInput, "there is no backup").into());
    }
    Ok((sound, problems))
}

fn prune(options: &Prune, out: &mut dyn Write) -> Result<Outcome> {
    let config = options.source.load()?.config;
    let place = At::named(options.from.as_deref(), "--from", &config)?.target(clock())?;
    let keep = usize::try_from(options.keep).unwrap_or(usize::MAX);
    let pruned = runtime()?.block_on(place.target.prune(keep, &SystemRng));
    let pruned = pruned.map_err(|error| place.explained(error.into()))?;
    if options.json {
        writeln!(out, "{}", serde_json::to_string(&pruned)?)?;
    } else {
        let (gone, objects, bytes) = (pruned.backups, pruned.objects, pruned.bytes);
        writeln!(out, "{gone} backups went, and {objects} objects of {bytes} bytes with them; {} stay.", pruned.kept)?;
    }
    Ok(Outcome::Done)
}
