//! What a packet's records say, and whose each of them is.

use super::super::auth::{self, Terminal};
use super::super::teledata::{self, Moment};
use super::super::transport::{self, Confirmed};
use super::super::{AUTH, COMMAND, ECALL, FIRMWARE, TELEDATA, codes, command, ecall, firmware, keep, odd, since_2010};
use super::EgtsSession;
use crate::{Out, Standing};
use compact_str::ToCompactString;
use odograph_model::{Record, Time};
use odograph_wire::bits::is_set;
use odograph_wire::{Cursor, Result};

/// Whose a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The terminal that logged in.
    Terminal,
    /// The object that it names.
    Object(u32),
    /// Nobody said.
    Nobody,
}

/// What one packet gives, beside its records.
#[derive(Default)]
pub(super) struct Batch {
    /// The object of the record before: the next one may leave it out, and its time too.
    pub(super) object: Option<u32>,
    pub(super) made: Option<u32>,
    /// Whose the packet is: that of its first record.
    pub(super) owner: Option<Owner>,
    pub(super) confirmed: Vec<Confirmed>,
    /// Whether the record that is read had a position, a terminal or credentials that could not be read.
    pub(super) is_spoilt: bool,
    /// Whether a terminal or credentials could not be read.
    pub(super) is_login_spoilt: bool,
    /// Whether there was a record of another service than the one for logging in.
    pub(super) has_data: bool,
    /// Whether a terminal or a platform logged in.
    pub(super) terminal: bool,
    pub(super) platform: bool,
    pub(super) credentials: Option<(String, String)>,
    pub(super) services: Vec<u8>,
}

impl Batch {
    /// Whether a subrecord of a login, which was not as described, left nothing to let its sender in by. More bytes than
    /// there should be do no harm.
    const fn lacks(&self, kind: u8) -> bool {
        match kind {
            auth::TERMINAL => !self.terminal,
            auth::CREDENTIALS => self.credentials.is_none(),
            _ => false,
        }
    }
}

/// A record's head.
struct Head {
    service: u8,
    owner: Owner,
    made: Option<Time>,
    event: Option<u32>,
    group: Option<u32>,
}

