//! Template: which devices speak this, and from which document, version and sections it was written.
//!
//! ```text
//! frame  LL I*8 TTTTTTTT AAAAAAAA OOOOOOOO KK
//!        L bytes between L and K, I IMEI as BCD, T seconds since 1970, A latitude, O longitude (degrees × 10⁷),
//!        K exclusive or of all before                                                              → 01
//! ```

use crate::{Checksum, Claim, Looks, Maturity, Opening, Out, Protocol, Session, Transport};
use odograph_model::{Key, Record, Time};
use odograph_wire::{Framing, Reason, Result, checksum};

// First blank: what people have to know. The port is the one on which devices expect the protocol.
pub(crate) const PROTOCOL: Protocol = Protocol {
    name: "template",
    title: "Template",
    devices: "which devices, for people",
    source: "document, version, sections",
    maturity: Maturity::Unverified,
    port: 1,
    transports: &[Transport::Tcp],
    // Second blank: how a stream is cut.
    framing: Framing::Length { at: 0, width: 1, little_endian: false, plus: 2 },
    recognise,
    looks: LOOKS,
    frame_max: 257,
    idle_s_max: 3600,
    has_checksum: true,
    datagrams_identify: true,
    commands_by_datagram: false,
    settings: &[],
    commands: &[],
    open: |opening| Box::new(TemplateSession::open(opening)),
};

/// For people who ask why bytes may be this protocol's: "begins like its messages (FORM), but not with PROOF".
const LOOKS: Looks = Looks { form: "a length of 8 or more", proof: "a message whose checksum fits" };

/// Claims a message whose checksum fits. What no message of the protocol can begin with is to be disclaimed, the sooner
/// the better: the port that understands all protocols decides for one once all others say no.
fn recognise(start: &[u8], _transport: Transport) -> Claim {
    match start {
        [] => Claim::next(start),
        [length, ..] if *length < 8 => Claim::No,
        _ => Claim::of_frame(PROTOCOL.cut(start), start, is_sealed),
    }
}

fn is_sealed(frame: &[u8]) -> bool {
    frame.split_last().is_some_and(|(stated, covered)| *stated == checksum::xor(covered))
}

struct TemplateSession {
    checksum: Checksum,
}

impl TemplateSession {
    fn open(opening: &Opening<'_>) -> Self {
        Self { checksum: opening.checksum }
    }
}

impl Session for TemplateSession {
    // Third blank: what a frame says. Structure first, so that nothing malformed is answered; then its fields.
    fn on_frame(&mut self, frame: &[u8], _received: Time, out: &mut Out<'_>) -> Result<()> {
        let mut c = out.cursor(frame);
        let length = c.u8("length")?;
        let mut body = c.sub("body", length.into())?;
        let (stated, computed) = (c.u8("checksum")?, checksum::xor(frame.split_last().map_or(&[], |(_, rest)| rest)));
        c.finish("frame")?;
        if stated != computed {
            let reason = Reason::Checksum { stated: stated.into(), computed: computed.into() };
            match self.checksum {
                Checksum::Enforce => return Err(c.error("checksum", reason)),
                Checksum::Note => out.note(reason.to_string()),
            }
        }
        out.identify(body.bcd("imei", 8)?.to_string());
        if !body.is_empty() {
            let start = body;
            let mut record = Record::at(Time(i64::from(body.u32("time")?).saturating_mul(1000)));
            record.set(Key::PositionLatitude, f64::from(body.i32("latitude")?) / 1e7);
            record.set(Key::PositionLongitude, f64::from(body.i32("longitude")?) / 1e7);
            body.finish("body")?;
            // What makes the record what it is: without what changes when it is sent again.
            out.record(record.hash_span(body.since(&start)));
        }
        out.reply([1]);
        Ok(())
    }
}

// Fourth blank: the vectors beside this file. Write down what is sent, then let `cargo xtask protocol update template` write
// down what it gives, and read that.
