//! What a replay tells, as lines of JSON: while it is found, and in the end.

use crate::export::Sink;
use anyhow::Result;
use compact_str::CompactString;
use odograph_lake::{DeviceDifference, KeyDifference, Replaced};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line {
    /// How far it has come.
    Progress { devices: usize, of: usize },
    /// A device whose records would be otherwise, or stay because nobody can decode them again.
    Device(Told),
    /// The last one.
    Total(Total),
    /// The last one, where it ended early.
    Error(String),
}

/// How a device's records would be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) id: CompactString,
    #[serde(flatten)]
    pub(crate) records: Counts,
    /// By parameter.
    pub(crate) keys: BTreeMap<String, KeyTold>,
}

/// Numbers of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) same: u64,
    pub(crate) changed: u64,
    pub(crate) new: u64,
    pub(crate) gone: u64,
    /// Of those that changed: on another day than before.
    pub(crate) moved_days: u64,
    /// Not compared, because the bytes are not there any more, or cannot be read.
    pub(crate) kept: u64,
}

/// How a parameter's values would be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyTold {
    pub(crate) changed: u64,
    pub(crate) appeared: u64,
    pub(crate) vanished: u64,
    /// One value that is otherwise, before …
    pub(crate) before: Option<String>,
    /// … and now.
    pub(crate) now: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Total {
    pub(crate) devices: u64,
    #[serde(flatten)]
    pub(crate) records: Counts,
    /// Frames that are malformed.
    pub(crate) malformed: u64,
    /// Frames whose conversation's state is not there any more.
    pub(crate) unreadable: u64,
    /// Records that were left alone, because another device sent them, or one of another tenant.
    pub(crate) carried: u64,
    /// Devices whose records are not looked at that they sent while they waited for a person: nobody has accepted them since.
    #[serde(default)]
    pub(crate) left_out: u64,
    /// The versions of the table with the old records and with the new ones, where they were replaced.
    pub(crate) applied: Option<Versions>,
}

/// Versions of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub(crate) before: u64,
    pub(crate) after: u64,
}

impl Line {
    pub(crate) fn write(&self, out: &mut dyn Sink) -> Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(out.write(&line)?)
    }
}

impl Told {
    /// Nothing where all is as it was.
    pub(super) fn of(id: CompactString, difference: DeviceDifference) -> Option<Self> {
        let records = Counts::of(&difference);
        let is_told = records.differing() > 0 || records.kept > 0;
        let keys = difference.keys.into_iter().map(|(name, key)| (name, key.into())).collect();
        is_told.then_some(Self { id, records, keys })
    }
}

impl Counts {
    /// Records that are not as they were.
    pub(crate) const fn differing(&self) -> u64 {
        self.changed + self.new + self.gone
    }

    fn of(difference: &DeviceDifference) -> Self {
        let DeviceDifference { same, new, gone, changed, moved_days, kept, .. } = *difference;
        Self { same, changed, new, gone, moved_days, kept }
    }
}

impl Total {
    pub(super) fn add(&mut self, difference: &DeviceDifference) {
        let of = Counts::of(difference);
        let all = &mut self.records;
        self.devices += u64::from(of.differing() > 0);
        all.same += of.same;
        all.changed += of.changed;
        all.new += of.new;
        all.gone += of.gone;
        all.moved_days += of.moved_days;
        all.kept += of.kept;
    }
}

impl From<KeyDifference> for KeyTold {
    fn from(key: KeyDifference) -> Self {
        let (before, now) = key.example;
        Self { changed: key.changed, appeared: key.appeared, vanished: key.vanished, before, now }
    }
}

impl From<Replaced> for Versions {
    fn from(replaced: Replaced) -> Self {
        Self { before: replaced.before, after: replaced.after }
    }
}
