//! Pictures: answers to command 20 that announce one and bring its pieces. Each is confirmed, which asks for the next.

use super::command;
use crate::{Answer, Out};
use odograph_model::Record;
use odograph_wire::{Cursor, Result};

pub(super) const COMMAND: u8 = 20;
/// What asks for the next piece.
const RECEIVED: u8 = 16;

pub(super) fn read(mut c: Cursor<'_>, out: &mut Out<'_>) -> Result<()> {
    let start = c;
    let mut record = Record::new();
    match c.u8("code")? {
        0 => record.raw("image.size", c.u24_le("size")?),
        1 => {
            record.raw("image.piece", c.u8("piece")?);
            let length = c.u16_le("length")?;
            c.skip("data", length.into())?;
            record.raw("image.piece.length", length);
        }
        code => {
            let text = match code {
                2 => "no camera".to_owned(),
                3 => "the camera is busy".to_owned(),
                code => format!("code {code}"),
            };
            c.take_rest("answer");
            out.answer(Answer { token: Some(COMMAND.into()), text, done: Some(false) });
            return Ok(());
        }
    }
    c.finish("picture")?;
    out.record(record.hash_span(c.since(&start)));
    out.reply(command::packet(COMMAND, &[RECEIVED]));
    Ok(())
}
