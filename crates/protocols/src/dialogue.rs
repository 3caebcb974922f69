//! One dialogue with a device, live or out of the journal: the same code decides in both what a frame counts for, so
//! that decoding again gives what was decoded then.

use crate::decided::counts;
use crate::out::Verdict;
use crate::{
    Binding, Checksum, Context, Decided, Decision, Named, OTHERS_MAX, Opening, Others, Out, Protocol, ReplyTo, Session,
    Settings, Transport, decode, find,
};
use compact_str::CompactString;
use odograph_model::{Record, Time};
use odograph_wire::{Cut, Malformed, Told};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A session, and to which device what it says belongs.
pub struct Dialogue {
    /// Most dialogues have it in common with others.
    footing: Arc<Footing>,
    binding: Option<Arc<Binding>>,
    session: Box<dyn Session>,
}

/// What holds for a dialogue from its beginning to its end, whatever is said in it.
#[derive(Debug, Clone)]
pub struct Footing {
    /// What is spoken.
    pub protocol: &'static Protocol,
    /// How the bytes travel.
    pub transport: Transport,
    /// Whether wrong checksums are errors.
    pub checksum: Checksum,
    /// The listener's settings.
    pub settings: Arc<Settings>,
}

/// What a frame meant for its dialogue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Turn {
    /// The binding that begins with it, if one does.
    pub begun: Option<Arc<Binding>>,
    /// What was decided about other devices of which it has records.
    pub others: Others,
    /// What is wrong with it, if something is.
    pub malformed: Option<Malformed>,
}

/// Why a recorded dialogue cannot be gone on with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeError {
    /// The context is of another version, or damaged.
    Context(Malformed),
    /// This version does not know the protocol.
    Protocol(CompactString),
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Context(error) => write!(f, "the recorded context cannot be read: {error}"),
            Self::Protocol(name) => write!(f, "this version does not know the protocol {name:?}"),
        }
    }
}

impl std::error::Error for ResumeError {}

impl Dialogue {
    /// Begins a dialogue; `binding` is the device where the listener belongs to one.
    pub fn begin(footing: impl Into<Arc<Footing>>, binding: Option<Arc<Binding>>) -> Self {
        Self::on(footing.into(), binding, &[])
    }

    /// Goes on from what a session saved.
    pub fn on(footing: Arc<Footing>, binding: Option<Arc<Binding>>, saved: &[u8]) -> Self {
        let session = footing.open(binding.as_deref(), saved);
        Self { footing, binding, session }
    }

    /// Goes on from a recorded context.
    pub fn resume(context: &[u8]) -> Result<Self, ResumeError> {
        let context = Context::read(context).map_err(ResumeError::Context)?;
        let protocol = find(&context.protocol).ok_or_else(|| ResumeError::Protocol(context.protocol.clone()))?;
        Ok(Self::go_on(protocol, context))
    }

    /// Goes on from a context with a protocol that the registry need not have.
    pub fn go_on(protocol: &'static Protocol, context: Context) -> Self {
        let Context { transport, checksum, settings, binding, session, .. } = context;
        let footing = Footing { protocol, transport, checksum, settings: settings.into() };
        Self::on(footing.into(), binding.map(Arc::new), &session)
    }

