//! A conversation: whose records are, what is answered, what is sent.

use super::auth::{self, Terminal};
use super::sensors::Volts;
use super::teledata::{self, Moment};
use super::transport::{self, Confirmed, Packet, Refusal};
use super::{AUTH, COMMAND, ECALL, FIRMWARE, TELEDATA, codes, command, ecall, firmware, keep, odd, since_2010};
use crate::{Checksum, Command, CommandError, Encoded, Opening, Out, Session, Standing};
use compact_str::{CompactString, ToCompactString};
use odograph_model::{Record, Time};
use odograph_wire::bits::is_set;
use odograph_wire::{Cursor, Malformed, Reason, Result};

/// A packet is confirmed with at most so many packets. A frame has room for some more replies.
const RESPONSES_MAX: usize = 48;
/// So many services are answered in a packet; the standards name five.
const SERVICES_MAX: usize = 32;
/// Where a service is in order, or out of order.
const IN_SERVICE: u8 = 0;
const OUT_OF_SERVICE: u8 = 128;
/// The recipient's service is on the device; and the record names its object.
const TO_DEVICE: u8 = 1 << 6;
const NAMES_OBJECT: u8 = 1;

pub(super) struct EgtsSession {
    checksum: Checksum,
    ignores_objects: bool,
    by_record: bool,
    /// The volts of a state's steps.
    volts: Volts,
    user: Option<CompactString>,
    password: Option<CompactString>,
    authorization: Option<CompactString>,
    state: State,
}

/// What later packets depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct State {
    /// The number of the next packet that is sent.
    next: u16,
    /// The terminal that logged in.
    terminal: Option<Terminal>,
    /// Whether the device was last bound to that terminal, and not to another object.
    is_bound: bool,
    /// Whether the password was right.
    is_authorized: bool,
}

/// Whose a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The terminal that logged in.
    Terminal,
    /// The object that it names.
    Object(u32),
    /// Nobody said.
    Nobody,
}

/// What one packet gives, beside its records.
#[derive(Default)]
struct Batch {
    /// The object of the record before: the next one may leave it out, and its time too.
    object: Option<u32>,
    made: Option<u32>,
    /// Whose the packet is: that of its first record.
    owner: Option<Owner>,
    confirmed: Vec<Confirmed>,
    /// Whether the record that is read had a position, a terminal or credentials that could not be read.
    is_spoilt: bool,
    /// Whether a terminal or credentials could not be read.
    is_login_spoilt: bool,
    /// Whether there was a record of another service than the one for logging in.
    has_data: bool,
    /// Whether a terminal or a platform logged in.
    terminal: bool,
    platform: bool,
    credentials: Option<(String, String)>,
    services: Vec<u8>,
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
    pub(super) fn open(opening: &Opening<'_>) -> Self {
        // One that is empty is none: else whoever says nothing would be let in.
        let text = |name| opening.settings.text(name).filter(|text| !text.is_empty()).map(CompactString::from);
        Self {
            checksum: opening.checksum,
            ignores_objects: opening.settings.text("objects") == Some("ignore"),
            by_record: opening.settings.text("responses") == Some("record"),
            volts: match opening.settings.text("state_volts") {
                Some("whole") => Volts::Whole,
                _ => Volts::Tenths,
            },
            user: text("user"),
            password: text("password"),
            authorization: text("authorization_code"),
            state: State::restore(opening.context).unwrap_or_default(),
        }
    }
}

impl Session for EgtsSession {
    fn on_frame(&mut self, frame: &[u8], _received: Time, out: &mut Out<'_>) -> Result<()> {
        // A packet that is not taken leaves nothing behind but the numbers of what was answered to it.
        let before = self.state.clone();
        let taken = transport::read(frame, self.checksum, out).and_then(|packet| self.packet(&packet, out));
        taken.map_err(|refusal| {
            self.state = State { next: self.state.next, ..before };
            self.refuse(&refusal, out)
        })
    }

    fn save(&self, context: &mut Vec<u8>) {
        self.state.save(context);
    }

    fn command(&mut self, device: &str, command: &Command<'_>) -> std::result::Result<Encoded, CommandError> {
        let order = command::order(command)?;
        let object = self.object(device);
        match order {
            command::Order::Command(kind, content) => {
                let (number, code) = (self.state.next, self.authorization.as_deref());
                let subrecord = command::subrecord(kind, number, code, &content)?;
                let token = Some(command::command_number(number));
                Ok(Encoded { bytes: self.sent(COMMAND, object, &subrecord), token })
            }
            command::Order::File { bytes, name, is_configuration, command } => {
                let file = command::file(&command, &bytes, &name, is_configuration)?;
                let buffer = self.state.terminal.as_ref().map_or(0, |terminal| terminal.buffer);
                let pieces = file.subrecords(self.state.next, buffer)?;
                let bytes: Vec<u8> = pieces.iter().flat_map(|piece| self.sent(FIRMWARE, object, piece)).collect();
                Ok(bytes.into())
            }
        }
    }
}

