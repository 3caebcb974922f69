//! What stands in the devices' file, and reading it, whatever happened to it.
//!
//! Lines of JSON: devices with their state, of which the last about a device counts, and marks. A mark ends what was
//! written at a time, and says up to which place of the journal the file has everyone who registered.

use super::{Known, State};
use compact_str::CompactString;
use hashbrown::{HashMap, HashSet};
use odograph_model::Lsn;
use std::collections::BTreeSet;
use std::fmt;

/// A line of the file.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Mark(Mark),
    Device(Known),
}

/// The end of a writing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Mark {
    /// Whoever registered before this place of the journal stands in the file.
    pub(super) saved_until: u64,
    /// The devices that the configuration announces from that place on, where they are others than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) configured: Option<BTreeSet<CompactString>>,
}

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// Each device once, in the order of its first line.
    pub(super) devices: Vec<Known>,
    /// Those that waited for a person at some time, by tenant and id.
    pub(super) waited: HashSet<(CompactString, CompactString)>,
    /// From here on, the journal may have devices that the file lacks.
    pub(super) saved_until: Lsn,
    /// The devices that the configuration announced last.
    pub(super) configured: BTreeSet<CompactString>,
    /// Those that it announced at any time since `saved_until`.
    pub(super) configured_since: BTreeSet<CompactString>,
    /// How many lines there are.
    pub(super) lines: usize,
    pub(super) damage: Damage,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// Lines that cannot be read, from 1, and why: the first ones.
    pub lines: Vec<(usize, String)>,
    /// How many there are.
    pub lines_total: usize,
    /// How many of them were whole once, because something was written behind them.
    pub lines_lost: usize,
    /// Devices that stand behind the last mark, or where there is none. They are used.
    pub devices_unmarked: usize,
    /// Whether there is no mark at all.
    pub no_mark: bool,
}

impl Content {
    /// Reads a text, as far as it can be.
    pub(super) fn read(text: &[u8]) -> Self {
        let mut content = Self::default();
        let mut places: HashMap<(CompactString, CompactString), usize> = HashMap::new();
        // Reserved space that a crash left unwritten.
        let text = text.get(..text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)).unwrap_or_default();
        let (mut marks, mut damaged_behind_mark, mut damaged_before_mark) = (0, 0, 0);
        for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            content.lines += 1;
            // What ends with the last mark may be a writing that a crash tore: then it was promised to nobody.
            content.damage.lines_lost += std::mem::take(&mut damaged_before_mark);
            match serde_json::from_slice(line) {
                Ok(Line::Device(known)) => {
                    content.damage.devices_unmarked += 1;
                    if known.state == State::Quarantined {
                        content.waited.insert(known.place());
                    }
                    let place = places.entry(known.place());
                    let place = *place.or_insert(content.devices.len());
                    match content.devices.get_mut(place) {
                        Some(before) => *before = known,
                        None => content.devices.push(known),
                    }
                }
                Ok(Line::Mark(mark)) => {
                    content.mark(mark);
                    damaged_before_mark = std::mem::take(&mut damaged_behind_mark);
                    if marks == 0 {
                        // A file's first writing was durable before the file had its name.
                        content.damage.lines_lost += std::mem::take(&mut damaged_before_mark);
                    }
                    marks += 1;
                }
                Err(error) => {
                    damaged_behind_mark += 1;
                    if content.damage.lines_total == 0 {
                        content.configured_since.clone_from(&content.configured);
                    }
                    content.damage.line(number + 1, &error);
                }
            }
        }
        content.devices.retain(|known| known.state != State::Deleted);
        content.damage.no_mark = marks == 0;
        if content.damage.lines_total == 0 {
            content.configured_since.clone_from(&content.configured);
        }
        content
    }

    /// What is worth keeping: the devices, and before each that waited once that it did.
    pub(super) fn kept(&self) -> Vec<Known> {
        let waited = |known: &Known| known.state != State::Quarantined && self.waited.contains(&known.place());
        let before = |known: &Known| waited(known).then(|| Known { state: State::Quarantined, ..known.clone() });
        self.devices.iter().flat_map(|known| before(known).into_iter().chain([known.clone()])).collect()
    }

    fn mark(&mut self, mark: Mark) {
        self.damage.devices_unmarked = 0;
        // Behind a damaged line a device may be missing: the journal has it, from the mark before on.
        let whole = self.damage.lines_total == 0;
        if whole {
            self.saved_until = Lsn(mark.saved_until);
        }
        if let Some(configured) = mark.configured {
            if !whole {
                self.configured_since.extend(configured.iter().cloned());
            }
            self.configured = configured;
        }
    }
}

impl Damage {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether something is missing that was safe once, as opposed to what a crash cut short.
    pub(super) fn is_loss(&self) -> bool {
        self.lines_lost > 0 || self.no_mark
    }

    fn line(&mut self, number: usize, error: &serde_json::Error) {
        self.lines_total += 1;
        if self.lines.len() < NAMED_MAX {
            self.lines.push((number, error.to_string()));
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (number, error) in &self.lines {
            parts.push(format!("line {number} is neither a device nor a mark ({error})"));
        }
        if self.lines_total > self.lines.len() {
            parts.push(format!("and {} more lines are not", self.lines_total - self.lines.len()));
        }
        if self.no_mark {
            parts.push("there is no mark, so it is not known up to where it is complete".to_owned());
        } else if self.devices_unmarked > 0 {
            parts.push("its last writing was cut short".to_owned());
        }
        if self.devices_unmarked > 0 {
            parts.push(format!("{} lines about devices without a mark behind them are used", self.devices_unmarked));
        }
        f.write_str(&parts.join("; "))
    }
}

/// Damaged lines that are named one by one.
const NAMED_MAX: usize = 20;