impl EgtsSession {
    pub(super) fn record(&mut self, c: &mut Cursor<'_>, batch: &mut Batch, kind: u8, out: &mut Out<'_>) -> Result<()> {
        let length = c.u16_le("record length")?;
        let number = c.u16_le("record number")?;
        let flags = c.u8("record flags")?;
        let optional = |c: &mut Cursor<'_>, bit, field| match is_set(flags, bit) {
            true => c.u32_le(field).map(Some),
            false => Ok(None),
        };
        let object = optional(c, 0, "object")?;
        let event = optional(c, 1, "event")?;
        let made = optional(c, 2, "record time")?;
        let (service, _) = (c.u8("service of the sender")?, c.u8("service of the recipient")?);
        let data = c.sub("record", length.into())?;
        let is_group = is_set(flags, 5);
        let group = object.filter(|_| is_group);
        let object = object.filter(|object| !is_group && *object != 0);
        if object.is_some_and(|object| batch.object != Some(object)) {
            (batch.object, batch.made) = (object, None);
        }
        batch.made = made.or(batch.made);
        let owner = self.owner(batch.object);
        let head = Head { service, owner, made: batch.made.and_then(since_2010), event, group };
        let before = out.records().len();
        let says_something = self.subrecords(data, &head, batch, out)?;
        let code = match std::mem::take(&mut batch.is_spoilt) {
            true => codes::DATA_FORM,
            // Of a record that gave nothing, nothing can be refused.
            false => {
                out.records().get(before..).and_then(<[Record]>::last).map_or(codes::OK, |last| standing(last, out))
            }
        };
        if says_something || kind != transport::RESPONSE {
            batch.confirmed.push(Confirmed { number, service, code });
            batch.has_data |= service != AUTH;
        }
        Ok(())
    }

    /// Whose a record is that names `object`. A terminal without a number of its own is the first object that it names.
    fn owner(&mut self, object: Option<u32>) -> Owner {
        match (&mut self.state.terminal, object) {
            (None, None) => Owner::Nobody,
            (None, Some(object)) => Owner::Object(object),
            (Some(_), None) => Owner::Terminal,
            (Some(_), Some(_)) if self.ignores_objects => Owner::Terminal,
            (Some(terminal), Some(object)) => {
                if terminal.id == 0 {
                    terminal.id = object;
                }
                if terminal.id == object { Owner::Terminal } else { Owner::Object(object) }
            }
        }
    }

    /// Takes the subrecords of a record; says whether there are others than confirmations.
    fn subrecords(&mut self, data: Cursor<'_>, head: &Head, batch: &mut Batch, out: &mut Out<'_>) -> Result<bool> {
        let mut c = data;
        let mut moment = Moment::new();
        let (mut place, mut says_something) = (0_usize, false);
        while !c.is_empty() {
            let kind = c.u8("subrecord type")?;
            let length = c.u16_le("subrecord length")?;
            let subrecord = c.sub("subrecord", length.into())?;
            place = place.saturating_add(1);
            if kind == 0 {
                confirmation(subrecord, head.service, out);
                continue;
            }
            says_something = true;
            if head.service == TELEDATA && moment.ends_before(kind) {
                let ended = std::mem::replace(&mut moment, Moment::new());
                self.give(ended.record, head, batch, out);
            }
            let known = match head.service {
                TELEDATA if !is_acceleration(kind, subrecord) => {
                    batch.is_spoilt |= !moment.subrecord(kind, place, subrecord, self.volts, out);
                    continue;
                }
                TELEDATA | ECALL => self.emergency(kind, subrecord, head, batch, out),
                AUTH => self.login(kind, subrecord, &mut moment.record, batch, out),
                COMMAND if kind == command::COMMAND_DATA => {
                    finish(subrecord, |c| command::read(c, &mut moment.record, out))
                }
                FIRMWARE if matches!(kind, firmware::PART | firmware::WHOLE) => {
                    finish(subrecord, |c| firmware::read(kind, c, &mut moment.record))
                }
                _ => Ok(false),
            };
            match known {
                Ok(true) => {}
                Ok(false) => keep(&mut moment.record, (head.service, kind), place, subrecord.rest()),
                Err(malformed) => {
                    if head.service == AUTH && batch.lacks(kind) {
                        (batch.is_spoilt, batch.is_login_spoilt) = (true, true);
                    }
                    out.note(odd(head.service, kind, malformed));
                    keep(&mut moment.record, (head.service, kind), place, subrecord.rest());
                }
            }
            moment.record = moment.record.hash_span(&[kind]).hash_span(subrecord.rest());
            if matches!(head.service, COMMAND | FIRMWARE) {
                let said = std::mem::replace(&mut moment, Moment::new());
                self.give(said.record, head, batch, out);
            }
        }
        self.give(moment.record, head, batch, out);
        Ok(says_something)
    }

    /// Takes a subrecord of an emergency, if its kind is known.
    fn emergency(
        &mut self,
        kind: u8,
        subrecord: Cursor<'_>,
        head: &Head,
        batch: &mut Batch,
        out: &mut Out<'_>,
    ) -> Result<bool> {
        let mut c = subrecord;
        let Some(read) = ecall::read(kind, &mut c, out) else { return Ok(false) };
        let records = read?;
        c.finish("subrecord")?;
        records.into_iter().for_each(|record| self.give(record, head, batch, out));
        Ok(true)
    }

    /// Takes a subrecord of a login, if its kind is known.
    fn login(
        &mut self,
        kind: u8,
        subrecord: Cursor<'_>,
        record: &mut Record,
        batch: &mut Batch,
        out: &mut Out<'_>,
    ) -> Result<bool> {
        // What only platforms send, and what is not described.
        if !auth::is_known(kind) {
            return Ok(false);
        }
        finish(subrecord, |c| {
            match kind {
                auth::TERMINAL => {
                    self.state.terminal = auth::terminal(c, record, out)?;
                    self.state.is_authorized = false;
                    batch.terminal = true;
                    batch.owner = batch.owner.or(self.state.terminal.as_ref().map(|_| Owner::Terminal));
                }
                auth::MODULE => auth::module(c, record)?,
                auth::VEHICLE => auth::vehicle(c, record)?,
                auth::PLATFORM => {
                    let number = auth::platform(c)?;
                    out.note(format!("the platform {number} logs in"));
                    batch.platform = true;
                }
                auth::CREDENTIALS => batch.credentials = Some(auth::credentials(c)?),
                _ => {
                    let requested = auth::requested_service(c)?;
                    batch.services.extend(requested.filter(|_| batch.services.len() < SERVICES_MAX));
                }
            }
            Ok(())
        })
    }

    /// Adds a record, if it says anything, for its owner.
    fn give(&self, mut record: Record, head: &Head, batch: &mut Batch, out: &mut Out<'_>) {
        if record.values().is_empty() && record.raw_values().is_empty() {
            return;
        }
        teledata::timed(&mut record, head.made);
        if let Some(event) = head.event {
            record.raw("event.id", event.to_compact_string());
        }
        if let Some(group) = head.group {
            record.raw("group", group.to_compact_string());
        }
        // What a login says is about who logs in.
        let owner = if head.service == AUTH { self.owner_of_login(batch) } else { head.owner };
        let first = *batch.owner.get_or_insert(owner);
        if owner != first {
            record.device = match owner {
                Owner::Terminal => self.state.terminal.as_ref().map(|terminal| terminal.name.clone()),
                Owner::Object(object) => Some(object.to_compact_string()),
                Owner::Nobody => None,
            };
        }
        out.record(record);
    }

    fn owner_of_login(&self, batch: &Batch) -> Owner {
        match (&self.state.terminal, batch.object) {
            (Some(_), _) => Owner::Terminal,
            (None, Some(object)) => Owner::Object(object),
            (None, None) => Owner::Nobody,
        }
    }

    /// Says whose the packet is, where that is not known from before.
    pub(super) fn identify(&mut self, batch: &Batch, out: &mut Out<'_>) {
        match batch.owner {
            Some(Owner::Object(object)) => {
                self.state.is_bound = false;
                out.pass_on();
                out.identify(object.to_compact_string());
            }
            Some(Owner::Terminal) if batch.terminal || !self.state.is_bound => {
                self.state.is_bound = true;
                self.state.terminal.iter().flat_map(Terminal::names).for_each(|name| out.identify(name));
            }
            _ => {}
        }
    }
}