    /// Decodes a frame. What it gives is in `out`: only what counts, so nothing of a malformed frame, no record of a
    /// device that is unknown or was refused, and just the replies that are due.
    ///
    /// `decide` is asked where the frame names a device: see [`Decided`].
    pub fn frame(
        &mut self,
        frame: &[u8],
        received: Time,
        out: &mut Out<'_>,
        decide: impl FnOnce(&Named<'_>, Option<&Binding>) -> Decided,
    ) -> Turn {
        out.clear();
        let mut before = std::mem::take(&mut out.before);
        before.clear();
        self.session.save(&mut before);
        let turn = self.turn(frame, received, out, &before, decide);
        out.before = before;
        turn
    }

    fn turn(
        &mut self,
        frame: &[u8],
        received: Time,
        out: &mut Out<'_>,
        before: &[u8],
        decide: impl FnOnce(&Named<'_>, Option<&Binding>) -> Decided,
    ) -> Turn {
        if let Err(malformed) = decode(&mut *self.session, frame, received, out) {
            return Turn { malformed: Some(malformed), ..Turn::default() };
        }
        let anonymous = out.identity().is_empty();
        let others = out.others(OTHERS_MAX);
        let decided = match anonymous && others.is_empty() {
            true => Decided::default(),
            false => {
                let named = Named { ids: out.identity(), others: &others, passes_on: out.passes_on() };
                decide(&named, self.binding.as_deref())
            }
        };
        let begun = decided.begun.filter(|_| !anonymous);
        if let Some(binding) = &begun
            && let Err((malformed, refused)) = self.begin_binding(binding, frame, received, out, before)
        {
            return Turn { begun: Some(refused), malformed: Some(malformed), ..Turn::default() };
        }
        let inherits = self.footing.transport == Transport::Tcp || !self.footing.protocol.datagrams_identify;
        let binding = self.binding.as_deref().filter(|_| !anonymous || inherits);
        let own_counts = binding.is_some_and(counts);
        if !decided.others.is_empty() && binding.is_some() {
            let others = decided.others;
            let malformed = self.several(own_counts, &others, frame, received, out, before);
            return Turn { begun, others, malformed };
        }
        match own_counts {
            true => out.keep_replies(|to| to != ReplyTo::Refused),
            false => out.refuse(|to| matches!(to, ReplyTo::Refused | ReplyTo::Anyone)),
        }
        Turn { begun, ..Turn::default() }
    }

    /// What counts of a frame with records of several devices, each of which was decided about. Where some of it does not,
    /// the frame is taken once more, by a session that knows it and says so in its replies.
    fn several(
        &mut self,
        own_counts: bool,
        others: &Others,
        frame: &[u8],
        received: Time,
        out: &mut Out<'_>,
        before: &[u8],
    ) -> Option<Malformed> {
        // Who speaks for himself and is refused has nothing to pass on.
        let of_own = out.identity().first().filter(|_| out.passes_on()).and_then(|id| others.called(id));
        let own_counts = of_own.map_or(own_counts, |own| counts(own));
        let any_counts = own_counts || (out.passes_on() && others.iter().any(|other| counts(&other.binding)));
        if !any_counts {
            out.refuse(|to| matches!(to, ReplyTo::Refused | ReplyTo::Anyone));
            return None;
        }
        let verdict = Verdict { own_counts, others: others.clone() };
        let counts_all = |record: &Record| match &record.device {
            None => own_counts,
            Some(name) => others.called(name).is_some_and(|binding| counts(binding)),
        };
        if !own_counts || !out.records().iter().all(counts_all) {
            self.reopen(before);
            out.clear();
            out.judge(verdict.clone());
            if let Err(malformed) = decode(&mut *self.session, frame, received, out) {
                return Some(malformed);
            }
        }
        out.keep_counting(&verdict);
        out.keep_replies(|to| to != ReplyTo::Refused);
        None
    }

    /// From this frame on the dialogue belongs to a device, whose own settings hold for this frame already: there may be
    /// a password to check in it, or records to decode. A device that its own settings do not let in is refused.
    fn begin_binding(
        &mut self,
        binding: &Arc<Binding>,
        frame: &[u8],
        received: Time,
        out: &mut Out<'_>,
        before: &[u8],
    ) -> Result<(), (Malformed, Arc<Binding>)> {
        let settings = self.binding.as_ref().map(|binding| &binding.settings);
        let changed = settings.map_or(!binding.settings.is_empty(), |settings| *settings != binding.settings);
        self.binding = Some(binding.clone());
        if !changed {
            return Ok(());
        }
        let mut after = Vec::new();
        self.session.save(&mut after);
        if binding.decision != Decision::Refused {
            self.reopen(before);
            out.clear();
            let Err(malformed) = decode(&mut *self.session, frame, received, out) else { return Ok(()) };
            let refused = Binding { decision: Decision::Refused, settings: Settings::default(), ..(**binding).clone() };
            let refused = Arc::new(refused);
            self.binding = Some(refused.clone());
            self.reopen(&after);
            return Err((malformed, refused));
        }
        self.reopen(&after);
        Ok(())
    }

    /// Opens the session again, from what it saved and with the settings that hold now.
    fn reopen(&mut self, saved: &[u8]) {
        self.session = self.footing.open(self.binding.as_deref(), saved);
    }

    /// What the session saves after the frame that gave `turn` and `out`, if that or the binding changed with it: what
    /// [`Follower::follow`](crate::Follower::follow) takes.
    pub fn state_after(&self, turn: &Turn, out: &mut Out<'_>) -> Option<Box<[u8]>> {
        let mut after = std::mem::take(&mut out.after);
        after.clear();
        self.session.save(&mut after);
        let state = (turn.begun.is_some() || after != out.before).then(|| after.as_slice().into());
        out.after = after;
        state
    }

    /// Appends what the session needs to go on from here.
    pub fn save(&self, context: &mut Vec<u8>) {
        self.session.save(context);
    }

    /// Cuts what stands at the beginning of `bytes`, which are not empty, with the settings that hold now: see
    /// [`Protocol::cut`]. `ended` says that nothing comes behind them.
    pub fn cut(&self, ended: bool, bytes: &[u8]) -> Cut {
        let Footing { protocol, settings, .. } = &*self.footing;
        let listener = protocol.told(settings, ended);
        let own = self.binding.as_deref().and_then(|binding| protocol.told(&binding.settings, ended).setting);
        protocol.cut_told(Told { setting: own.or(listener.setting), ended }, bytes)
    }

    /// The session, to encode commands.
    pub fn session(&mut self) -> &mut dyn Session {
        &mut *self.session
    }

    /// The device, once it is known.
    pub fn binding(&self) -> Option<&Arc<Binding>> {
        self.binding.as_ref()
    }

    /// The protocol.
    pub fn protocol(&self) -> &'static Protocol {
        self.footing.protocol
    }
}

impl Footing {
    fn open(&self, binding: Option<&Binding>, context: &[u8]) -> Box<dyn Session> {
        let (transport, checksum, listener) = (Some(self.transport), self.checksum, &*self.settings);
        let opening = |settings: &Settings| (self.protocol.open)(&Opening { transport, settings, checksum, context });
        match binding {
            Some(binding) if !binding.settings.is_empty() => opening(&listener.overlaid(&binding.settings)),
            _ => opening(listener),
        }
    }
}

impl PartialEq for Footing {
    fn eq(&self, other: &Self) -> bool {
        let key = |footing: &Self| (footing.protocol.name, footing.transport, footing.checksum);
        key(self) == key(other) && self.settings == other.settings
    }
}

impl Eq for Footing {}

impl Hash for Footing {
    /// Without the settings: of those, few differ where all else is the same.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.protocol.name, self.transport).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Claim, Follower, Looks, Maturity, Setting, SettingKind};
    use odograph_model::Key;
    use odograph_wire::{Framing, Reason};

