//! The differences that are known, with their reasons.

use crate::compare::Difference;
use odograph_protocols::find;
use std::collections::BTreeMap;
use std::path::Path;

/// Rows of `differences.tsv`: a message or command, what differs in it, why ours is right.
pub(crate) struct Known {
    rows: BTreeMap<(String, String), (String, bool)>,
}

impl Known {
    /// Reads the rows about `messages` or `commands`; a command is known by its `what`.
    pub(crate) fn read(about: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differences.tsv");
        let text = std::fs::read_to_string(&path).expect("differences.tsv is there");
        let mut rows = BTreeMap::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty()) {
            let fields: Vec<_> = line.split('\t').collect();
            let [id, what, reason] = fields.as_slice() else {
                panic!("{}:{}: expected id, what and reason between tabs", path.display(), index + 1);
            };
            assert!(!reason.trim().is_empty(), "{}:{}: the reason is missing", path.display(), index + 1);
            if (*what == "command") == (about == "commands") {
                let twice = rows.insert(((*id).to_owned(), (*what).to_owned()), ((*reason).to_owned(), false));
                assert!(twice.is_none(), "{}:{}: stands twice", path.display(), index + 1);
            }
        }
        Self { rows }
    }

    /// Why they differ, if that is known; the row counts as met.
    pub(crate) fn reason(&mut self, difference: &Difference) -> Option<String> {
        let row = self.rows.get_mut(&(difference.id.clone(), difference.what.clone()))?;
        row.1 = true;
        Some(row.0.clone())
    }

    /// Whether the difference is known.
    pub(crate) fn has(&self, difference: &Difference) -> bool {
        self.rows.contains_key(&(difference.id.clone(), difference.what.clone()))
    }

    /// All of a protocol's messages were looked at: rows that no difference met are gone.
    pub(crate) fn retire(&mut self, protocol: &str) {
        for ((id, _), row) in &mut self.rows {
            if !row.1 && id.split('/').next() == Some(protocol) {
                row.0 = format!("{GONE}{}", row.0);
            }
        }
    }

    /// The rows that nothing differs in any more, and those about protocols that nobody knows.
    pub(crate) fn gone(&self) -> Vec<String> {
        let is_gone = |id: &str, reason: &str| {
            reason.starts_with(GONE) || find(id.split('/').next().unwrap_or_default()).is_none()
        };
        let rows = self.rows.iter().filter(|((id, _), (reason, _))| is_gone(id, reason));
        rows.map(|((id, what), _)| format!("{id}\t{what}")).collect()
    }
}

const GONE: &str = "gone: ";