/// How a record is confirmed whose device may be refused: it is its source, and what is denied by 136 does not come again. What
/// there was no room to decide about is told apart from that, so that it does (156).
fn standing(record: &Record, out: &Out<'_>) -> u8 {
    match out.standing(record.device.as_deref()) {
        Standing::Counts => codes::OK,
        Standing::Refused => codes::SOURCE_DENIED,
        Standing::Beyond => codes::NO_RESOURCES,
    }
}

/// Reads a subrecord to its end.
fn finish(subrecord: Cursor<'_>, read: impl FnOnce(&mut Cursor<'_>) -> Result<()>) -> Result<bool> {
    let mut c = subrecord;
    read(&mut c)?;
    c.finish("subrecord").map(|()| true)
}

fn is_acceleration(kind: u8, subrecord: Cursor<'_>) -> bool {
    kind == ecall::ACCELERATION && ecall::is_acceleration(subrecord.rest())
}

/// What a device says of a record that was sent to it.
fn confirmation(subrecord: Cursor<'_>, service: u8, out: &mut Out<'_>) {
    let mut c = subrecord;
    let read = c.u16_le("record confirmed").and_then(|number| Ok((number, c.u8("result")?)));
    match read {
        Ok((number, code)) if codes::is_fault(code) => {
            out.note(format!("record {number} was refused: {}", codes::meaning(code)));
            if service == COMMAND {
                command::refused(number, code, out);
            }
        }
        Ok(_) => {}
        Err(malformed) => out.note(odd(service, 0, malformed)),
    }
}

/// So many services are answered in a packet; the standards name five.
const SERVICES_MAX: usize = 32;
