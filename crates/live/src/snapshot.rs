//! All that is known, as bytes that outlive the program: so that a start knows again what devices say rarely.
//!
//! ```text
//! "odo live" | u32 version | pieces, each: u32 length | u64 hash | bytes
//! first piece: u8 numbers | u16 parameters, each: u8 length + name
//! each other:  u16 length + tenant | devices, each: u16 length + name, u32 length + state as `packed` has it
//! last piece:  nothing
//! ```
//!
//! Rows of parameters are those of the dictionary that the first piece names: a later program finds its own for them. Groups
//! are not in it, as whoever knows them may have changed them since.

use crate::bits::{RECORD, row_of};
use crate::packed::{FIRST_HEADER_BYTES, HEADER_BYTES, Reader, of_rows};
use crate::slots::Slots;
use odograph_model::{Key, NUMBER_MAX, PARAMETERS};
use xxhash_rust::xxh3::xxh3_64;

/// What came of reading a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Devices that were taken in.
    pub devices: u64,
    /// Devices for which there was no room.
    pub refused: u64,
    /// Whether something is missing: it is damaged, cut short, or no snapshot at all.
    pub is_damaged: bool,
}

/// The beginning.
pub(crate) fn head() -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend(VERSION.to_le_bytes());
    let mut names = vec![NUMBER_MAX];
    names.extend((PARAMETERS.len() as u16).to_le_bytes());
    for parameter in PARAMETERS {
        names.push(parameter.name.len() as u8);
        names.extend_from_slice(parameter.name.as_bytes());
    }
    head.extend(framed(&names));
    head
}

/// Some devices of a tenant, from a slot on, if there are any; and the slot after them, if there are more.
pub(crate) fn piece(tenant: &str, slots: &Slots, from: u32) -> (Option<Vec<u8>>, Option<u32>) {
    let end = slots.count().min(from + PIECE_SLOTS);
    let mut bytes = Vec::new();
    put_name(&mut bytes, tenant);
    let empty = bytes.len();
    for device in (from..end).map(|slot| slots.device(slot)).filter(|device| !device.packed.is_empty()) {
        put_name(&mut bytes, &device.name);
        bytes.extend((device.packed.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&device.packed);
    }
    ((bytes.len() > empty).then(|| framed(&bytes)), (end < slots.count()).then_some(end))
}

/// The end.
pub(crate) fn tail() -> Vec<u8> {
    framed(&[])
}

/// Gives each device's tenant, name and state to `take`, which says whether there is room for it.
pub(crate) fn read(bytes: &[u8], mut take: impl FnMut(&str, &str, &[u8]) -> bool) -> Restored {
    let mut restored = Restored { is_damaged: true, ..Restored::default() };
    let mut bytes = Reader(bytes);
    let is_ours = bytes.take(MAGIC.len()) == Some(MAGIC);
    let header_bytes = match bytes.array().map(u32::from_le_bytes).filter(|_| is_ours) {
        Some(1) => FIRST_HEADER_BYTES,
        Some(VERSION) => HEADER_BYTES,
        _ => return restored,
    };
    let Some(rows) = piece_of(&mut bytes).and_then(|piece| rows_of(piece.ok()?)) else { return restored };
    let layout = Layout { header_bytes, rows };
    let mut is_whole = true;
    while let Some(piece) = piece_of(&mut bytes) {
        match piece {
            Ok([]) => {
                restored.is_damaged = !is_whole || !bytes.0.is_empty();
                return restored;
            }
            Ok(piece) => is_whole &= devices_of(piece, &layout, &mut restored, &mut take).is_some(),
            Err(Damaged) => is_whole = false,
        }
    }
    restored
}

/// The next piece; `None` where the bytes end before it does.
fn piece_of<'a>(bytes: &mut Reader<'a>) -> Option<Result<&'a [u8], Damaged>> {
    let length = u32::from_le_bytes(bytes.array()?);
    let hash = u64::from_le_bytes(bytes.array()?);
    let piece = bytes.take(usize::try_from(length).ok()?)?;
    Some(if xxh3_64(piece) == hash { Ok(piece) } else { Err(Damaged) })
}

struct Damaged;

/// How a snapshot writes what is known of a device.
struct Layout {
    header_bytes: usize,
    /// The rows of this program for those of the snapshot.
    rows: Vec<Option<u16>>,
}

/// The rows of this program for those of a snapshot.
fn rows_of(piece: &[u8]) -> Option<Vec<Option<u16>>> {
    let mut bytes = Reader(piece);
    let numbers = bytes.u8()?;
    let mut rows = vec![Some(RECORD)];
    for _ in 0..u16::from_le_bytes(bytes.array()?) {
        let name = bytes.text()?;
        let mut add = |name: &str| rows.push(Key::from_name(name).and_then(row_of));
        match name.split_once('{') {
            Some((stem, _)) => (1..=numbers).for_each(|number| add(&format!("{stem}{number}"))),
            None => add(&name),
        }
    }
    bytes.0.is_empty().then_some(rows)
}

fn devices_of(
    piece: &[u8],
    layout: &Layout,
    restored: &mut Restored,
    take: &mut impl FnMut(&str, &str, &[u8]) -> bool,
) -> Option<()> {
    let mut bytes = Reader(piece);
    let tenant = name_of(&mut bytes)?;
    while !bytes.0.is_empty() {
        let device = name_of(&mut bytes)?;
        let length = u32::from_le_bytes(bytes.array()?);
        let packed = of_rows(bytes.take(usize::try_from(length).ok()?)?, layout.header_bytes, &layout.rows)?;
        let count = if take(tenant, device, &packed) { &mut restored.devices } else { &mut restored.refused };
        *count += 1;
    }
    Some(())
}

fn put_name(bytes: &mut Vec<u8>, name: &str) {
    // Ids of devices and tenants are far shorter than this counts.
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend_from_slice(name.as_bytes());
}

fn name_of<'a>(bytes: &mut Reader<'a>) -> Option<&'a str> {
    let length = u16::from_le_bytes(bytes.array()?);
    std::str::from_utf8(bytes.take(usize::from(length))?).ok()
}

fn framed(piece: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(piece.len() + 12);
    framed.extend((piece.len() as u32).to_le_bytes());
    framed.extend(xxh3_64(piece).to_le_bytes());
    framed.extend_from_slice(piece);
    framed
}

const MAGIC: &[u8] = b"odo live";
/// The first one did not say when a device moved last.
const VERSION: u32 = 2;
/// So many devices are written while the pipeline may have to wait.
const PIECE_SLOTS: u32 = 256;

#[cfg(test)]
mod tests;
