//! Where in the journal there is what devices sent while they waited for a person's decision. It is in no table of records, and who looks
//! for it need not read all that everybody ever sent.
//!
//! That a person has decided does not end it: a conversation that goes on is under what was decided when it began. So it is noted where
//! the journal is read for history, and durable before the journal's cursors pass it. Whatever was read before anybody noted it may have
//! something of anybody.

use super::noted::replace;
use anyhow::{Context as _, Result};
use compact_str::CompactString;
use odograph_env::Disk;
use odograph_model::{Lsn, Time};
use odograph_pipeline::Waiting;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A stretch of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stretch {
    /// Where it begins: with a segment.
    pub(crate) begin: u64,
    /// The first place behind it.
    pub(crate) end: u64,
    /// When the first of it was received, and the last, in milliseconds since 1970 UTC.
    first: i64,
    last: i64,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Devices that were asked for.
    pub(crate) devices: BTreeSet<CompactString>,
    /// Where there may be something of them, one behind the other.
    pub(crate) stretches: Vec<Stretch>,
}

/// What is noted, and the file that keeps it.
pub(crate) struct Waits {
    disk: Arc<dyn Disk>,
    file: PathBuf,
    /// There once history was opened.
    known: Mutex<Option<Known>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Known {
    /// From here on, all was noted.
    from: u64,
    /// What is before that was received before this moment.
    began: i64,
    /// All before this place was read.
    until: u64,
    devices: HashMap<(CompactString, CompactString), Vec<Stretch>>,
    /// Of devices for which there was no room.
    others: Vec<Stretch>,
    /// Whether the file lacks something.
    is_changed: bool,
}

/// The same in the file.
#[derive(Serialize, Deserialize)]
struct Kept {
    from: u64,
    began: i64,
    until: u64,
    devices: Vec<OfDevice>,
    others: Vec<Stretch>,
}

#[derive(Serialize, Deserialize)]
struct OfDevice {
    tenant: CompactString,
    device: CompactString,
    stretches: Vec<Stretch>,
}

impl Waits {
    pub(super) fn new(disk: Arc<dyn Disk>, file: PathBuf) -> Self {
        Self { disk, file, known: Mutex::default() }
    }

    /// The journal is read from `begin` on. Without a file, or where that says nothing of what is right before, nothing is known of all
    /// before.
    pub(super) fn open(&self, begin: Lsn, now: Time) {
        let mut held = self.held();
        let known = held.take().or_else(|| {
            read(&*self.disk, &self.file).unwrap_or_else(|error| {
                tracing::warn!(
                    file = %self.file.display(),
                    "where there is what devices sent in quarantine cannot be read: to export it takes longer: {error:#}"
                );
                None
            })
        });
        // Another version was here meanwhile, or somebody put an older file there.
        let known = known.filter(|known| known.until >= begin.0);
        *held = Some(known.unwrap_or_else(|| Known::begun(begin, now)));
    }

    /// Something came of a device that waits.
    pub(super) fn note(&self, waiting: &Waiting<'_>) {
        let (places, at) = (&waiting.places, waiting.received.0);
        let stretch = Stretch { begin: places.start.0, end: places.end.0, first: at, last: at };
        if let Some(known) = &mut *self.held() {
            known.note((waiting.tenant.into(), waiting.device.into()), stretch);
        }
    }

    /// Makes durable what was noted: everything before `read`.
    pub(super) fn keep(&self, read: Lsn) -> Result<()> {
        match &mut *self.held() {
            Some(known) if known.is_changed || known.until < read.0 => {
                (known.until, known.is_changed) = (known.until.max(read.0), true);
                self.write(known)
            }
            _ => Ok(()),
        }
    }

    /// Forgets a device, or all of a tenant, also in the file.
    pub(super) fn erase(&self, tenant: &str, device: Option<&str>) -> Result<()> {
        let mut held = self.held();
        let Some(known) = held.as_mut() else { return Ok(()) };
        let is_meant = |of: &(CompactString, CompactString)| of.0 == tenant && device.is_none_or(|own| of.1 == own);
        known.devices.retain(|of, _| !is_meant(of));
        known.is_changed = true;
        self.write(known)
    }

