//! What the journal found when it was opened, for the log.

use crate::exit::{Failure, Status};
use odograph_env::is_full;
use odograph_journal::{Error, Header, Recovered, Recovery, Stop};
use odograph_wire::notation::to_hex;
use std::io;
use std::path::Path;

/// The journal cannot be opened: says what to do, and whether starting again can help.
pub(crate) fn cannot_open(path: &Path, error: &Error) -> anyhow::Error {
    let (status, what) = match error {
        Error::Io { source, .. } if is_full(source) => {
            (Status::CannotCreate, "the disk is full: make room, and start again".to_owned())
        }
        Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            (Status::CannotCreate, "run as the user who owns it, or name another folder with --data".to_owned())
        }
        Error::WrongNode { found, .. } => {
            (Status::Config, format!("set journal.node to {found}, or name another folder with --data"))
        }
        Error::Option { .. } => (Status::Config, "correct the configuration".to_owned()),
        Error::Damaged { .. } => (Status::NoInput, "a person has to decide".to_owned()),
        _ => (Status::Problems, "`odograph doctor` looks at the disk".to_owned()),
    };
    let why = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    Failure::new(status, format!("cannot open the journal in {}: {why}: {what}", path.display())).into()
}

/// Tells it: plainly where all is well, as a warning where bytes could not be read.
pub(crate) fn report(recovery: &Recovery) {
    for segment in &recovery.segments {
        tell(segment);
    }
    if recovery.chain_cut {
        tracing::warn!("the last seal was cut short: its segment is sealed again");
    }
    if recovery.other_key {
        tracing::error!(
            public_key = to_hex(&recovery.public_key),
            "the signing key of the journal is another than before: it was lost or exchanged. What is sealed from now on is \
             signed with this one, and the chain of seals says so; whoever checks proofs needs this public key as well"
        );
    }
    if recovery.seals_lost {
        tell_lost_seals(recovery);
    }
    for hole in &recovery.holes {
        let (file, begin, end) = (hole.path.display(), hole.begin, hole.end);
        tracing::error!(
            %file, %begin, %end,
            "a part of the journal is lost: its files are not there, and were not removed by retention. Put them back from a \
             backup if there is one"
        );
    }
    if let Some(file) = &recovery.cursors_aside {
        tracing::error!(
            file = %file.display(),
            "how far readers of the journal had come was not what was written, and was put aside: they begin again with the oldest \
             segment, and history recognises what it has. Something damaged the disk"
        );
    }
    if recovery.indexes_missing > 0 {
        let indexes = recovery.indexes_missing;
        tracing::warn!(indexes, "indexes of journal segments are missing: they are made again from the segments");
    }
    tracing::info!(next = %recovery.next, segments_recovered = recovery.segments.len(), "journal open");
}

fn tell_lost_seals(recovery: &Recovery) {
    let of = |agrees| recovery.segments.iter().filter(|segment| segment.index_agrees == agrees).count();
    let (segments, agree, disagree, without_index) =
        (recovery.segments.len(), of(Some(true)), of(Some(false)), of(None));
    tracing::error!(
        segments,
        agree,
        disagree,
        without_index,
        "seals of the journal are lost: nothing proves any more that these segments are what was sealed. They are sealed again as \
         they are now, from their entries, each of which has its checksum; the indexes of `disagree` say that something was \
         changed or is lost. If there is a backup of the file `chain`, end this server and put it back"
    );
}

fn tell(segment: &Recovered) {
    let Recovered { path, base, end, entries, stop, bytes_after, entries_after, header, index_agrees: _ } = segment;
    let file = path.display();
    let header = match header {
        Header::Whole => "whole",
        Header::Rewritten => "damaged, written again",
        Header::Unreadable => "unreadable",
    };
    if *entries_after > 0 {
        tracing::error!(
            %file, %base, %end, entries, %stop, bytes_after, entries_after, header,
            "recovered a journal segment with whole entries behind a damaged place: unless the power was cut, the disk \
             lost data that may have been acknowledged"
        );
    } else if matches!(stop, Stop::CleanEnd | Stop::ZeroLength) && *bytes_after == 0 {
        tracing::info!(%file, %base, %end, entries, %stop, header, "recovered a journal segment");
    } else {
        tracing::warn!(
            %file, %base, %end, entries, %stop, bytes_after, header,
            "recovered a journal segment up to where writing was cut short: nothing behind it was acknowledged, unless \
             the disk lost data"
        );
    }
}