    /// Says `NAME;PASSWORD;SPEED` in each message: all that settings may bear upon.
    struct Says {
        factor: i64,
        password: Option<String>,
        heard: u8,
    }

    impl Session for Says {
        fn on_frame(&mut self, frame: &[u8], _received: Time, out: &mut Out<'_>) -> odograph_wire::Result<()> {
            let text = std::str::from_utf8(frame).unwrap();
            let [name, password, speed] = text.split(';').collect::<Vec<_>>()[..] else { panic!("{text}") };
            self.heard += 1;
            if self.password.as_deref().is_some_and(|wanted| wanted != password) {
                out.reply_despite_error("wrong password");
                return Err(Malformed::new("password", 0, Reason::Unknown));
            }
            out.identify(name);
            let mut record = Record::new();
            let speed: i64 = speed.parse().unwrap();
            record.set(Key::PositionSpeed, (speed * self.factor) as f64);
            out.record(record);
            out.reply(format!("{} heard", self.heard));
            Ok(())
        }

        fn save(&self, context: &mut Vec<u8>) {
            context.push(self.heard);
        }
    }

    const SAYS: Protocol = Protocol {
        name: "says",
        title: "",
        devices: "",
        source: "",
        maturity: Maturity::Proven,
        port: 1,
        transports: &[Transport::Udp],
        framing: Framing::Line,
        recognise: |_, _| Claim::STAYS,
        looks: Looks { form: "", proof: "" },
        frame_max: 100,
        idle_s_max: 60,
        has_checksum: false,
        datagrams_identify: true,
        commands_by_datagram: false,
        settings: &[Setting { name: "factor", kind: SettingKind::Int, meaning: "" }],
        commands: &[],
        open: |opening| {
            Box::new(Says {
                factor: opening.settings.int("factor").unwrap_or(1),
                password: opening.settings.text("password").map(str::to_owned),
                heard: opening.context.first().copied().unwrap_or(0),
            })
        },
    };

    fn footing() -> Footing {
        Footing { protocol: &SAYS, transport: Transport::Udp, checksum: Checksum::Enforce, settings: Arc::default() }
    }

    fn begin() -> Dialogue {
        Dialogue::begin(footing(), None)
    }

    fn device(name: &str, settings: &[(&str, &str)]) -> Arc<Binding> {
        let settings = Settings::recorded(settings.iter().copied());
        Arc::new(Binding { device: name.into(), tenant: "default".into(), decision: Decision::Accepted, settings })
    }

