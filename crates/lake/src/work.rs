//! What is done to a table aside from the thread that fills it: one piece of work at a time for each table, few at once.

use crate::buffer::Waits;
use crate::columnwise::{self, Encoded, Made, Part};
use crate::compaction;
use crate::files::{self, File, day_name};
use crate::maintenance::{Grace, Step};
use crate::query;
use crate::rows::day_of;
use crate::shape::Shape;
use crate::table::{Change, Table};
use crate::tables::Common;
use crate::tenant::{Came, Shelf, application, grown};
use crate::underway::{self, Underway};
use crate::{Error, columns, storage};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use deltalake::kernel::Add;
use deltalake::protocol::{DeltaOperation, SaveMode};
use odograph_model::{Lsn, Time};
use std::sync::Arc;

/// A piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// Makes files of what is on its way, of these streams.
    Flush(Vec<usize>),
    /// One step of maintenance, with the first day that is kept; `None`: everything is.
    Care(Option<i32>, Grace),
}

/// How it went.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Streams whose rows are in files, with the place that was reached in the journal.
    pub(crate) flushed: Vec<(usize, Lsn)>,
    /// Commits that were made.
    pub(crate) commits: usize,
    /// Whether there is more of the same.
    pub(crate) more: bool,
    /// Why it ended early.
    pub(crate) error: Option<Error>,
}

/// Does it.
pub(crate) async fn run<B: Waits>(shelf: &Shelf<B>, table: &mut Table, work: Work, common: &Common, now: Time) -> Done {
    let mut done = Done::default();
    match work {
        Work::Flush(streams) => {
            for stream in streams {
                match flush(shelf, table, stream, common.node, now).await {
                    Ok(Some(until)) => {
                        done.flushed.push((stream, until));
                        done.commits += 1;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        done.error = Some(error);
                        return done;
                    }
                }
            }
            // Rows are safe by now: what fails here is tried again after the next flush.
            match tidy_up(shelf, table, common.checkpoint_commits, now).await {
                Ok(commits) => done.commits += commits,
                Err(error) => {
                    tracing::warn!(%error, table = B::SHAPE.name, "small files are merged after a later flush");
                }
            }
        }
        Work::Care(first, grace) => match care(shelf, table, first, grace, common.checkpoint_commits, now).await {
            Ok(step) => done.more = step.more,
            Err(error) => tracing::warn!(%error, table = B::SHAPE.name, "maintenance is tried again later"),
        },
    }
    done
}

/// Puts a stream's rows that are on their way into files, and moves its cursor, in one commit.
async fn flush<B: Waits>(
    shelf: &Shelf<B>,
    table: &mut Table,
    stream: usize,
    node: u16,
    now: Time,
) -> Result<Option<Lsn>, Error> {
    let Some((rows, until)) = shelf.leaving(stream)? else { return Ok(None) };
    let cursor = application(node, B::STREAMS[stream]);
    table.settle().await?;
    // An earlier attempt may have made the commit, and failed only to learn of it.
    let mut now_made = false;
    if table.cursor(&cursor).await?.is_none_or(|reached| reached < until) {
        let (rows, schema) = named(rows, table.schema())?;
        // No other commit of this stream has this cursor, and what an earlier attempt left is overwritten.
        let name = format!("{}-{}", cursor.replace('/', "-"), until.0);
        let flush = Underway::begin(underway::FLUSH, table.name());
        let add = write(table, rows, &schema, name, now).await?;
        drop(flush);
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let (schema, remove, cursor) = (Some(schema), Vec::new(), Some((cursor, until)));
        let change = Change { add, schema, remove, cursor, changes_rows: true, operation, now };
        now_made = table.commit(&change).await?;
    }
    shelf.publish(table, Came::Rows { stream, now: now_made }).await?;
    Ok(Some(until))
}

/// Makes one file of many small ones, where there are many, and a checkpoint, where that is due.
async fn tidy_up<B: Waits>(
    shelf: &Shelf<B>,
    table: &mut Table,
    checkpoint_commits: u64,
    now: Time,
) -> Result<usize, Error> {
    let merged = compact(shelf, table, None, now).await?;
    table.write_checkpoint(checkpoint_commits).await?;
    shelf.save(table, now, false).await;
    Ok(usize::from(merged))
}

