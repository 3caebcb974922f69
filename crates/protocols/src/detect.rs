//! Which protocol is spoken, by what all of them say of the first bytes.

use crate::{Claim, PROTOCOLS, Protocol, Transport};

/// Who may have sent `start`, the first bytes of a stream or one whole datagram: all who do not disclaim it.
pub fn candidates(start: &[u8], transport: Transport) -> impl Iterator<Item = (&'static Protocol, Claim)> {
    let heard = PROTOCOLS.iter().filter(move |protocol| protocol.transports.contains(&transport));
    let claims = heard.map(move |protocol| (*protocol, (protocol.recognise)(start, transport)));
    claims.filter(|(_, claim)| *claim != Claim::No)
}

/// Who sent `start`: the one who claims it, if all others disclaim it.
pub fn decide(start: &[u8], transport: Transport) -> Option<&'static Protocol> {
    let mut candidates = candidates(start, transport);
    match (candidates.next(), candidates.next()) {
        (Some((protocol, Claim::Yes)), None) => Some(protocol),
        _ => None,
    }
}
