//! What the journal found when it was opened, for the log.

use odograph_journal::{Header, Recovered, Recovery, Stop};

/// Tells it: plainly where all is well, as a warning where bytes could not be read.
pub(crate) fn report(recovery: &Recovery) {
    for segment in &recovery.segments {
        tell(segment);
    }
    if recovery.chain_cut {
        tracing::warn!("the last seal was cut short: its segment is sealed again");
    }
    tracing::info!(next = %recovery.next, segments_recovered = recovery.segments.len(), "journal open");
}

fn tell(segment: &Recovered) {
    let Recovered { path, base, end, entries, stop, bytes_after, entries_after, header } = segment;
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
