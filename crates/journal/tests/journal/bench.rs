//! What every test here needs: a journal on a test disk, and its entries as values of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use odograph_journal::{
    Appended, Committer, Entry, Error, Identity, Journal, Kind, NewEntry, Options, Reader, Recovery, Step, Stream,
};
use odograph_model::Lsn;
use odograph_testkit::{FaultDisk, SeededRng, TestClock};

pub(crate) const FOLDER: &str = "/data/journal/7";
pub(crate) const NOW: i64 = 1_750_000_000_000;

pub(crate) struct Bench {
    pub(crate) disk: FaultDisk,
    pub(crate) clock: TestClock,
    pub(crate) journal: Journal,
    pub(crate) committer: Committer,
    pub(crate) recovery: Recovery,
}

/// An entry, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) lsn: Lsn,
    pub(crate) stream: u64,
    pub(crate) kind: Kind,
    pub(crate) context: Option<Vec<u8>>,
    pub(crate) device: Option<String>,
    pub(crate) payload: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
}

impl From<Entry<'_>> for Owned {
    fn from(entry: Entry<'_>) -> Self {
        Self {
            lsn: entry.lsn,
            stream: entry.stream,
            kind: entry.kind,
            context: entry.context.map(<[u8]>::to_vec),
            device: entry.identity.map(|identity| identity.device.to_owned()),
            payload: entry.payload.to_vec(),
            bytes: entry.bytes.to_vec(),
        }
    }
}

impl Owned {
    pub(crate) fn end(&self) -> Lsn {
        Lsn(self.lsn.0 + self.bytes.len() as u64)
    }
}

/// Segments so small that a test sees many.
pub(crate) fn options() -> Options {
    Options { node: 7, segment_bytes: 1024, reserve_bytes: 512, ..Options::default() }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::on(FaultDisk::new())
    }

    pub(crate) fn on(disk: FaultDisk) -> Self {
        Self::with(disk, options())
    }

    pub(crate) fn with(disk: FaultDisk, options: Options) -> Self {
        Self::try_with(disk, options).expect("the journal opens")
    }

    pub(crate) fn try_with(disk: FaultDisk, options: Options) -> Result<Self, Error> {
        Self::try_with_seed(disk, options, 1)
    }

    /// With another signing key, if one is made.
    pub(crate) fn with_seed(disk: FaultDisk, options: Options, seed: u64) -> Self {
        Self::try_with_seed(disk, options, seed).expect("the journal opens")
    }

    fn try_with_seed(disk: FaultDisk, options: Options, seed: u64) -> Result<Self, Error> {
        let clock = TestClock::new(NOW);
        let shared = Arc::new(disk.clone());
        let rng = SeededRng::new(seed);
        let (journal, committer, recovery) =
            Journal::open(Path::new(FOLDER), options, shared, Arc::new(clock.clone()), &rng)?;
        Ok(Self { disk, clock, journal, committer, recovery })
    }

    pub(crate) fn commit(&mut self) {
        assert_eq!(self.committer.commit_step().expect("the disk works"), Step::Committed);
    }

    /// Opens a stream that is bound to `device`.
    pub(crate) fn open_stream(&self, device: &str) -> Stream {
        let identity = (!device.is_empty()).then(|| identity(device));
        self.journal.open_stream(NOW, b"opened", identity).expect("the journal is open").0
    }

    /// Appends one frame to a stream that is bound to `device`.
    pub(crate) fn frame(&self, stream: &mut Stream, device: &str, payload: &[u8]) -> Appended {
        let bound = (!device.is_empty()).then(|| identity(device));
        let entry = NewEntry { kind: Kind::FRAME, at: NOW + 1, identity: None, payload };
        self.journal.append(stream, b"context", bound, &[entry]).expect("the journal is open")
    }

    pub(crate) fn reader(&self) -> Reader {
        reader(&self.disk)
    }

    /// Closes and seals everything.
    pub(crate) fn finish(mut self) -> FaultDisk {
        self.journal.close();
        while self.committer.commit_step().expect("the disk works") != Step::Closed {}
        self.disk
    }
}

pub(crate) fn identity(device: &str) -> Identity<'_> {
    Identity { device, decision: b"accepted" }
}

pub(crate) fn reader(disk: &FaultDisk) -> Reader {
    Reader::open(Arc::new(disk.clone()), Path::new(FOLDER)).expect("the folder is there")
}

pub(crate) fn read_all(disk: &FaultDisk) -> Vec<Owned> {
    read_from(disk, Lsn(0), None)
}

pub(crate) fn read_from(disk: &FaultDisk, from: Lsn, until: Option<Lsn>) -> Vec<Owned> {
    let mut entries = reader(disk).entries(from, until).expect("the folder can be read");
    let mut all = Vec::new();
    while let Some(entry) = entries.next().expect("every entry can be read") {
        all.push(entry.into());
    }
    all
}

pub(crate) fn device_entries(disk: &FaultDisk, device: &str, from: Lsn, until: Option<Lsn>) -> Vec<Owned> {
    let mut entries = reader(disk).device_entries(device, from, until).expect("the folder can be read");
    let mut all = Vec::new();
    while let Some(entry) = entries.next().expect("every entry can be read") {
        all.push(entry.into());
    }
    all
}

/// What verification finds wrong.
pub(crate) fn problems(disk: &FaultDisk) -> Vec<odograph_journal::Problem> {
    reader(disk).verify(&[], None, &mut |_| {}).expect("the folder can be read").problems
}

pub(crate) fn files(disk: &FaultDisk, extension: &str) -> Vec<PathBuf> {
    let is = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    disk.files().into_iter().filter(is).collect()
}