impl EgtsSession {
    fn packet(&mut self, packet: &Packet<'_>, out: &mut Out<'_>) -> std::result::Result<(), Refusal> {
        let (id, route) = (packet.id, packet.route);
        let mut batch = Batch::default();
        let refuse = |malformed, code| Refusal::of(malformed, packet.kind, (id, route, code));
        let mut c = packet.data;
        match packet.kind {
            transport::RESPONSE => {
                let answered = c.u16_le("packet answered")?;
                let result = c.u8("result")?;
                if codes::is_fault(result) {
                    out.note(format!("packet {answered} was refused: {}", codes::meaning(result)));
                }
            }
            transport::APPDATA => {}
            transport::SIGNED_APPDATA => {
                let form = |malformed| refuse(malformed, codes::DATA_FORM);
                let length = c.u16_le("signature length").map_err(form)?;
                c.skip("signature", length.into()).map_err(form)?;
                out.note(format!("a signature of {length} bytes, which is not checked"));
            }
            _ => {
                let malformed = Malformed::new("packet type", transport::HEADER - 2, Reason::Unknown);
                return Err(refuse(malformed, codes::UNKNOWN_TYPE));
            }
        }
        while !c.is_empty() {
            let read = self.record(&mut c, &mut batch, packet.kind, out);
            read.map_err(|malformed| refuse(malformed, codes::DATA_FORM))?;
        }
        self.authorize(&mut batch, packet.id, route, out)?;
        self.identify(&batch, out);
        if packet.kind != transport::RESPONSE || !batch.confirmed.is_empty() {
            self.respond(&batch, id, route, out);
        }
        Ok(())
    }

