//! What the tables had of the journal when somebody looked last, kept outside of them: a table that has less at a start is an older
//! copy of itself, and what lies between would be missing without a word.

use anyhow::Result;
use odograph_env::Disk;
use odograph_lake::{BehindTable, BrokenTable, Reach, Writer};
use odograph_model::Lsn;
use odograph_pipeline::Places;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file with it.
pub(super) struct Noted {
    disk: Arc<dyn Disk>,
    file: PathBuf,
    last: Mutex<Reach>,
}

impl Noted {
    /// Reads it. What cannot be read is told: without it, an older copy of a table is not noticed this time.
    pub(super) fn open(disk: Arc<dyn Disk>, file: PathBuf) -> Self {
        let last = read(&*disk, &file).unwrap_or_else(|error| {
            tracing::warn!(
                file = %file.display(),
                "what tables of history had cannot be read, so nobody knows whether they have less now: {error:#}"
            );
            Reach::new()
        });
        Self { disk, file, last: Mutex::new(last) }
    }

    /// The tables that have less now.
    pub(super) fn behind(&self, writer: &Writer) -> Vec<BehindTable> {
        writer.behind(&self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps what they have now, if that has changed. Where that fails, what was kept before is less: it asks for too little, and
    /// never for too much.
    pub(super) fn keep(&self, writer: &Writer) {
        let now = writer.reach(&self.last.lock().unwrap_or_else(PoisonError::into_inner));
        self.set(now);
    }

    fn set(&self, now: Reach) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if now == *last {
            return;
        }
        match self.write(&now) {
            Ok(()) => *last = now,
            Err(error) => {
                tracing::warn!(file = %self.file.display(), "what tables of history have cannot be noted: {error}");
            }
        }
    }

    fn write(&self, reach: &Reach) -> io::Result<()> {
        let places: BTreeMap<&str, u64> = reach.iter().map(|(name, at)| (name.as_str(), at.0)).collect();
        replace(&*self.disk, &self.file, &serde_json::to_vec(&places)?)
    }
}

/// Puts `bytes` in place of a file, durably when it returns.
pub(super) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (fresh, folder) = (path.with_extension("new"), path.parent().unwrap_or(path));
    disk.create_folder(folder)?;
    match disk.remove(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&fresh)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    disk.rename(&fresh, path)?;
    disk.sync_folder(folder)
}

/// Nothing where there is no file.
fn read(disk: &dyn Disk, path: &Path) -> Result<Reach> {
    let file = match disk.open_read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Reach::new()),
        opened => opened?,
    };
    let mut bytes = vec![0; usize::try_from(file.length()?)?];
    let length = file.read_at(&mut bytes, 0)?;
    let places: BTreeMap<String, u64> = serde_json::from_slice(&bytes[..length])?;
    Ok(places.into_iter().map(|(name, at)| (name, Lsn(at))).collect())
}

/// Where reading has to begin so that these tables get what they lack.
pub(super) fn back(from: Places, behind: &[BehindTable]) -> Places {
    behind.iter().fold(from, |from, table| match table.is_of_frames() {
        true => Places { frames: from.frames.min(table.has), ..from },
        false => Places { records: from.records.min(table.has), ..from },
    })
}

/// The places that a table lacks and the journal does not have any more. `oldest`: where it begins; `None`: it has nothing.
fn lost(table: &BehindTable, oldest: Option<Lsn>) -> Option<(Lsn, Lsn)> {
    let until = oldest.map_or(table.had, |oldest| oldest.min(table.had));
    (until > table.has).then_some((table.has, until))
}

/// Whether something of these is neither in tables nor in the journal.
pub(super) fn is_lost(behind: &[BehindTable], oldest: Option<Lsn>) -> bool {
    behind.iter().any(|table| lost(table, oldest).is_some())
}

/// Says it in the log, and to health where something is missing for good.
pub(super) fn tell(writer: &Writer, behind: &[BehindTable], oldest: Option<Lsn>) {
    for table in behind {
        let (BehindTable { tenant, has, had, .. }, name) = (table, table.table);
        tracing::error!(
            %tenant, table = name, %has, %had,
            "a table of history has less than it had: somebody put an older copy in its place. What the journal still has from \
             there on is read again"
        );
        let Some((from, until)) = lost(table, oldest) else { continue };
        let why = format!(
            "an older copy was put in its place, and what it had of the places {from} to {until} of the journal is not in the \
             journal any more: stop the server, and put the newest copy of the table back"
        );
        tracing::error!(%tenant, table = name, %from, %until, "a table of history is not complete: {why}");
        writer.found_incomplete(BrokenTable { tenant: tenant.clone(), table: name, why });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_testkit::{FaultDisk, PowerCut};

    fn table(table: &'static str, has: u64, had: u64) -> BehindTable {
        BehindTable { tenant: "default".into(), table, has: Lsn(has), had: Lsn(had) }
    }

    #[test]
    fn reading_begins_where_the_table_ends_that_has_least_of_its_kind() {
        let from = Places { records: Lsn(500), frames: Lsn(400) };
        assert_eq!(back(from, &[]), from);
        let behind = [table("records", 300, 450), table("records", 200, 250), table("frames", 350, 400)];
        assert_eq!(back(from, &behind), Places { records: Lsn(200), frames: Lsn(350) });
        assert_eq!(back(from, &[table("records", 700, 900)]), from, "it was further than the cursor, and is");
    }

    #[test]
    fn what_the_journal_does_not_have_is_told_by_its_places() {
        let behind = table("records", 200, 500);
        let of = |oldest: Option<u64>| lost(&behind, oldest.map(Lsn)).map(|(from, until)| (from.0, until.0));
        assert_eq!([of(Some(0)), of(Some(200))], [None, None]);
        assert_eq!(
            [of(Some(201)), of(Some(500)), of(Some(900))],
            [Some((200, 201)), Some((200, 500)), Some((200, 500))]
        );
        assert_eq!(of(None), Some((200, 500)));
    }

    #[test]
    fn a_note_is_the_old_or_the_new_one_after_a_cut_and_what_is_none_is_passed_over() {
        let (disk, file) = (FaultDisk::new(), Path::new("/data/reach/0.json"));
        disk.create_folder(Path::new("/data")).expect("a folder");
        let open = |disk: &FaultDisk| Noted::open(Arc::new(disk.clone()), file.to_owned());
        let of = |noted: &Noted| noted.last.lock().expect("nobody panics").clone();
        let reach = |at: u64| Reach::from([("a/records/late".to_owned(), Lsn(at))]);
        let noted = open(&disk);
        assert_eq!(of(&noted), Reach::new());
        noted.set(reach(7));
        assert_eq!(of(&open(&disk.crash_image(PowerCut::Lost))), reach(7), "durable");
        disk.fail_sync_after(0);
        noted.set(reach(8));
        assert_eq!((of(&noted), of(&open(&disk.crash_image(PowerCut::Lost)))), (reach(7), reach(7)), "less is no harm");
        let other = FaultDisk::new();
        other.create_folder(Path::new("/data")).expect("a folder");
        open(&other).set(reach(7));
        other.put(file, b"{\"a/records/late\":");
        assert_eq!(of(&open(&other)), Reach::new());
        open(&other).set(reach(9));
        assert_eq!(of(&open(&other)), reach(9));
    }
}