    /// Where there may be something of devices that `is_meant` names by tenant and id, received not before `from` and not after `to`.
    /// With `unnamed` also of others: where nobody noted whose it is.
    pub(crate) fn find(
        &self,
        is_meant: impl Fn(&str, &str) -> bool,
        unnamed: bool,
        (from, to): (Option<Time>, Option<Time>),
    ) -> Found {
        let held = self.held();
        let mut found = Found { devices: BTreeSet::new(), stretches: Vec::new() };
        let counts = |all: &[Stretch]| -> Vec<Stretch> {
            let within =
                |one: &&Stretch| from.is_none_or(|from| one.last >= from.0) && to.is_none_or(|to| one.first <= to.0);
            all.iter().filter(within).copied().collect()
        };
        for ((tenant, device), stretches) in held.iter().flat_map(|known| &known.devices) {
            let stretches = counts(stretches);
            if !stretches.is_empty() && is_meant(tenant, device) {
                found.devices.insert(device.clone());
                found.stretches.extend(stretches);
            }
        }
        if unnamed {
            found.stretches.extend(counts(&held.as_ref().map_or_else(|| vec![ALL], Known::of_anybody)));
        }
        found.stretches.sort_unstable_by_key(|one| one.begin);
        found.stretches = found.stretches.into_iter().fold(Vec::new(), joined);
        found
    }

    fn write(&self, known: &mut Known) -> Result<()> {
        let cannot = || format!("cannot note where devices waited in {}", self.file.display());
        replace(&*self.disk, &self.file, &serde_json::to_vec(&known.kept())?).with_context(cannot)?;
        known.is_changed = false;
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Option<Known>> {
        // A panic in the thread that notes has it read again.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn begun(begin: Lsn, now: Time) -> Self {
        // A clock may have been set back a little.
        let began = now.plus_ms(DAY_MS).0;
        let (devices, others) = (HashMap::new(), Vec::new());
        Self { from: begin.0, began, until: begin.0, devices, others, is_changed: true }
    }

    fn note(&mut self, of: (CompactString, CompactString), stretch: Stretch) {
        let is_full = self.devices.len() >= DEVICES_MAX;
        let all = match self.devices.get_mut(&of) {
            Some(all) => all,
            None if is_full => &mut self.others,
            None => self.devices.entry(of).or_default(),
        };
        self.is_changed |= join(all, stretch);
    }

    /// Where there may be something of anybody.
    fn of_anybody(&self) -> Vec<Stretch> {
        let before = Stretch { begin: 0, end: self.from, first: i64::MIN, last: self.began };
        Some(before).filter(|before| before.end > 0).into_iter().chain(self.others.iter().copied()).collect()
    }

    fn kept(&self) -> Kept {
        let of_device = |((tenant, device), stretches): (&(CompactString, CompactString), &Vec<Stretch>)| OfDevice {
            tenant: tenant.clone(),
            device: device.clone(),
            stretches: stretches.clone(),
        };
        let devices = self.devices.iter().map(of_device).collect();
        Kept { from: self.from, began: self.began, until: self.until, devices, others: self.others.clone() }
    }

    fn of(kept: Kept) -> Self {
        let Kept { from, began, until, devices, others } = kept;
        let devices = devices.into_iter().map(|of| ((of.tenant, of.device), of.stretches)).collect();
        Self { from, began, until, devices, others, is_changed: false }
    }
}

impl Stretch {
    /// When the first of it was received, if that is known.
    pub(crate) fn first(&self) -> Option<Time> {
        (self.first > ALL.first).then_some(Time(self.first))
    }

    /// When the last of it was received, if that is known.
    pub(crate) fn last(&self) -> Option<Time> {
        (self.last < ALL.last).then_some(Time(self.last))
    }

