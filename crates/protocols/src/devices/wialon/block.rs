//! Packets with a block of bytes behind their line: pictures and tachograph files, in parts.
//!
//! A record says which part of what came; the bytes themselves stay where all that was received is kept.

use super::{Fault, Packet, WialonSession, point, text};
use crate::Out;
use compact_str::CompactString;
use odograph_model::{Key, Record};
use odograph_wire::{Fields, Malformed, Reason, Result};

/// How many bytes follow the line: 0 where it announces none.
pub(super) fn announced(line: &[u8]) -> usize {
    let mut parts = line.splitn(3, |byte| *byte == b'#');
    let _prefix = parts.next();
    let place = match parts.next() {
        Some(b"I") => 0,
        Some(b"T") => 1,
        _ => return 0,
    };
    let size = parts.next().and_then(|body| body.split(|byte| *byte == b';').nth(place));
    let digits = size.and_then(|size| std::str::from_utf8(size).ok()).unwrap_or_default();
    // A size that no number holds is too large, and told so as the largest one.
    match digits.trim().parse() {
        Ok(size) => size,
        Err(_) if digits.len() > 9 && digits.bytes().all(|digit| digit.is_ascii_digit()) => usize::MAX,
        Err(_) => 0,
    }
}

/// A tachograph file under way: its header says how many blocks it has, and the blocks do not.
pub(super) struct Tachograph {
    code: CompactString,
    count: u32,
}

/// The maker shows codes of a few digits.
const CODE_MAX: usize = 64;

impl Tachograph {
    pub(super) fn save(&self, context: &mut Vec<u8>) {
        context.extend_from_slice(&self.count.to_le_bytes());
        context.extend_from_slice(self.code.as_bytes());
    }

    pub(super) fn restore(context: &[u8]) -> Option<Self> {
        let (count, code) = context.split_first_chunk().filter(|(_, code)| code.len() <= CODE_MAX)?;
        Some(Self { code: std::str::from_utf8(code).ok()?.into(), count: u32::from_le_bytes(*count) })
    }
}

