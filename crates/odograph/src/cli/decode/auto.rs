//! Finding out which protocol is spoken.

use super::line::{Problem, Trace};
use super::{Options, usage};
use anyhow::Result;
use odograph_model::Time;
use odograph_protocols::detect::{Detected, Detector};
use odograph_protocols::{Conversation, Heard, PROTOCOLS, Protocol, SettingError, Settings, Terms, Transport, find};
use odograph_wire::Tracer;

/// The one conversation that the messages belong to, or those that it may be.
pub(super) enum Listener {
    /// It is this.
    Known(Conversation),
    /// It is one of these, none of which has heard anything yet.
    Unknown(Vec<Conversation>),
}

/// So many protocols are named where none decodes a message.
const NEAREST_MAX: usize = 5;

impl Listener {
    /// What `options` ask for.
    pub(super) fn new(options: &Options) -> Result<Self> {
        if let Some(protocol) = find(&options.protocol) {
            if !options.suits(protocol) {
                let travels = protocol.travels_by().collect::<Vec<_>>().join(" and ");
                return usage(format!("{} travels by {travels} and not as given", protocol.name));
            }
            return match terms(options, protocol) {
                Ok(terms) => Ok(Self::Known(Conversation::new(protocol, terms))),
                Err(error) => usage(format!("{}: {error}", protocol.name)),
            };
        }
        let open = |protocol: &&'static Protocol| {
            let terms = terms(options, protocol).ok()?;
            options.suits(protocol).then(|| Conversation::new(protocol, terms))
        };
        let candidates: Vec<_> = PROTOCOLS.iter().filter_map(open).collect();
        if candidates.is_empty() {
            return usage("no protocol takes these settings by this transport: see `odograph protocols NAME`");
        }
        Ok(Self::Unknown(candidates))
    }

    /// Takes a message. The first that is clearly of one protocol, as the port for all protocols finds out, or that just one
    /// understands, decides which it is from then on.
    pub(super) fn hear(&mut self, bytes: &[u8], received: Time, trace: Option<&Trace>) -> Result<Vec<Heard>, Problem> {
        if bytes.is_empty() {
            return Ok(vec![Heard { notes: vec!["nothing to decode".to_owned()], ..Heard::default() }]);
        }
        if let Self::Unknown(candidates) = self {
            *self = Self::Known(decided(candidates, bytes, received)?);
        }
        match self {
            Self::Known(conversation) => {
                Ok(conversation.message(bytes, received, trace.map(|trace| -> &dyn Tracer { trace })))
            }
            Self::Unknown(_) => Ok(Vec::new()),
        }
    }

    /// Who the device says it is.
    pub(super) fn identity(&self) -> Option<&str> {
        match self {
            Self::Known(conversation) => conversation.identity(),
            Self::Unknown(_) => None,
        }
    }

    /// The protocol's name, once it is known.
    pub(super) fn protocol_name(&self) -> &'static str {
        match self {
            Self::Known(conversation) => conversation.protocol().name,
            Self::Unknown(_) => "auto",
        }
    }
}

fn terms(options: &Options, protocol: &Protocol) -> Result<Terms, SettingError> {
    let pairs = options.set.iter().map(|pair| (pair.name.as_str(), pair.value.as_str()));
    let settings = Settings::checked(pairs, protocol.settings)?;
    Ok(Terms { transport: options.transport(), settings, checksum: options.checksum() })
}

/// The one candidate that `bytes` are clearly of, or the one that understands them, or an error that names those that do
/// or nearly do.
fn decided(candidates: &[Conversation], bytes: &[u8], received: Time) -> Result<Conversation, Problem> {
    let Possible { clear, left } = Possible::of(candidates, bytes);
    let is_clear = |one: &&Conversation| matches!(clear.as_slice(), [name] if *name == one.protocol().name);
    if let Some(one) = candidates.iter().find(is_clear) {
        return Ok(one.resumed(one.terms().clone()));
    }
    let (mut understood, mut failed) = (Vec::new(), Vec::new());
    for candidate in candidates {
        let heard = candidate.resumed(candidate.terms().clone()).message(bytes, received, None);
        match heard.iter().find_map(|heard| heard.fault) {
            Some(fault) => failed.push((candidate.protocol().name, fault)),
            None if heard.iter().any(says_something) => understood.push(candidate),
            None => {}
        }
    }
    let is_left = |one: &&Conversation| left.contains(&one.protocol().name);
    if understood.iter().any(is_left) {
        understood.retain(is_left);
    }
    let names = understood.iter().map(|candidate| candidate.protocol().name).collect::<Vec<_>>().join(", ");
    let problem = |reason| Problem { field: "protocol", at: 0, reason };
    match understood.as_slice() {
        [one] => Ok(one.resumed(one.terms().clone())),
        [] => {
            // Who read furthest is nearest.
            failed.sort_by_key(|(name, fault)| (std::cmp::Reverse(fault.at()), *name));
            let nearest = failed.iter().take(NEAREST_MAX).map(|(name, fault)| format!("{name} ({fault})"));
            let nearest = nearest.collect::<Vec<_>>().join(", ");
            Err(problem(format!("no protocol understands it: {nearest}; say which it is with --protocol")))
        }
        _ => Err(problem(format!("could be {names}: say which it is with --protocol"))),
    }
}

/// What the port that understands all protocols makes of a message.
struct Possible {
    /// Of which protocols it clearly is, by each way that it may have come.
    clear: Vec<&'static str>,
    /// Of which it may be. One that lost what framing strips may be of others, too.
    left: Vec<&'static str>,
}

impl Possible {
    fn of(candidates: &[Conversation], bytes: &[u8]) -> Self {
        let (mut clear, mut left) = (Vec::new(), Vec::new());
        let ways = [Transport::Tcp, Transport::Udp];
        for way in ways.into_iter().filter(|way| candidates.iter().any(|one| takes(one, *way))) {
            let mut detector = Detector::new(way);
            if let Detected::Protocol(protocol) = detector.hear(bytes)
                && !clear.contains(&protocol.name)
            {
                clear.push(protocol.name);
            }
            left.extend(detector.left().iter().map(|protocol| protocol.name));
        }
        Self { clear, left }
    }
}

/// Whether messages may come to a candidate that way.
fn takes(candidate: &Conversation, way: Transport) -> bool {
    candidate.terms().transport.is_none_or(|wanted| wanted == way) && candidate.protocol().transports.contains(&way)
}

fn says_something(heard: &Heard) -> bool {
    !heard.records.is_empty() || !heard.identity.is_empty() || !heard.replies.is_empty() || !heard.answers.is_empty()
}
