//! How many files may be open: as many as the system allows at all.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that we need beside the devices' connections: the journal, the HTTP server, exports, the log.
pub(crate) const RESERVE: usize = 256;

/// Raises the limit as far as it goes, and says how far that is.
pub(crate) fn raise() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let before = limit.current;
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "cannot raise the limit of open files");
            limit.current = before;
        }
    }
    limit.current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// How many connections that leaves for devices.
pub(crate) fn connections(limit: usize) -> usize {
    limit.saturating_sub(RESERVE).max(1)
}