async fn care<B: Waits>(
    shelf: &Shelf<B>,
    table: &mut Table,
    first: Option<i32>,
    grace: Grace,
    checkpoint_commits: u64,
    now: Time,
) -> Result<Step, Error> {
    // What somebody else added is shown, and is not taken for files that nobody needs.
    if table.catch_up().await? {
        shelf.publish(table, Came::Other).await?;
    }
    if let Some(first) = first {
        let retired = table.retire(first, now).await?;
        if retired.changed {
            shelf.publish(table, Came::Other).await?;
        }
        if retired.changed || retired.more {
            return Ok(Step { more: true, ..retired });
        }
    }
    let merged = compact(shelf, table, None, now).await;
    if matches!(merged, Ok(true)) {
        return Ok(Step { changed: true, more: true });
    }
    let summed_up = table.write_checkpoint(checkpoint_commits).await?;
    if summed_up.more {
        return Ok(summed_up);
    }
    table.clean_log(grace.log, now).await?;
    let vacuumed = table.vacuum(grace.files, shelf.oldest_version(), now).await?;
    if vacuumed.more {
        return Ok(vacuumed);
    }
    // Where there was no room to merge, there may be some from now on.
    merged?;
    Ok(Step { more: tidy_over(shelf, table, now).await?, ..vacuumed })
}

/// Makes one file of those of a day that is over, where that is worth it. There may be years of such days: after some of them others have
/// their turn, and the rest waits until the next time. Returns whether there may be more.
async fn tidy_over<B: Waits>(shelf: &Shelf<B>, table: &mut Table, now: Time) -> Result<bool, Error> {
    let is_in_time = table.over_merges < OVER_MERGES_MAX;
    if is_in_time && compact(shelf, table, Some(&day_name(day_of(now))), now).await? {
        table.over_merges += 1;
        return Ok(true);
    }
    table.over_merges = 0;
    Ok(false)
}

/// Makes one file of several, where that is due; days before `today` are over. Returns whether there may be more.
async fn compact<B: Waits>(shelf: &Shelf<B>, table: &mut Table, today: Option<&str>, now: Time) -> Result<bool, Error> {
    table.settle().await?;
    let chosen = compaction::decide(candidates(table), today);
    let Some(day) = chosen.first().map(|chosen| chosen.day.clone()) else { return Ok(false) };
    if today.is_some() {
        // A start after these files have gone finds in it what they had.
        shelf.save(table, now, false).await;
    }
    let _underway = Underway::begin(underway::COMPACTION, table.name());
    let since = table.place().failures();
    let (mut paths, mut parts, mut bytes, mut rows, mut widest) = (Vec::new(), Vec::new(), 0, 0, 0);
    for chosen in chosen {
        if bytes + chosen.bytes > MERGED_BYTES_MAX || rows + chosen.rows > storage::GROUP_ROWS {
            break;
        }
        let part = match part_of(table, &chosen.path).await {
            Ok(part) => part,
            Err(error) => {
                leave_file(table, chosen.path, since, error)?;
                return Ok(today.is_some());
            }
        };
        widest += part.column_bytes_max();
        if widest > MERGED_COLUMN_BYTES_MAX && !paths.is_empty() {
            if today.is_some() {
                // Without it, the others are perhaps not worth it: that is looked at again.
                table.large.insert(chosen.path);
                return Ok(true);
            }
            if paths.len() == 1 {
                table.large.extend([chosen.path, paths.remove(0)]);
            }
            break;
        }
        (bytes, rows) = (bytes + chosen.bytes, rows + chosen.rows);
        parts.push(part);
        paths.push(chosen.path);
    }
    if paths.len() < 2 {
        return Ok(false);
    }
    match merge(table, parts).await {
        Ok(merged) => put_in_place(shelf, table, paths, merged, now).await,
        Err(error) => {
            leave(table, &day, &paths, since, error)?;
            // Others have their turn: at once where days are tidied one after the other, else after what comes next.
            Ok(today.is_some())
        }
    }
}

/// The files that may become part of another one.
fn candidates(table: &Table) -> Vec<compaction::Part> {
    let unmerged = table.place().unmerged(table.name());
    let is_one = |part: &compaction::Part| !table.large.contains(&part.path) && !unmerged.contains(&part.day);
    table.parts().into_iter().filter(is_one).collect()
}

