//! What the gateway owes, and whether it has it.

use odograph_env::Disk;
use odograph_journal::{Journal, Options, Reader};
use odograph_model::{Key, Lsn};
use odograph_pipeline::{Records, Totals, Window};
use odograph_testkit::{FaultDisk, SeededRng, TestClock};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// What devices sent, and what was acknowledged to them: by device and time.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// What devices sent, acknowledged or not.
    pub sent: BTreeSet<(String, i64)>,
    /// What they were told is safe: they have erased it.
    pub acknowledged: BTreeSet<(String, i64)>,
}

/// Where gateway and ledger disagree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    /// Acknowledged, and not there.
    pub missing: Vec<(String, i64)>,
    /// There more than once.
    pub duplicated: Vec<(String, i64)>,
    /// There, and never sent.
    pub invented: Vec<(String, i64)>,
}

impl Faults {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Ledger {
    /// Starts a gateway's journal on `disk`, as after a power cut, and compares what comes out with what is owed.
    pub fn audit(&self, disk: &FaultDisk, folder: &Path, now: i64) -> (Faults, Totals) {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let clock = Arc::new(TestClock::new(now));
        // Recovery runs as it would in a server that starts again.
        let opened = Journal::open(folder, Options::default(), disk.clone(), clock, &SeededRng::new(1));
        let (_journal, _committer, _recovery) = opened.expect("a journal opens after a power cut");
        let reader = Reader::open(disk, folder).expect("a journal can be read after recovery");
        let mut entries = reader.entries(Lsn(0), None).expect("entries can be read");
        let mut found = BTreeMap::<(String, i64), u64>::new();
        let mut records = Records::new(Window::default());
        let read = records.read(
            &mut entries,
            |event| {
                if let (Some(time), true) = (event.record.time, event.record.get(Key::PositionLatitude).is_some()) {
                    *found.entry((event.binding.device.to_string(), time.0)).or_default() += 1;
                }
                Ok::<(), std::convert::Infallible>(())
            },
            |_| {},
        );
        read.expect("a recovered journal can be read to its end");
        let known = |key: &&(String, i64)| found.contains_key(*key);
        let faults = Faults {
            missing: self.acknowledged.iter().filter(|key| !known(key)).cloned().collect(),
            duplicated: found.iter().filter(|(_, count)| **count > 1).map(|(key, _)| key.clone()).collect(),
            invented: found.keys().filter(|key| !self.sent.contains(*key)).cloned().collect(),
        };
        (faults, records.totals())
    }
}
