//! What is answered to a packet: who may log in, and which of its records are taken.

use super::super::transport::{self, Refusal};
use super::super::{AUTH, COMMAND, ECALL, FIRMWARE, TELEDATA, auth, codes};
use super::EgtsSession;
use super::records::Batch;
use crate::Out;
use odograph_wire::{Malformed, Reason};

impl EgtsSession {
    /// Checks user and password, where one is wanted: nothing but a login is taken before they are right.
    pub(super) fn authorize(
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
    pub(super) fn respond(&mut self, batch: &Batch, id: u16, route: Option<transport::Route>, out: &mut Out<'_>) {
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
    pub(super) fn refuse(&mut self, refusal: &Refusal, out: &mut Out<'_>) -> Malformed {
        if let Some((id, route, code)) = refusal.told {
            let number = self.number();
            let data = transport::response(id, code, &[]);
            out.reply_despite_error(transport::packet(transport::RESPONSE, number, route, &data));
        }
        refusal.malformed
    }
}

/// The answer to who asks for a service.
fn offer(service: u8) -> Vec<u8> {
    let is_known = matches!(service, AUTH | TELEDATA | COMMAND | FIRMWARE | ECALL);
    transport::subrecord(auth::SERVICE, &[service, if is_known { IN_SERVICE } else { OUT_OF_SERVICE }, 0])
}

/// A packet is confirmed with at most so many packets. A frame has room for some more replies.
const RESPONSES_MAX: usize = 48;

/// Where a service is in order, or out of order.
const IN_SERVICE: u8 = 0;
const OUT_OF_SERVICE: u8 = 128;
