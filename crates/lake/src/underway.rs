//! Steps in the log: at `debug`, each says when it begins and when it ends, so that whoever looks for what holds a table up, or
//! for what a crash interrupted, finds it there.

use tracing::Level;

/// A step that is under way. It ends when this is dropped, whether it did what it should or not.
pub(crate) struct Underway {
    step: &'static str,
    /// Which table it is done to; `None`: nobody wants to know.
    table: Option<String>,
}

impl Underway {
    /// A step begins.
    pub(crate) fn begin(step: &'static str, table: &str) -> Self {
        // A step that began unheard ends unheard.
        let table = tracing::enabled!(Level::DEBUG).then(|| table.to_owned());
        if let Some(table) = &table {
            tracing::debug!(step, table, "begins");
        }
        Self { step, table }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if let Some(table) = &self.table {
            tracing::debug!(step = self.step, table, "ends");
        }
    }
}

/// Rows become files, each durable.
pub(crate) const FLUSH: &str = "flush";
/// An entry is added to the table's log.
pub(crate) const COMMIT: &str = "commit";
/// Small files become one.
pub(crate) const COMPACTION: &str = "compaction";
/// The table's log is summed up.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// What is known of devices is saved.
pub(crate) const SAVE: &str = "save";
/// Days that are not kept go.
pub(crate) const RETENTION: &str = "retention";
/// Old entries of the table's log are deleted.
pub(crate) const LOG_CLEANUP: &str = "log clean-up";
/// Files that nobody needs are deleted.
pub(crate) const VACUUM: &str = "vacuum";