/// Makes one file of several, in memory. What fails here is about them: the disk has its part behind it.
async fn merge(table: &Table, parts: Vec<Part>) -> Result<Made, Error> {
    // The version is this commit's alone, and what an earlier attempt left is overwritten.
    let name = table.file_name(&format!("merged-{}", table.version() + 1));
    let (schema, shape) = (table.schema().clone(), table.shape());
    let merge = move || {
        let mut parts = Encoded::new(parts);
        parts.fits(shape)?;
        columnwise::encode(&mut parts, &schema, shape, &name, true)
    };
    let made = tokio::task::spawn_blocking(merge).await;
    made.map_err(|error| Error::Refused(format!("files cannot be merged: {error}")))?
}

/// Puts what files became in their place, in one commit. Returns whether that was done: not, where somebody took one of them away.
async fn put_in_place<B: Waits>(
    shelf: &Shelf<B>,
    table: &mut Table,
    remove: Vec<String>,
    merged: Made,
    now: Time,
) -> Result<bool, Error> {
    let (twice, held, files) = (merged.twice, merged.held_max, remove.len());
    let add = put(table, merged.files, now).await?;
    let operation = DeltaOperation::Optimize { predicate: None, target_size: 0 };
    let change = Change { add, schema: None, remove, cursor: None, changes_rows: false, operation, now };
    let merged = table.commit(&change).await?;
    shelf.publish(table, if merged { Came::Same } else { Came::Other }).await?;
    if merged && !twice.is_empty() {
        tracing::info!(
            rows = twice.values().sum::<u64>(),
            table = table.name(),
            "records that came twice are there once"
        );
        shelf.uncount(&twice);
        // A start would count what the files had before: of this commit it cannot tell.
        shelf.save(table, now, true).await;
    }
    tracing::debug!(files, held, "small files became one");
    Ok(merged)
}

/// A file that is to be merged, as it is stored.
async fn part_of(table: &Table, path: &String) -> Result<Part, Error> {
    let (day, bytes) = table.part(std::slice::from_ref(path))?.read().await?;
    Part::new(path.clone(), day, bytes)
}

/// Files of a day could not become one. If that will not pass, it is told once: the file that is to blame stays as it is, or else, for
/// as long as the process runs, all files of that day. Otherwise the same would be tried for ever, and nothing else.
fn leave(table: &mut Table, day: &str, paths: &[String], since: u64, error: Error) -> Result<(), Error> {
    let to_blame = error.file().and_then(|file| paths.iter().find(|path| path.as_str() == file)).cloned();
    if let Some(path) = to_blame {
        return leave_file(table, path, since, error);
    }
    let error = table.place().explained(since, error);
    if error.may_pass() {
        return Err(error);
    }
    let (name, why) = (table.name(), error.line());
    table.place().leave_unmerged(name, day);
    tracing::error!(
        table = name,
        day,
        "the files of a day stay as they are until the next start, because they cannot be merged: {why}"
    );
    Ok(())
}

/// A file that is to be merged cannot be. If that will not pass, it is told once, and the file stays as it is.
fn leave_file(table: &mut Table, path: String, since: u64, error: Error) -> Result<(), Error> {
    let error = table.place().explained(since, error);
    if error.may_pass() {
        return Err(error);
    }
    let (name, why) = (table.name(), error.line());
    // As others name it.
    let file = table.part(std::slice::from_ref(&path))?.each().next().map_or_else(|| path.clone(), |(file, _)| file);
    table.place().found_damaged(&file, &why);
    // Whoever reads these lines finds it in the list already.
    if error.is_unfit() {
        tracing::warn!(
            table = name,
            file = path,
            "a file of somebody else is part of history and is not merged: {why}"
        );
    } else {
        tracing::error!(
            table = name,
            file = path,
            "a file of history cannot be read: put it back from a backup: {why}"
        );
    }
    table.large.insert(path);
    Ok(())
}