    /// What a message gives: its speeds, its replies, and what is wrong with it.
    fn say(dialogue: &mut Dialogue, text: &str, admitted: &Arc<Binding>) -> (Vec<Option<f64>>, Vec<String>, bool) {
        let mut out = Out::default();
        let turn = dialogue.frame(text.as_bytes(), Time(0), &mut out, |_, bound| {
            Some(admitted.clone()).filter(|admitted| bound != Some(admitted)).into()
        });
        let speed = |record: &Record| match record.get(Key::PositionSpeed) {
            Some(odograph_model::Value::Float(speed)) => Some(*speed),
            _ => None,
        };
        let replies = out.replies().iter().map(|reply| String::from_utf8(reply.bytes.clone()).unwrap());
        (out.records().iter().map(speed).collect(), replies.collect(), turn.malformed.is_some())
    }

    #[test]
    fn a_devices_own_settings_hold_from_the_message_on_that_names_it() {
        let mut dialogue = begin();
        let (tens, ones) = (device("tens", &[("factor", "10")]), device("ones", &[]));
        let heard = |speed: f64, count: u8| (vec![Some(speed)], vec![format!("{count} heard")], false);
        assert_eq!(say(&mut dialogue, "tens;;5", &tens), heard(50.0, 1));
        assert_eq!(say(&mut dialogue, "tens;;6", &tens), heard(60.0, 2));
        assert_eq!(say(&mut dialogue, "ones;;7", &ones), heard(7.0, 3));
        assert_eq!(say(&mut dialogue, "tens;;8", &tens), heard(80.0, 4));
    }

    #[test]
    fn a_dialogue_that_follows_another_goes_on_like_it() {
        let (mut leader, mut follower) = (begin(), Follower::new(Arc::new(footing()), None, []));
        let (tens, ones) = (device("tens", &[("factor", "10")]), device("ones", &[]));
        let turns =
            [("tens;;5", &tens), ("tens;;6", &tens), ("ones;;7", &ones), ("tens;;8", &tens), ("tens;;9", &tens)];
        // It may have to decode any of them itself.
        for (number, (text, admitted)) in turns.into_iter().cycle().take(35).enumerate() {
            let decide = |_: &Named<'_>, bound: Option<&Binding>| {
                Some(admitted.clone()).filter(|admitted| bound != Some(admitted)).into()
            };
            let (mut out, mut again) = (Out::default(), Out::default());
            let turn = leader.frame(text.as_bytes(), Time(0), &mut out, decide);
            if number.is_multiple_of(3) {
                assert_eq!(follower.frame(text.as_bytes(), Time(0), &mut again, decide), turn, "{number}");
                assert_eq!((again.records(), again.replies()), (out.records(), out.replies()), "{number}");
            } else {
                let state = leader.state_after(&turn, &mut out);
                follower.follow(turn.begun, state);
            }
            assert_eq!(follower.binding(), leader.binding(), "{number}");
        }
        // Nothing changed: nothing is handed over.
        let quiet = Turn::default();
        let mut out = Out::default();
        leader.save(&mut out.before);
        assert_eq!(leader.state_after(&quiet, &mut out), None);
    }

    #[test]
    fn who_does_not_know_a_devices_password_is_refused_until_he_does() {
        let mut dialogue = begin();
        let guarded = device("guarded", &[("password", "secret")]);
        let refused = (vec![], vec!["wrong password".to_owned()], true);
        assert_eq!(say(&mut dialogue, "guarded;guess;5", &guarded), refused);
        let bound = dialogue.binding().unwrap();
        assert_eq!((bound.device.as_str(), bound.decision), ("guarded", Decision::Refused));
        assert_eq!(say(&mut dialogue, "guarded;other;5", &guarded), refused);
        let (speeds, _, malformed) = say(&mut dialogue, "guarded;secret;5", &guarded);
        assert_eq!((speeds, malformed), (vec![Some(5.0)], false));
        assert_eq!(dialogue.binding(), Some(&guarded));
    }

    #[test]
    fn a_name_that_no_device_can_have_is_malformed() {
        let most = crate::IDENTITY_BYTES_MAX;
        for (name, is_malformed) in [(String::new(), true), ("n".repeat(most), false), ("n".repeat(most + 1), true)] {
            let (speeds, replies, malformed) = say(&mut begin(), &format!("{name};;5"), &device(&name, &[]));
            assert_eq!((speeds.is_empty(), replies.is_empty(), malformed), (is_malformed, is_malformed, is_malformed));
        }
    }
}
