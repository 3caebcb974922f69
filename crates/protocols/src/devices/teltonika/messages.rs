//! Codecs 12 to 15: commands, what devices answer, what comes from their serial ports, and pictures.
//!
//! ```text
//! 12  T LLLLLLLL D*                               T type: 05 command, 06 answer, 0D camera, others as the device says
//! 13  T LLLLLLLL SSSSSSSS D*                      S seconds since 1970; L counts S
//! 14  T LLLLLLLL IIIIIIIIIIIIIIII D*              I IMEI in BCD; L counts I; type 11: the IMEI was not the device's
//! 15  T LLLLLLLL SSSSSSSS IIIIIIIIIIIIIIII D*     L counts S and I
//! camera    01 PPPPPPPP (ZZZZZZZZ)                P picture, of Z bytes, can be had
//!           02 PPPPPPPP OOOOOOOO NNNN B*          N bytes B of it from offset O
//!        →  02 PPPPPPPP OOOOOOOO NNNN             send N bytes from O on
//! ```

use crate::{Answer, Command, CommandError, Out};
use compact_str::{CompactString, ToCompactString, format_compact};
use odograph_model::{Key, Record, Time};
use odograph_wire::{Cursor, Result, checksum, put};

const CODEC_12: u8 = 0x0C;
const CODEC_13: u8 = 0x0D;
const CODEC_14: u8 = 0x0E;
const CODEC_15: u8 = 0x0F;
const TYPE_COMMAND: u8 = 0x05;
const TYPE_ANSWER: u8 = 0x06;
const TYPE_CAMERA: u8 = 0x0D;
const TYPE_REFUSAL: u8 = 0x11;
/// Begins with what a serial driver reader says.
const DRIVER_READER: &str = "GTSL";
/// A picture is asked for in pieces of this many bytes, which a packet of every device holds.
const PHOTO_PIECE_MAX: u32 = 2048;

/// So many times a piece is asked for again where another one came. A camera that sends nothing else is left alone.
const REPEATS_MAX: u32 = 8;

/// Some cameras do not say how long a picture is: then a piece shorter than asked for is the last.
const SIZE_UNKNOWN: u32 = u32::MAX;

/// Whether packets of this codec are messages, which are not acknowledged.
pub(super) const fn is_message(codec: u8) -> bool {
    matches!(codec, CODEC_12..=CODEC_15)
}

/// A picture on its way: the next piece is the one from `next` on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Photo {
    id: u32,
    size: u32,
    next: u32,
    /// How often in a row another piece came than was asked for.
    repeats: u32,
}

impl Photo {
    pub(super) fn restore(context: &[u8]) -> Option<Self> {
        let mut c = Cursor::new(context);
        let (id, size, next) = (c.u32("id").ok()?, c.u32("size").ok()?, c.u32("next").ok()?);
        // Earlier versions did not count.
        let repeats = if c.is_empty() { 0 } else { c.u32("repeats").ok()? };
        let photo = Self { id, size, next, repeats };
        c.is_empty().then_some(photo)
    }

    pub(super) fn save(&self, context: &mut Vec<u8>) {
        for number in [self.id, self.size, self.next, self.repeats] {
            context.extend(number.to_be_bytes());
        }
    }

    /// The packet that asks for the next piece; `None` where all have come.
    fn request(&self) -> Option<Vec<u8>> {
        let left = self.size.checked_sub(self.next).filter(|left| *left > 0)?;
        let piece = u16::try_from(left.min(PHOTO_PIECE_MAX)).ok()?;
        let mut data = vec![2];
        data.extend(self.id.to_be_bytes());
        data.extend(self.next.to_be_bytes());
        data.extend(piece.to_be_bytes());
        Some(packet(CODEC_12, TYPE_CAMERA, &data))
    }
}

/// One message of a packet.
pub(super) fn message(c: &mut Cursor<'_>, codec: u8, photo: &mut Option<Photo>, out: &mut Out<'_>) -> Result<()> {
    let start = *c;
    let kind = c.u8("message type")?;
    let length = c.u32("message length")?;
    let mut data = c.sub("message", usize::try_from(length).unwrap_or(usize::MAX))?;
    let span = c.since(&start);
    if codec == CODEC_12 && kind == TYPE_CAMERA {
        return camera(&mut data, photo, span, out);
    }
    let mut record = Record::new();
    if codec == CODEC_13 || codec == CODEC_15 {
        let seconds = i64::from(data.u32("time")?);
        record.time = Some(Time(seconds.saturating_mul(1000)));
    }
    if codec == CODEC_14 || codec == CODEC_15 {
        let imei = imei(&mut data)?;
        if kind != TYPE_REFUSAL {
            out.identify(imei);
        }
    }
    if codec != CODEC_13 {
        record.set(Key::DeviceMessageType, kind.to_compact_string());
    }
    content(&mut record, codec, kind, data.take_rest("content"), out);
    if !record.values().is_empty() || !record.raw_values().is_empty() {
        out.record(record.hash_span(span));
    }
    Ok(())
}