/// All rows of files that are about to be written again: what is damaged in one must not become part of a sound file.
pub(crate) async fn rows_of(table: &Table, paths: &[String]) -> Result<Vec<RecordBatch>, Error> {
    let (files, mut failed) = (table.part(paths)?, None);
    files.check(|_, kept| failed = failed.take().or(kept.err())).await;
    match failed {
        Some(error) => Err(error),
        None => query::rows(files, table.schema()).await,
    }
}

/// Puts rows in the place of others, in one commit: what `others` leaves of the files of some days stays.
pub(crate) async fn replace<B: Waits>(
    shelf: &Shelf<B>,
    table: &mut Table,
    is_of: impl Fn(&str) -> bool,
    others: impl Fn(&RecordBatch) -> Result<RecordBatch, Error>,
    new: RecordBatch,
    now: Time,
) -> Result<(), Error> {
    for _ in 0..REPLACE_TRIES_MAX {
        table.settle().await?;
        let remove = table.paths_of(&is_of);
        let schema = table.schema().clone();
        let mut rows = Vec::new();
        if !remove.is_empty() {
            for batch in rows_of(table, &remove).await? {
                rows.push(others(&batch)?);
            }
        }
        rows.push(new.clone());
        let (rows, schema) = fitted(rows, &schema)?;
        let add = match rows.iter().all(|batch| batch.num_rows() == 0) {
            true => Vec::new(),
            false => write(table, rows, &schema, format!("replaced-{}", table.version() + 1), now).await?,
        };
        if add.is_empty() && remove.is_empty() {
            return Ok(());
        }
        let operation = DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None };
        let (version, schema) = (table.version(), Some(schema));
        let change = Change { add, schema, remove, cursor: None, changes_rows: true, operation, now };
        // What somebody else adds meanwhile stays; what they take away is looked at again.
        let made = table.commit(&change).await?;
        shelf.publish(table, Came::Other).await?;
        if made {
            return Ok(());
        }
        tracing::warn!(version, table = table.shape().name, "files that were to be replaced are gone: looking again");
    }
    Err(Error::Refused(format!("somebody else changes the table {} all the time", table.shape().name)))
}

/// Rows with the names that their columns have in the table, and the table's columns with those.
fn named(rows: Vec<RecordBatch>, schema: &SchemaRef) -> Result<(Vec<RecordBatch>, SchemaRef), Error> {
    let rows: Vec<_> = rows.into_iter().map(|batch| columns::renamed(batch, schema)).collect::<Result<_, _>>()?;
    let schema = grown(schema, &rows);
    Ok((rows, schema))
}

/// Rows with all columns of the table and their own.
pub(crate) fn fitted(rows: Vec<RecordBatch>, schema: &SchemaRef) -> Result<(Vec<RecordBatch>, SchemaRef), Error> {
    let (rows, schema) = named(rows, schema)?;
    let rows = rows.iter().map(|batch| columns::fitted(batch, &schema)).collect::<Result<_, _>>()?;
    Ok((rows, schema))
}

/// Makes files of rows, durably.
pub(crate) async fn write(
    table: &Table,
    rows: Vec<RecordBatch>,
    schema: &SchemaRef,
    name: String,
    now: Time,
) -> Result<Vec<Add>, Error> {
    let (shape, schema): (&'static Shape, Arc<_>) = (table.shape(), schema.clone());
    let name = table.file_name(&name);
    let encode = move || files::encode(&rows, &schema, shape, &name);
    let encoded: Vec<File> = tokio::task::spawn_blocking(encode)
        .await
        .map_err(|error| Error::Refused(format!("rows cannot be made into a file: {error}")))??;
    put(table, encoded, now).await
}

async fn put(table: &Table, files: Vec<File>, now: Time) -> Result<Vec<Add>, Error> {
    let (store, mut added) = (table.store(), Vec::new());
    for file in files {
        added.push(files::write(&*store, file, now).await?);
    }
    Ok(added)
}

/// So many merges of days that are over, one after the other.
const OVER_MERGES_MAX: usize = 32;
/// What is merged at once is held as it is stored. Two of the largest files that are merged at all.
const MERGED_BYTES_MAX: usize = 64 << 20;
/// The largest column of all that is merged at once, decoded, of which there are two while it is sorted.
const MERGED_COLUMN_BYTES_MAX: usize = 64 << 20;
/// As often as a commit.
const REPLACE_TRIES_MAX: usize = 16;
