//! How many files may be open: as many as the system allows at all.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that we need beside the devices' connections: the journal, the HTTP server, exports, the log.
const RESERVE: usize = 256;

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

/// Who may have how many of the files that may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Connections of devices.
    pub(crate) connections: usize,
    /// Connections of the control socket.
    pub(crate) control: usize,
    /// Connections of the HTTP port.
    pub(crate) http: usize,
}

/// Divides a limit. Devices never get all of it: the journal, history, and whoever asks how the server is come first.
pub(crate) fn shares(limit: usize) -> Shares {
    // With few files, most are ours: a server of one listener has some 40 open.
    let control = (limit / 16).clamp(2, HTTP_USUAL);
    let http = (limit / 64).clamp(control, HTTP_MOST);
    // Those of a usual number are among the reserve.
    let connections = limit.saturating_sub(RESERVE + http.saturating_sub(HTTP_USUAL)).max(limit / 4).max(1);
    Shares { connections, control, http }
}

/// The connections that devices get, and what to say about it where that is fewer than somebody wants.
pub(crate) fn connections(limit: usize, listeners: usize, wanted: Option<usize>) -> (usize, Option<String>) {
    // Those of a usual number are among our own files.
    let listeners = listeners.saturating_sub(LISTENERS_USUAL);
    let possible = shares(limit.saturating_sub(listeners)).connections;
    let needed = wanted.map_or(LIMIT_LEAST, |wanted| wanted.saturating_add(RESERVE)).saturating_add(listeners);
    let given = wanted.unwrap_or(possible).min(possible);
    let short = wanted.map_or(limit < LIMIT_LEAST, |wanted| wanted > possible);
    let warning = short.then(|| {
        let wanted = wanted.map_or(String::new(), |wanted| format!(", not the {wanted} of limits.connections_max"));
        format!(
            "{limit} files may be open at a time, which leaves room for {given} connections of devices{wanted}: {}",
            remedy(needed)
        )
    });
    (given, warning)
}

/// How many listeners files are set aside for, where `begun` are open from the start and `made` were made in the catalog before: some more
/// can be made then while the server runs, and devices have the rest.
pub(crate) fn listeners(limit: usize, begun: usize, made: usize) -> usize {
    let usual = LISTENERS_USUAL.min(limit / LISTENERS_OF_FEW);
    (begun + made + limit / LISTENERS_MORE).max(usual)
}

/// How to get so many files.
fn remedy(needed: usize) -> String {
    format!("raise the hard limit with `LimitNOFILE={needed}` in the systemd unit, or `ulimit -Hn {needed}`")
}

/// Of so many files, one is set aside for a listener that is made later: four thousand of the million that a server usually has.
const LISTENERS_MORE: usize = 256;

/// Where there are few files, one of so many.
const LISTENERS_OF_FEW: usize = 16;

/// Listeners that are counted among the reserve.
const LISTENERS_USUAL: usize = 64;

/// A gateway that may open fewer files than this is not worth its machine.
const LIMIT_LEAST: usize = 4096;

/// Monitoring and a few people.
const HTTP_USUAL: usize = 64;

/// Programs, and people, whose browsers have up to six each.
const HTTP_MOST: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_never_get_all_files() {
        for limit in 64..3000 {
            let Shares { connections, control, http } = shares(limit);
            let all = connections + control + http + limit.min(RESERVE) / 2;
            assert!(all <= limit, "{limit}: {connections}, {control} and {http}");
        }
        assert_eq!(shares(64), Shares { connections: 16, control: 4, http: 4 });
        assert_eq!(shares(1 << 20), Shares { connections: (1 << 20) - 704, control: 64, http: 512 });
    }

    #[test]
    fn listeners_can_be_made_later() {
        assert_eq!(listeners(1 << 20, 22, 0), 22 + 4096);
        assert_eq!(listeners(4096, 22, 10), 64, "those of a usual number");
        assert_eq!(listeners(96, 2, 0), 6);
        assert_eq!(listeners(96, 2, 50), 52, "what there is is there");
    }

    #[test]
    fn too_few_files_are_told() {
        assert_eq!(connections(4096, 1, None), (3840, None));
        assert_eq!(connections(4096, 1, Some(3840)), (3840, None));
        let (given, warning) = connections(64, 1, None);
        assert_eq!(given, 16);
        let expected = "64 files may be open at a time, which leaves room for 16 connections of devices: raise the hard limit \
                        with `LimitNOFILE=4096` in the systemd unit, or `ulimit -Hn 4096`";
        assert_eq!(warning.as_deref(), Some(expected));
        // Thousands of listeners leave less.
        assert_eq!(connections(20_000, 5064, None), (20_000 - 5000 - 256 - 170, None));
        let (given, warning) = connections(1024, 1, Some(5000));
        assert_eq!(given, 768);
        assert!(
            warning
                .unwrap()
                .contains("not the 5000 of limits.connections_max: raise the hard limit with `LimitNOFILE=5256`")
        );
    }
}
