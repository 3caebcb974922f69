//! Says what one of them is, and takes in its bytes as that.

use super::gather::{Gather, NamedNote, Whole};
use crate::export::{Entries, Needed};
use anyhow::{Result, anyhow, bail};
use compact_str::CompactString;
use odograph_api::{NameAs, NameRequest};
use odograph_ingest::{Devices as _, Intake, Listener, Named, Roster, State, take_in};
use odograph_lake::EntriesOf;
use odograph_model::{Lsn, Time};
use odograph_protocols::{Checksum, Conversation, Heard, Protocol, Settings, Terms, Transport, find};
use odograph_wire::Cut;
use std::sync::Arc;

/// Takes its bytes in as the protocol's, at the times when they came, and remarks that in the journal.
pub(crate) fn name(
    entries: &Entries<'_>,
    roster: &Roster,
    intake: &Intake,
    request: &NameRequest,
    now: Time,
) -> Result<NameAs> {
    let protocol = find(&request.protocol).ok_or_else(|| anyhow!("there is no protocol {:?}", request.protocol))?;
    let mut gather = Gather::new(Some(request.id));
    entries.device("", Lsn(0), &Needed { of: EntriesOf::Device("".into()), from: None, to: None }, &mut gather)?;
    let whole = gather.whole().ok_or_else(|| anyhow!("nothing that was not understood has the id {}", request.id))?;
    let listener = listener(protocol, &whole, request)?;
    check(protocol, &whole, request, &listener)?;
    let listener = Arc::new(owned(listener, roster, request)?);
    let peer = whole.context.peer.parse().map_err(|_| anyhow!("its address {:?} is none", whole.context.peer))?;
    let (named, device) = (request.id, request.device.as_ref().map(ToString::to_string));
    let note = NamedNote { named, protocol: protocol.name.to_owned(), device };
    intake.journal.note(now.0, &serde_json::to_vec(&note)?)?;
    let Named { frames, records, malformed, devices, end } = take_in(&listener, peer, &whole.pieces, intake)?;
    let malformed = malformed.iter().map(ToString::to_string).collect();
    Ok(NameAs { frames, records, malformed, devices: devices.iter().map(ToString::to_string).collect(), end: end.0 })
}

/// The listener that it would have come to.
fn listener(protocol: &'static Protocol, whole: &Whole, request: &NameRequest) -> Result<Listener> {
    let local = whole.context.local.parse().map_err(|_| anyhow!("our address {:?} is none", whole.context.local))?;
    let mut listener = Listener::new(protocol, whole.context.transport, local)?;
    let pairs = request.set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    listener.settings = Arc::new(Settings::checked(pairs, protocol.settings)?);
    listener.checksum = if request.unsealed { Checksum::Note } else { whole.context.checksum };
    listener.tenant = request.tenant.as_str().into();
    Ok(listener)
}

/// With the device that it is, if it does not say so itself. One that nobody knows registers, as if it had come itself.
fn owned(mut listener: Listener, roster: &Roster, request: &NameRequest) -> Result<Listener> {
    if let Some(device) = &request.device {
        let known = roster.get(Some(&request.tenant), device).map(|known| known.state);
        if let Some(state @ (State::Quarantined | State::Rejected)) = known {
            let state = if state == State::Rejected { "rejected" } else { "quarantined" };
            bail!("the device {device} is {state}: accept it first");
        }
        listener.device = Some(roster.admit(&[CompactString::from(device.as_str())], &listener));
    }
    Ok(listener)
}

/// Whether it can be that: something must be understood, and be somebody's.
fn check(protocol: &'static Protocol, whole: &Whole, request: &NameRequest, listener: &Listener) -> Result<()> {
    if whole.too_much {
        bail!("{} sent more than can be taken in at once", request.id);
    }
    if let (Some(before), false) = (whole.named.last(), request.again) {
        bail!("{} was named already: {before}; --again names it once more", request.id);
    }
    let transport = Some(whole.context.transport);
    let terms = Terms { transport, settings: (*listener.settings).clone(), checksum: listener.checksum };
    let mut conversation = Conversation::new(protocol, terms);
    let heard: Vec<Heard> =
        frames(protocol, whole).iter().map(|(time, frame)| conversation.frame(frame, *time, None)).collect();
    if heard.is_empty() {
        bail!("{} is not {}: its bytes make no frame", request.id, protocol.name);
    }
    if !heard.iter().any(|heard| heard.fault.is_none() && !heard.is_silent()) {
        let fault = heard.iter().find_map(|heard| heard.fault);
        let why = fault.map_or_else(|| "its bytes say nothing".to_owned(), |fault| fault.to_string());
        bail!("{} is not {}: {why}", request.id, protocol.name);
    }
    let is_named = heard.iter().any(|heard| !heard.identity.is_empty());
    if !is_named && request.device.is_none() {
        bail!("its bytes do not say which device it is: --device does");
    }
    Ok(())
}

/// Its frames, as they will be cut.
fn frames(protocol: &Protocol, whole: &Whole) -> Vec<(Time, Vec<u8>)> {
    if whole.context.transport == Transport::Udp {
        return whole.pieces.clone();
    }
    let stream: Vec<u8> = whole.pieces.iter().flat_map(|(_, piece)| piece.iter().copied()).collect();
    let time = whole.pieces.first().map_or(Time(0), |(time, _)| *time);
    let (mut frames, mut at) = (Vec::new(), 0);
    while let Some(rest) = stream.get(at..).filter(|rest| !rest.is_empty()) {
        match protocol.cut(rest) {
            Cut::Frame(length) => {
                frames.push((time, rest[..length].to_vec()));
                at += length;
            }
            Cut::Skip(length) => at += length,
            Cut::Need(_) | Cut::Lost(_) => break,
        }
    }
    frames
}
