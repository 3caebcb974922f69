//! Whether history has exactly what was sealed: each device's entries of each segment, put together again out of the tables
//! of frames, must have the hash that the node signed.

use anyhow::Result;
use odograph_journal::{Entry, Identity, Leaves, ProofCheck, PublicKey, Reader};
use odograph_lake::{Lake, StoredFrame, Unread};
use odograph_model::{Lsn, Time};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Proven {
    /// Segments of which history has all that was sealed.
    pub(super) segments: u64,
    /// Devices of those, a device of two segments counting twice.
    pub(super) devices: u64,
    /// Of those segments, devices of which something was erased: their leaves are left alone.
    pub(super) erased: u64,
    /// Segments that were not looked at: history has not come so far, or does not keep them any more.
    pub(super) passed_over: u64,
    /// Devices whose entries in history are not those that were sealed: where the segment begins, and whose.
    pub(super) wrong: Vec<(Lsn, String)>,
    /// Segments of which something cannot be read, with the file that it is in, and why.
    pub(super) unread: Vec<(Lsn, String, String)>,
}

/// Compares all sealed segments before `until`, but those that were sealed before `kept`.
pub(super) fn compare(reader: &Reader, lake: &Lake, key: &PublicKey, until: Lsn, kept: Option<Time>) -> Result<Proven> {
    let mut proven = Proven::default();
    for record in reader.seals()?.into_iter().flatten() {
        let is_kept = kept.is_none_or(|kept| record.sealed_at >= kept.0);
        let leaves = if record.end <= until && is_kept { reader.leaves(record.base)? } else { None };
        let Some(leaves) = leaves.filter(|leaves| leaves.record().is_signed_by(key)) else {
            proven.passed_over += 1;
            continue;
        };
        let wrong = match wrong_devices(lake, record.node, &leaves) {
            Ok(wrong) => wrong,
            Err(error) => {
                // The other segments are looked at all the same.
                let files = lake.unread_frames(record.node, record.base);
                if files.is_empty() {
                    return Err(error);
                }
                proven.unread.extend(files.into_iter().map(|Unread { file, why }| (record.base, file, why)));
                continue;
            }
        };
        proven.erased += leaves.erased();
        proven.devices += leaves.devices().count() as u64 - wrong.len().min(leaves.devices().count()) as u64;
        proven.segments += u64::from(wrong.is_empty());
        proven.wrong.extend(wrong.into_iter().map(|device| (record.base, device)));
    }
    Ok(proven)
}

/// The devices of a segment whose entries in history are not all and only those that were sealed.
fn wrong_devices(lake: &Lake, node: u16, leaves: &Leaves) -> Result<Vec<String>> {
    let (mut wrong, mut found) = (Vec::new(), Vec::<String>::new());
    let mut current: Option<(String, ProofCheck)> = None;
    let mut end = |device: Option<(String, ProofCheck)>| {
        let Some((device, check)) = device else { return };
        // What is left in a leaf of which somebody else's was erased cannot be proven any more, and is told as that.
        if !leaves.are_of(&device, &check) && !leaves.is_rest(&device) {
            wrong.push(device.clone());
        }
        found.push(device);
    };
    lake.frames_of_segment(node, leaves.record().base, None, |frame| {
        if current.as_ref().is_none_or(|(device, _)| device != frame.device) {
            end(current.take());
            current = Some((frame.device.to_owned(), ProofCheck::default()));
        }
        if let Some((_, check)) = &mut current {
            // What no entry can be is no entry that was sealed.
            check.add(&bytes(frame).unwrap_or_default());
        }
    })?;
    end(current);
    // Both are sorted by name.
    let missing = leaves.devices().filter(|device| found.binary_search_by(|name| (**name).cmp(device.name)).is_err());
    wrong.extend(missing.map(|device| device.name.to_owned()));
    Ok(wrong)
}

/// The entry's bytes as they were in the journal.
fn bytes(frame: StoredFrame<'_>) -> Option<Vec<u8>> {
    let entry = Entry {
        lsn: frame.place,
        stream: frame.stream,
        at: frame.at.0,
        kind: frame.kind.parse().ok()?,
        context: frame.context,
        identity: frame.decision.map(|decision| Identity { device: frame.device, decision }),
        payload: frame.payload,
        bytes: &[],
    };
    Some(entry.to_bytes())
}
