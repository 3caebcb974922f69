//! Tables that nothing can be written to, for a reason that does not pass by itself. After such an error nobody knows what is
//! there, so everything begins again; if it is the same then, the table is left alone, and all others go on.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// Those of a place, however often it was opened.
#[derive(Debug, Default)]
pub(crate) struct Stuck {
    tables: Mutex<BTreeMap<String, Tries>>,
}

#[derive(Debug)]
struct Tries {
    count: u32,
    why: String,
    /// The table's version, when it failed last.
    version: u64,
    /// When somebody looked first whether it may be tried again.
    since: Option<Duration>,
}

impl Stuck {
    /// Rows could not become part of a table.
    pub(crate) fn failed(&self, table: &str, version: u64, why: String) {
        let mut tables = self.tables.lock().expect("nobody panics holding it");
        let count = tables.get(table).map_or(0, |tries| tries.count) + 1;
        tables.insert(table.to_owned(), Tries { count, why, version, since: None });
    }

    /// Rows became part of it.
    pub(crate) fn wrote(&self, table: &str) {
        self.tables.lock().expect("nobody panics holding it").remove(table);
    }

    /// Why a table is left alone.
    pub(crate) fn why(&self, table: &str) -> Option<String> {
        let tables = self.tables.lock().expect("nobody panics holding it");
        let tries = tables.get(table).filter(|tries| tries.count >= TRIES_MAX)?;
        Some(format!("nothing can be written to it: {}", tries.why))
    }

    /// Whether a table that was left alone may be tried again: somebody did something to it, or much time has passed.
    pub(crate) fn is_over(&self, table: &str, version: u64, now: Duration) -> bool {
        let mut tables = self.tables.lock().expect("nobody panics holding it");
        let Some(tries) = tables.get_mut(table).filter(|tries| tries.count >= TRIES_MAX) else { return true };
        let since = *tries.since.get_or_insert(now);
        let is_over = tries.version != version || now.saturating_sub(since) >= AGAIN_AFTER;
        if is_over {
            // Once more, and not from the beginning: everybody waits for it.
            (tries.count, tries.since) = (TRIES_MAX - 1, None);
        }
        is_over
    }
}

/// The first may have met something that is over when all begins again.
const TRIES_MAX: u32 = 2;
/// Each try costs all tables a new beginning.
const AGAIN_AFTER: Duration = Duration::from_secs(30 * 60);