    /// The same and all of another one, and what lies between. Says whether that is more.
    fn extend(&mut self, other: Self) -> bool {
        let before = *self;
        (self.begin, self.end) = (self.begin.min(other.begin), self.end.max(other.end));
        (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
        *self != before
    }
}

/// Adds a stretch: reading again may meet the same one. Says whether that changes anything.
fn join(all: &mut Vec<Stretch>, new: Stretch) -> bool {
    let is_near = |one: &&mut Stretch| {
        new.begin <= one.end.saturating_add(GAP_BYTES) && one.begin <= new.end.saturating_add(GAP_BYTES)
    };
    if let Some(one) = all.iter_mut().find(is_near) {
        return one.extend(new);
    }
    let is_full = all.len() >= STRETCHES_MAX;
    match all.last_mut().filter(|_| is_full) {
        // Too many to tell one from the other.
        Some(last) => last.extend(new),
        None => {
            all.push(new);
            true
        }
    }
}

/// One behind the other, sorted as they come: those that touch are one.
fn joined(mut all: Vec<Stretch>, next: Stretch) -> Vec<Stretch> {
    match all.last_mut().filter(|last| next.begin <= last.end) {
        Some(last) => {
            last.extend(next);
        }
        None => all.push(next),
    }
    all
}

/// Nothing where there is no file.
fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Known>> {
    let file = match disk.open_read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = vec![0; usize::try_from(file.length()?)?];
    let length = file.read_at(&mut bytes, 0)?;
    Ok(Some(Known::of(serde_json::from_slice(&bytes[..length])?)))
}

/// Where nothing is known.
const ALL: Stretch = Stretch { begin: 0, end: u64::MAX, first: i64::MIN, last: i64::MAX };
/// What is closer to each other is one stretch.
const GAP_BYTES: u64 = 256 << 20;
/// So many stretches of a device are told apart: it waits once, as a rule.
const STRETCHES_MAX: usize = 16;
/// So many devices are told apart: with more of them, somebody lets strangers wait by the thousand. Some hundred bytes each, which are
/// written with each commit.
const DEVICES_MAX: usize = 10_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_testkit::{FaultDisk, PowerCut};

    const FILE: &str = "/data/reach/0.waits.json";

    fn disk() -> FaultDisk {
        let disk = FaultDisk::new();
        disk.create_folder(Path::new("/data")).expect("a folder");
        disk
    }

    fn open(disk: &FaultDisk, begin: u64) -> Waits {
        let waits = Waits::new(Arc::new(disk.clone()), PathBuf::from(FILE));
        waits.open(Lsn(begin), Time(0));
        waits
    }

    fn note(waits: &Waits, tenant: &str, device: &str, places: [u64; 2], received: i64) {
        let [begin, end] = places.map(Lsn);
        waits.note(&Waiting { tenant, device, places: begin..end, received: Time(received) });
    }

    /// Where there may be something of a device of the tenant `a`.
    fn of(waits: &Waits, device: &str, period: (Option<i64>, Option<i64>)) -> Vec<[u64; 2]> {
        let period = (period.0.map(Time), period.1.map(Time));
        let found = waits.find(|tenant, own| tenant == "a" && own == device, true, period);
        found.stretches.iter().map(|stretch| [stretch.begin, stretch.end]).collect()
    }

    const EVER: (Option<i64>, Option<i64>) = (None, None);
    const FAR: u64 = 1 << 40;

    #[test]
    fn a_device_is_looked_for_where_and_when_it_waited_alone() {
        let waits = open(&disk(), 0);
        note(&waits, "a", "1", [100, 140], 1000);
        note(&waits, "a", "1", [100, 190], 3000);
        note(&waits, "a", "1", [FAR, FAR + 10], 9000);
        note(&waits, "b", "1", [0, 50], 1000);
        note(&waits, "a", "2", [100, 400], 2000);
        assert_eq!(of(&waits, "1", EVER), [[100, 190], [FAR, FAR + 10]]);
        assert_eq!(of(&waits, "3", EVER), [[0; 2]; 0]);
        let within = |from, to| of(&waits, "1", (from, to));
        assert_eq!((within(Some(3001), None), within(None, Some(8999))), (vec![[FAR, FAR + 10]], vec![[100, 190]]));
        assert_eq!((within(Some(3000), Some(3000)), within(None, Some(999))), (vec![[100, 190]], vec![]));
        // Those of several that touch are read once.
        let found = waits.find(|tenant, _| tenant == "a", false, (None, Some(Time(5000))));
        assert_eq!(found.stretches, [Stretch { begin: 100, end: 400, first: 1000, last: 3000 }]);
        assert_eq!(found.devices, BTreeSet::from(["1", "2"].map(CompactString::from)));
    }

