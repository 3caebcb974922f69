//! What a power cut leaves.

use super::state::{FileOperation, Inode, State};
use crate::SeededRng;

/// What becomes of operations that were not flushed when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerCut {
    /// All of them are lost.
    Lost,
    /// All of them happened.
    Kept,
    /// Each is kept, lost or torn, whatever became of those before it; by this seed.
    Random(u64),
}

pub(super) fn after(state: &State, cut: PowerCut) -> State {
    let rng = match cut {
        PowerCut::Random(seed) => SeededRng::new(seed),
        _ => SeededRng::new(0),
    };
    let inodes = state.inodes().iter().map(|inode| Inode::durable(file_after(inode, cut, &rng))).collect();
    let mut names = state.durable_names.clone();
    for operation in &state.pending_names {
        if is_kept(cut, &rng) {
            operation.apply(&mut names);
        }
    }
    State::durable(inodes, names, state.folders.clone())
}

fn file_after(inode: &Inode, cut: PowerCut, rng: &SeededRng) -> Vec<u8> {
    let mut image = inode.durable.clone();
    for operation in inode.doubtful.iter().chain(&inode.pending) {
        match cut {
            PowerCut::Lost => {}
            PowerCut::Kept => operation.apply(&mut image),
            PowerCut::Random(_) => apply_some(operation, &mut image, rng),
        }
    }
    image
}

fn is_kept(cut: PowerCut, rng: &SeededRng) -> bool {
    match cut {
        PowerCut::Lost => false,
        PowerCut::Kept => true,
        PowerCut::Random(_) => rng.one_in(2),
    }
}

/// Applies all, nothing or a part of an operation.
fn apply_some(operation: &FileOperation, image: &mut Vec<u8>, rng: &SeededRng) {
    match (rng.below(4), operation) {
        (0, _) => {}
        (1, _) => operation.apply(image),
        (2, FileOperation::Write { offset, bytes }) => {
            let length = rng.below(bytes.len() as u64 + 1) as usize;
            FileOperation::Write { offset: *offset, bytes: bytes[..length].to_vec() }.apply(image);
        }
        (_, FileOperation::Write { offset, bytes }) => apply_sectors(*offset, bytes, image, rng),
        (_, FileOperation::Grow(length)) => {
            let added = length.saturating_sub(image.len());
            FileOperation::Grow(image.len() + rng.below(added as u64 + 1) as usize).apply(image);
        }
        // A length changes as a whole.
        (_, FileOperation::SetLength(_)) => operation.apply(image),
    }
}

/// Applies some of the sectors that a write touches.
fn apply_sectors(offset: usize, bytes: &[u8], image: &mut Vec<u8>, rng: &SeededRng) {
    let mut at = 0;
    while at < bytes.len() {
        let length = (SECTOR_BYTES - (offset + at) % SECTOR_BYTES).min(bytes.len() - at);
        if rng.one_in(2) {
            FileOperation::Write { offset: offset + at, bytes: bytes[at..at + length].to_vec() }.apply(image);
        }
        at += length;
    }
}

/// What a disk writes as a whole.
const SECTOR_BYTES: usize = 512;