fn content(record: &mut Record, codec: u8, kind: u8, bytes: &[u8], out: &mut Out<'_>) {
    let text = printable(bytes).map(str::trim);
    let shown = match text {
        Some(text) => CompactString::from(text),
        None => {
            let mut digits = String::new();
            put::hex(bytes, &mut digits);
            digits.into()
        }
    };
    let driver = text.filter(|text| codec == CODEC_13 && text.starts_with(DRIVER_READER));
    match driver.and_then(|text| text.split('|').nth(4)) {
        Some(driver) => record.set(Key::DriverId, driver),
        None if kind == TYPE_REFUSAL => record.set(Key::DeviceCommandResult, "refused: sent to another IMEI"),
        None if codec == CODEC_12 && is_axle_scale(text) => axles(record, text.unwrap_or_default()),
        None if !shown.is_empty() => record.set(Key::DeviceCommandResult, shown.clone()),
        None => {}
    }
    if codec != CODEC_13 && codec != CODEC_15 && matches!(kind, TYPE_ANSWER | TYPE_REFUSAL) {
        let done = (kind == TYPE_REFUSAL).then_some(false);
        out.answer(Answer { token: None, text: shown.into(), done });
    }
}

/// Text of letters of any alphabet and line ends. Bytes above ASCII do not count as text: no answer has them.
fn printable(bytes: &[u8]) -> Option<&str> {
    let is_text = bytes.iter().all(|byte| matches!(byte, b' '..=0x7F | b'\r' | b'\n'));
    if is_text { std::str::from_utf8(bytes).ok() } else { None }
}

/// Whether a scale on the serial port says what weighs on the axles: `UUUUww`, twelve numbers, `SSS`.
fn is_axle_scale(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.starts_with("UUUUww") && text.ends_with("SSS"))
}

/// The unit is nowhere described, so that these are no weights of the dictionary.
fn axles(record: &mut Record, text: &str) {
    const NAMES: [&str; 12] = [
        "axle1",
        "axle2",
        "axle3",
        "axle4",
        "axle5",
        "axle6",
        "axle7",
        "axle8",
        "loadTruck",
        "loadTrailer",
        "totalTruck",
        "totalTrailer",
    ];
    let numbers = text.trim_start_matches("UUUUww").trim_end_matches("SSS");
    for (name, number) in NAMES.into_iter().zip(numbers.split(';')) {
        record.raw(name, number);
    }
}

fn imei(c: &mut Cursor<'_>) -> Result<CompactString> {
    // Sixteen digits of which an IMEI has fifteen: the first is a zero.
    let digits = c.bcd("IMEI", 8)?;
    Ok(format_compact!("{digits:015}"))
}

fn camera(c: &mut Cursor<'_>, photo: &mut Option<Photo>, span: &[u8], out: &mut Out<'_>) -> Result<()> {
    match c.u8("camera message")? {
        1 => {
            let id = c.u32("picture")?;
            let size = if c.is_empty() { SIZE_UNKNOWN } else { c.u32("picture size")? };
            ask(Photo { id, size, next: 0, repeats: 0 }, photo, span, out);
        }
        2 => {
            let id = c.u32("picture")?;
            let offset = c.u32("offset")?;
            let length = c.u16("piece length")?;
            c.bytes("piece", usize::from(length))?;
            let Some(known) = photo.filter(|known| known.id == id) else {
                out.note("a piece of a picture that was not announced");
                return Ok(());
            };
            let is_next = known.next == offset;
            let repeats = if is_next { 0 } else { known.repeats.saturating_add(1) };
            if !is_next {
                out.note("a piece of a picture that was not asked for");
            }
            if repeats > REPEATS_MAX {
                out.note("the picture is given up: its next piece does not come");
                *photo = None;
                return Ok(());
            }
            let next = if is_next { offset.saturating_add(length.into()) } else { known.next };
            let is_last = known.size == SIZE_UNKNOWN && is_next && u32::from(length) < PHOTO_PIECE_MAX;
            let size = if is_last { next } else { known.size };
            ask(Photo { size, next, repeats, ..known }, photo, span, out);
        }
        _ => {}
    }
    Ok(())
}

/// Asks for the next piece, or says that the picture is whole: its pieces stand in the journal.
fn ask(state: Photo, photo: &mut Option<Photo>, span: &[u8], out: &mut Out<'_>) {
    match state.request() {
        Some(request) => {
            *photo = Some(state);
            out.reply(request);
        }
        None => {
            *photo = None;
            let mut record = Record::new();
            record.set(Key::MediaImage, format_compact!("{:08x}.jpg", state.id));
            out.record(record.hash_span(span));
        }
    }
}