    fn record(&mut self, c: &mut Cursor<'_>, batch: &mut Batch, kind: u8, out: &mut Out<'_>) -> Result<()> {
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
    fn identify(&mut self, batch: &Batch, out: &mut Out<'_>) {
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

    /// Checks user and password, where one is wanted: nothing but a login is taken before they are right.
    fn authorize(
        &mut self,
        batch: &mut Batch,
        id: u16,
        route: Option<transport::Route>,
        out: &mut Out<'_>,
    ) -> std::result::Result<(), Refusal> {
        let Some(password) = &self.password else {
            self.state.is_authorized |= batch.terminal || batch.platform || batch.credentials.is_some();
            return Ok(());
        };
        if let Some((user, given)) = &batch.credentials {
            self.state.is_authorized = given == password && self.user.as_ref().is_none_or(|wanted| wanted == user);
        }
        let is_wrong = batch.credentials.is_some() && !self.state.is_authorized;
        if !is_wrong && (self.state.is_authorized || !batch.has_data) {
            return Ok(());
        }
        if is_wrong {
            let result = self.result(codes::AUTHORIZATION_DENIED);
            let number = self.number();
            out.reply_despite_error(transport::packet(transport::APPDATA, number, route, &result));
        }
        let malformed = Malformed::new("password", 0, Reason::Expected("the user and password that were set"));
        Err(Refusal { malformed, told: Some((id, route, codes::AUTHORIZATION_DENIED)) })
    }

    /// Confirms a packet, and answers a login.
    fn respond(&mut self, batch: &Batch, id: u16, route: Option<transport::Route>, out: &mut Out<'_>) {
        let buffer = self.state.terminal.as_ref().map_or(0, |terminal| usize::from(terminal.buffer));
        let each = match (self.by_record, transport::confirmations_within(buffer)) {
            (true, _) => 1,
            (false, most) => most,
        };
        // However small its buffer is, a device hears of all its records.
        let each = each.max(batch.confirmed.len().div_ceil(RESPONSES_MAX));
        let none = batch.confirmed.is_empty().then_some(&[][..]);
        for confirmed in batch.confirmed.chunks(each).chain(none) {
            let number = self.number();
            let data = transport::response(id, codes::OK, confirmed);
            let packet = transport::packet(transport::RESPONSE, number, route, &data);
            // That a login came says nothing about whether its sender is let in.
            if batch.has_data { out.reply(packet) } else { out.reply_to_anyone(packet) }
        }
        if batch.has_data {
            let refusal = transport::response(id, codes::SOURCE_DENIED, &[]);
            let number = self.state.next.wrapping_sub(1);
            out.reply_if_known([], transport::packet(transport::RESPONSE, number, route, &refusal));
        }
        if batch.is_login_spoilt {
            let result = self.result(codes::DATA_FORM);
            let number = self.number();
            out.reply_to_anyone(transport::packet(transport::APPDATA, number, route, &result));
        } else if batch.terminal || batch.platform || batch.credentials.is_some() {
            self.answer_login(batch, route, out);
        }
        if !batch.services.is_empty() {
            let subrecords: Vec<u8> = batch.services.iter().flat_map(|service| offer(*service)).collect();
            let record = transport::record(0, 0, &[], AUTH, &subrecords);
            let number = self.number();
            out.reply(transport::packet(transport::APPDATA, number, route, &record));
        }
    }

    fn answer_login(&mut self, batch: &Batch, route: Option<transport::Route>, out: &mut Out<'_>) {
        let number = self.number();
        let send = |data: &[u8]| transport::packet(transport::APPDATA, number, route, data);
        let denied = send(&self.result(codes::AUTHORIZATION_DENIED));
        // Without a cipher, the parameters are one byte (V.3.2.2): credentials are wanted.
        let answer = match self.state.is_authorized {
            true => send(&self.result(codes::OK)),
            false => send(&transport::record(0, 0, &[], AUTH, &transport::subrecord(auth::PARAMETERS, &[0]))),
        };
        // A platform is no device: whether its objects are let in is decided with each of their packets.
        let is_terminal = batch.terminal || (self.state.terminal.is_some() && !batch.platform);
        if is_terminal { out.reply_if_known(answer, denied) } else { out.reply_to_anyone(answer) }
    }

    fn result(&self, code: u8) -> Vec<u8> {
        transport::record(0, 0, &[], AUTH, &transport::subrecord(auth::RESULT, &[code]))
    }

    /// Tells the sender of a packet that it was not taken, if it is known which; gives the error.
    fn refuse(&mut self, refusal: &Refusal, out: &mut Out<'_>) -> Malformed {
        if let Some((id, route, code)) = refusal.told {
            let number = self.number();
            let data = transport::response(id, code, &[]);
            out.reply_despite_error(transport::packet(transport::RESPONSE, number, route, &data));
        }
        refusal.malformed
    }

    /// A packet to the device, with one record.
    fn sent(&mut self, service: u8, object: Option<u32>, subrecord: &[u8]) -> Vec<u8> {
        let number = self.number();
        let flags = TO_DEVICE | if object.is_some() { NAMES_OBJECT } else { 0 };
        let object = object.map(u32::to_le_bytes);
        let record = transport::record(number, flags, object.as_ref().map_or(&[], |id| &id[..]), service, subrecord);
        transport::packet(transport::APPDATA, number, None, &record)
    }

    /// The object that a record for `device` has to name: the terminal's own number, or that of another object.
    fn object(&self, device: &str) -> Option<u32> {
        match &self.state.terminal {
            Some(terminal) if terminal.name == device || device.is_empty() => Some(terminal.id),
            _ => device.parse().ok(),
        }
        .filter(|object| *object != 0)
    }

    fn number(&mut self) -> u16 {
        let number = self.state.next;
        self.state.next = number.wrapping_add(1);
        number
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

/// How a record is confirmed whose device may be refused: it is its source, and what is denied by 136 does not come again. What
/// there was no room to decide about is told apart from that, so that it does (156).
fn standing(record: &Record, out: &Out<'_>) -> u8 {
    match out.standing(record.device.as_deref()) {
        Standing::Counts => codes::OK,
        Standing::Refused => codes::SOURCE_DENIED,
        Standing::Beyond => codes::NO_RESOURCES,
    }
}

/// The answer to who asks for a service.
fn offer(service: u8) -> Vec<u8> {
    let is_known = matches!(service, AUTH | TELEDATA | COMMAND | FIRMWARE | ECALL);
    transport::subrecord(auth::SERVICE, &[service, if is_known { IN_SERVICE } else { OUT_OF_SERVICE }, 0])
}

/// The form in which a state is saved.
const SAVED: u8 = 1;

impl State {
    fn save(&self, context: &mut Vec<u8>) {
        if *self == Self::default() {
            return;
        }
        context.push(SAVED);
        context.extend(self.next.to_le_bytes());
        context.push(u8::from(self.is_bound) | u8::from(self.is_authorized) << 1);
        if let Some(terminal) = &self.terminal {
            context.extend(terminal.id.to_le_bytes());
            context.extend(terminal.buffer.to_le_bytes());
            context.extend(terminal.name.bytes());
        }
    }

    fn restore(context: &[u8]) -> Option<Self> {
        let mut c = Cursor::new(context);
        if c.u8("form").ok()? != SAVED {
            return None;
        }
        let next = c.u16_le("next").ok()?;
        let flags = c.u8("flags").ok()?;
        let terminal = match c.is_empty() {
            true => None,
            false => Some(Terminal {
                id: c.u32_le("terminal").ok()?,
                buffer: c.u16_le("buffer").ok()?,
                name: std::str::from_utf8(c.take_rest("name")).ok()?.into(),
            }),
        };
        Some(Self { next, terminal, is_bound: is_set(flags, 0), is_authorized: is_set(flags, 1) })
    }
}