impl WialonSession {
    /// `size;index;last index;date;time;name[;CRC]`
    pub(super) fn picture(&self, packet: &Packet<'_>, out: &mut Out<'_>) -> Result<()> {
        let [_, _, at, _] = packet.at;
        let (fields, stated) = split(packet.body, 6);
        let body = self.text(fields);
        let mut f = out.fields(&body, at, ';');
        let mut index = None;
        let mut record = |out: &mut Out<'_>| -> Result<(Record, bool)> {
            let size = f.num::<u32>("size")?;
            index = Some(f.num::<u32>("index")?);
            let last = f.num::<u32>("last index")?;
            let time = point::moment(&mut f, out)?;
            let mut record = Record::new();
            record.time = time;
            record.set(Key::DeviceMessageType, "I");
            record.raw("image.name", f.take_rest("name"));
            record.raw("image.size", size);
            record.raw("image.block", index.unwrap_or_default());
            record.raw("image.blocks", last.saturating_add(1));
            Ok((record, index == Some(last)))
        };
        let record = record(out);
        let answer = index.map_or("#AI#NA;".to_owned(), |index| format!("#AI#{index};"));
        let (record, last) = record.map_err(|malformed| Fault { malformed, code: "0" }.tell(&answer, out))?;
        self.whole(packet, fields, stated, out).map_err(|fault| fault.tell(&answer, out))?;
        out.record(record.hash_span(b"I").hash_span(fields).hash_span(packet.block));
        out.reply(format!("{answer}1\r\n"));
        if last {
            out.reply(b"#AI#1\r\n");
        }
        Ok(())
    }

    /// `date;time;driver;code;count[;CRC]`
    pub(super) fn tachograph_header(&mut self, packet: &Packet<'_>, out: &mut Out<'_>) -> Result<()> {
        let [_, _, at, _] = packet.at;
        let seal = match split(packet.body, 5) {
            (_, Some(_)) => text::seal(packet.body, true),
            (_, None) => text::seal(packet.body, packet.sealed),
        };
        let body =
            self.opened(seal, at, out).map_err(|(malformed, _)| Fault { malformed, code: "01" }.tell("#AIT#", out))?;
        let header = self.text(body);
        let mut f = out.fields(&header, at, ';');
        let (record, tachograph) =
            header_of(&mut f, out).map_err(|malformed| Fault { malformed, code: "0" }.tell("#AIT#", out))?;
        self.tachograph = Some(tachograph);
        out.record(record.hash_span(b"IT").hash_span(body));
        out.reply(b"#AIT#1\r\n");
        Ok(())
    }

    /// `code;size;index[;CRC]`
    pub(super) fn tachograph_block(&mut self, packet: &Packet<'_>, out: &mut Out<'_>) -> Result<()> {
        let [_, _, at, _] = packet.at;
        let (fields, stated) = split(packet.body, 3);
        let body = self.text(fields);
        let mut f = out.fields(&body, at, ';');
        let mut parse = || -> Result<(&str, u32, u32)> { Ok((f.text("code")?, f.num("size")?, f.num("index")?)) };
        let (code, size, index) = parse().map_err(|malformed| Fault { malformed, code: "0" }.tell("#AT#", out))?;
        let answer = format!("#AT#{index};");
        self.whole(packet, fields, stated, out).map_err(|fault| fault.tell(&answer, out))?;
        let mut record = Record::new();
        record.set(Key::DeviceMessageType, "T");
        record.raw("tachograph.code", code);
        record.raw("tachograph.size", size);
        record.raw("tachograph.block", index);
        out.record(record.hash_span(b"T").hash_span(fields).hash_span(packet.block));
        out.reply(format!("{answer}1\r\n"));
        let last = |file: &Tachograph| file.code == code && index.checked_add(1) == Some(file.count);
        if self.tachograph.as_ref().is_some_and(last) {
            self.tachograph = None;
            out.reply(b"#AT#1\r\n");
        }
        Ok(())
    }

    /// Whether the block is all there, and fits its checksum, which covers nothing else.
    fn whole(
        &self,
        packet: &Packet<'_>,
        fields: &[u8],
        stated: Option<&[u8]>,
        out: &mut Out<'_>,
    ) -> std::result::Result<(), Fault> {
        let [_, _, at, block_at] = packet.at;
        let (need, have) = (packet.announced, packet.block.len());
        if have < need {
            let malformed = Malformed::new("block", block_at, Reason::Truncated { need, have });
            return Err(Fault { malformed, code: "0" });
        }
        let sealed_length = fields.len().saturating_add(1);
        let at = at.saturating_add(sealed_length);
        let reason = match stated {
            None if packet.sealed => Some(Reason::Truncated { need: 1, have: 0 }),
            None => None,
            Some(stated) => text::mismatch(packet.block, stated),
        };
        match reason {
            None => Ok(()),
            Some(reason) => self
                .weigh(Malformed::new("checksum", at, reason), out)
                .map_err(|malformed| Fault { malformed, code: "01" }),
        }
    }
}

fn header_of(f: &mut Fields<'_>, out: &mut Out<'_>) -> Result<(Record, Tachograph)> {
    let time = point::moment(f, out)?;
    let mut record = Record::new();
    record.time = time;
    record.set(Key::DeviceMessageType, "IT");
    record.set_some(Key::DriverId, point::stated(f.text("driver")?));
    let at = f.at();
    let code = f.text("code")?.trim();
    if code.len() > CODE_MAX {
        return Err(Malformed::new("code", at, Reason::TooMany { max: CODE_MAX }));
    }
    let count = f.num("count")?;
    f.finish("header")?;
    record.raw("tachograph.code", code);
    record.raw("tachograph.blocks", count);
    Ok((record, Tachograph { code: code.into(), count }))
}

/// The first `count` fields of `body`, and the one behind them where there is one.
fn split(body: &[u8], count: usize) -> (&[u8], Option<&[u8]>) {
    let mut places = body.iter().enumerate().filter(|(_, byte)| **byte == b';').map(|(place, _)| place);
    match places.nth(count.saturating_sub(1)).and_then(|place| body.split_at_checked(place)) {
        Some((fields, [_, stated @ ..])) => (fields, Some(stated)),
        _ => (body, None),
    }
}