/// The packet that sends `command`.
pub(super) fn encode(device: &str, command: &Command<'_>) -> std::result::Result<Vec<u8>, CommandError> {
    let text = match command.name {
        "custom" => return seal(device, command, &custom(command.required("data")?)),
        "engineStop" => "setdigout 1".to_owned(),
        "engineResume" => "setdigout 0".to_owned(),
        "outputControl" => output(command)?,
        "positionSingle" => "getgps".to_owned(),
        "getDeviceStatus" => "getstatus".to_owned(),
        "getVersion" => "getver".to_owned(),
        "getInfo" => "getinfo".to_owned(),
        "getIo" => "getio".to_owned(),
        "readIo" => format!("readio {}", number(command, "id")?),
        "getParameter" => format!("getparam {}", number(command, "id")?),
        "setParameter" => format!("setparam {}:{}", number(command, "id")?, command.required("value")?),
        "rebootDevice" => "cpureset".to_owned(),
        name => return Err(CommandError::Unknown { name: name.to_owned() }),
    };
    seal(device, command, text.as_bytes())
}

/// Pairs of hex digits are bytes, all else is text.
fn custom(data: &str) -> Vec<u8> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pairs = data.as_bytes().as_chunks::<2>();
    let bytes = pairs.0.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect();
    let is_hex = pairs.1.is_empty() && !data.is_empty();
    match bytes {
        Some(bytes) if is_hex => bytes,
        _ => data.as_bytes().to_vec(),
    }
}

/// Outputs before the one that is meant are left as they are.
fn output(command: &Command<'_>) -> std::result::Result<String, CommandError> {
    let before = match command.required("index")? {
        "1" => "",
        "2" => "?",
        "3" => "??",
        "4" => "???",
        _ => return Err(CommandError::Invalid { attribute: "index", reason: "an output from 1 to 4" }),
    };
    match command.required("data")? {
        "1" | "true" => Ok(format!("setdigout {before}1")),
        "0" | "false" => Ok(format!("setdigout {before}0")),
        _ => Err(CommandError::Invalid { attribute: "data", reason: "1 or 0" }),
    }
}

fn number(command: &Command<'_>, attribute: &'static str) -> std::result::Result<u32, CommandError> {
    let value = command.required(attribute)?.parse();
    value.map_err(|_| CommandError::Invalid { attribute, reason: "a whole number" })
}

fn seal(device: &str, command: &Command<'_>, data: &[u8]) -> std::result::Result<Vec<u8>, CommandError> {
    match command.attribute("codec").unwrap_or("12") {
        "12" => Ok(packet(CODEC_12, TYPE_COMMAND, data)),
        "14" => {
            let mut addressed = Vec::new();
            let is_imei = device.len() == 15 && put::bcd(device, &mut addressed).is_some();
            if !is_imei {
                return Err(CommandError::Invalid {
                    attribute: "codec",
                    reason: "14 needs a device named by its IMEI",
                });
            }
            addressed.extend(data);
            Ok(packet(CODEC_14, TYPE_COMMAND, &addressed))
        }
        _ => Err(CommandError::Invalid { attribute: "codec", reason: "12 or 14" }),
    }
}

/// A packet with one message.
fn packet(codec: u8, kind: u8, data: &[u8]) -> Vec<u8> {
    let mut body = vec![codec, 1, kind];
    // Attributes come from a command line or a form: they never have 4 GiB.
    body.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    body.extend(data);
    body.push(1);
    let mut packet = vec![0; 4];
    packet.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    packet.extend(&body);
    packet.extend(u32::from(checksum::crc16_arc(&body)).to_be_bytes());
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_survives_being_put_away() {
        let photo = Photo { id: 7, size: 5000, next: 2048, repeats: 3 };
        let mut context = Vec::new();
        photo.save(&mut context);
        assert!(Photo::restore(&context) == Some(photo));
        assert!(Photo::restore(&context[..12]) == Some(Photo { repeats: 0, ..photo }));
        assert!(
            Photo::restore(&[]).is_none() && Photo::restore(&[0; 13]).is_none() && Photo::restore(&[0; 17]).is_none()
        );
    }

    #[test]
    fn hex_digits_are_bytes_and_other_text_is_text() {
        assert_eq!(custom("0aFF"), [0x0A, 0xFF]);
        assert_eq!(custom("0aF"), b"0aF");
        assert_eq!(custom("STATUS#"), b"STATUS#");
        assert_eq!(custom(""), b"");
    }
}
