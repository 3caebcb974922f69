//! Files for devices: firmware and configurations (GOST R 54619-2011, 6.7.4).
//!
//! ```text
//! 33 part   IIII NNNN QQQQ [header] B*       I file, N part of Q, the header only in the first
//! 34 whole  header B*
//! header    FF CC VVVV WWWW name 00          F what it is and for what, C component, V version, W CRC-16 of the file
//! ```

use super::{text, transport, zero_ended};
use crate::CommandError;
use compact_str::{ToCompactString, format_compact};
use odograph_model::{Key, Record};
use odograph_wire::{Cursor, Result, checksum};

pub(super) const PART: u8 = 33;
pub(super) const WHOLE: u8 = 34;

/// A file's name has at most so many bytes.
const NAME_MAX: usize = 64;
/// What stands in a packet around a piece of a file: header and checksum, record, subrecord, and the piece's own.
const OVERHEAD: usize = transport::HEADER + 2 + 11 + 3 + 6;
/// Where a device does not say how long a packet it takes, each takes this.
const BUFFER: usize = 1024;
/// A packet is not made shorter than this, however small the buffer: the header of a file has to fit.
const BUFFER_MIN: usize = 256;

/// A file on its way to a device.
pub(super) struct File<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) name: &'a [u8],
    /// Whether it is a configuration instead of firmware.
    pub(super) is_configuration: bool,
    /// Part of the device that it is for.
    pub(super) component: u8,
    pub(super) version: u16,
}

impl File<'_> {
    /// The subrecords that carry it, each for a packet of its own: one, or as many as the device's buffer asks for.
    pub(super) fn subrecords(&self, number: u16, buffer: u16) -> std::result::Result<Vec<Vec<u8>>, CommandError> {
        let too_long = CommandError::Invalid { attribute: "file", reason: "has at most 64 letters" };
        let head = self.head().ok_or(too_long)?;
        let buffer = if buffer == 0 { BUFFER } else { usize::from(buffer).max(BUFFER_MIN) };
        let room = buffer.saturating_sub(OVERHEAD).saturating_sub(head.len()).max(1);
        if self.bytes.len() <= room {
            return Ok(vec![transport::subrecord(WHOLE, &[&head, self.bytes].concat())]);
        }
        let pieces: Vec<&[u8]> = self.bytes.chunks(room).collect();
        let many = CommandError::Invalid { attribute: "data", reason: "takes more than 65535 packets" };
        let count = u16::try_from(pieces.len()).map_err(|_| many)?;
        let part = |(index, piece): (u16, &&[u8])| {
            let mut data = Vec::new();
            for word in [number, index, count] {
                data.extend(word.to_le_bytes());
            }
            data.extend_from_slice(if index == 1 { &head } else { &[] });
            data.extend_from_slice(piece);
            transport::subrecord(PART, &data)
        };
        Ok((1..=count).zip(&pieces).map(part).collect())
    }

    fn head(&self) -> Option<Vec<u8>> {
        let kind = u8::from(self.is_configuration) << 2 | 1;
        let mut head = vec![kind, self.component];
        head.extend(self.version.to_le_bytes());
        head.extend(checksum::crc16_ccitt_false(self.bytes).to_le_bytes());
        head.extend_from_slice(self.name);
        head.push(0);
        (self.name.len() <= NAME_MAX && !self.name.contains(&0)).then_some(head)
    }
}

/// A file that a device or platform sends. The standard has them go to devices only; the bytes stay in the journal, and
/// the record says what they are.
pub(super) fn read(kind: u8, c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let mut first = true;
    if kind == PART {
        let [id, number, count] = [c.u16_le("file")?, c.u16_le("part")?, c.u16_le("parts")?];
        first = number == 1;
        for (name, value) in [("file.id", id), ("file.part", number), ("file.parts", count)] {
            record.raw(name, value.to_compact_string());
        }
    }
    if first {
        let (attributes, component) = (c.u8("file attributes")?, c.u8("component")?);
        let [minor, major] = c.byte_array::<2>("version")?;
        let sum = c.u16_le("checksum of the file")?;
        let name = text::letters(zero_ended(c, "file name")?);
        record.raw("file.kind", if attributes >> 2 & 3 == 0 { "firmware" } else { "configuration" });
        record.raw("file.component", component.to_compact_string());
        record.raw("file.version", format_compact!("{major}.{minor}"));
        record.raw("file.checksum", format_compact!("{sum:04x}"));
        record.raw("file.name", name);
    }
    record.raw("file.length", c.take_rest("file").len().to_compact_string());
    record.set(Key::DeviceMessageType, kind.to_compact_string());
    Ok(())
}