    #[test]
    fn what_was_read_before_it_was_noted_may_have_something_of_anybody() {
        let unopened = Waits::new(Arc::new(disk()), PathBuf::from(FILE));
        assert_eq!(of(&unopened, "1", (Some(i64::MAX), None)), [[0, u64::MAX]]);
        let waits = open(&disk(), 700);
        note(&waits, "a", "1", [600, 800], 2 * DAY_MS);
        assert_eq!(of(&waits, "1", EVER), [[0, 800]]);
        assert_eq!(
            (of(&waits, "2", (None, Some(0))), of(&waits, "2", (Some(DAY_MS + 1), None))),
            (vec![[0, 700]], vec![])
        );
        assert_eq!(
            of(&waits, "1", (Some(DAY_MS + 1), None)),
            [[600, 800]],
            "of later days, nothing before that counts"
        );
        let named = waits.find(|_, device| device == "2", false, (None, None));
        assert_eq!(named, Found { devices: BTreeSet::new(), stretches: Vec::new() });
    }

    #[test]
    fn what_is_noted_is_durable_before_the_cursors_pass_it_or_nothing_is_known() {
        let disk = disk();
        let waits = open(&disk, 0);
        note(&waits, "a", "1", [100, 190], 1000);
        waits.keep(Lsn(200)).expect("the disk is well");
        note(&waits, "a", "2", [200, 290], 1000);
        let after = disk.crash_image(PowerCut::Lost);
        let again = open(&after, 200);
        assert_eq!((of(&again, "1", EVER), of(&again, "2", EVER)), (vec![[100, 190]], vec![]), "it is read again");
        // The cursors are behind what was noted: another version read on without a word.
        assert_eq!(of(&open(&after, 201), "1", EVER), [[0, 201]]);
        disk.fail_sync_after(0);
        waits.keep(Lsn(300)).expect_err("the flush fails");
        assert_eq!(of(&open(&disk.crash_image(PowerCut::Lost), 200), "2", EVER), [[0; 2]; 0]);
        waits.keep(Lsn(300)).expect("the disk is well again");
        assert_eq!(of(&open(&disk.crash_image(PowerCut::Lost), 300), "2", EVER), [[200, 290]]);
        // History begins again: what is in memory is more than the file has.
        note(&waits, "a", "3", [300, 390], 1000);
        waits.open(Lsn(300), Time(0));
        assert_eq!(of(&waits, "3", EVER), [[300, 390]]);
        disk.put(Path::new(FILE), b"{");
        assert_eq!(of(&open(&disk, 300), "1", EVER), [[0, 300]]);
    }

    #[test]
    fn who_is_erased_is_named_no_more() {
        let disk = disk();
        let waits = open(&disk, 0);
        for (tenant, device) in [("a", "1"), ("a", "2"), ("b", "1")] {
            note(&waits, tenant, device, [100, 190], 1000);
        }
        waits.keep(Lsn(200)).expect("the disk is well");
        waits.erase("a", Some("1")).expect("the disk is well");
        let devices = |waits: &Waits| {
            let known = waits.held();
            let devices = known.iter().flat_map(|known| known.devices.keys());
            devices.map(|(tenant, device)| format!("{tenant}/{device}")).collect::<BTreeSet<_>>()
        };
        assert_eq!(devices(&waits), BTreeSet::from(["a/2", "b/1"].map(String::from)));
        waits.erase("a", None).expect("the disk is well");
        let again = open(&disk.crash_image(PowerCut::Lost), 200);
        let left = BTreeSet::from(["b/1".to_owned()]);
        assert_eq!((devices(&waits), devices(&again)), (left.clone(), left));
    }

    #[test]
    fn there_are_no_more_than_so_many() {
        let waits = open(&disk(), 0);
        (0..100).for_each(|number| note(&waits, "a", "1", [number * FAR, number * FAR + 1], 1000));
        let found = of(&waits, "1", EVER);
        assert_eq!((found.len(), found[STRETCHES_MAX - 1][1]), (STRETCHES_MAX, 99 * FAR + 1));
        (0..DEVICES_MAX).for_each(|number| note(&waits, "b", &number.to_string(), [FAR, FAR + 1], 1000));
        note(&waits, "a", "late", [200 * FAR, 200 * FAR + 1], 1000);
        assert_eq!(of(&waits, "late", EVER).last(), Some(&[200 * FAR, 200 * FAR + 1]));
    }
}
