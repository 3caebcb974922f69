//! Each law can fail: a made-up protocol keeps all of them, and breaks one at a time.

use odograph_model::{Key, Record, Time};
use odograph_protocols::{Claim, Looks, Maturity, Opening, Out, Protocol, Session, Transport};
use odograph_testkit::vectors::{check_text, update};
use odograph_wire::{Cut, Framing, Malformed, Reason, Result, checksum};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Frames are `length | kind | body | sum`: kind 1 is a login, 2 a fix at seconds after what kind 3 has set.
const VECTORS: &str = "\
# login and two fixes   source: made up
@ transport=tcp ids=fixes
> 05 01 00000007 00
i 7
< 01
<- 00
> 02 03 64 00
< 03
> 03 02 0132 00
= {\"time\":\"1970-01-01T00:01:41.000Z\",\"position.latitude\":5.0}
< 0201
> 03 02 0233 00
= {\"time\":\"1970-01-01T00:01:42.000Z\",\"position.latitude\":5.1}
< 0202

# the same fixes again   source: made up
@ transport=tcp ids=fixes device=7
> 02 03 64 00
< 03
> 03 02 0233 00
= {\"time\":\"1970-01-01T00:01:42.000Z\",\"position.latitude\":5.1}
< 0202
> 03 02 0132 00
= {\"time\":\"1970-01-01T00:01:41.000Z\",\"position.latitude\":5.0}
< 0201

# a wrong sum   source: made up
> 03 02 0132 55
! sum at byte 4: checksum: stated 55, computed 32
";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    CutsTooEarly,
    NeedsTooMuch,
    AcceptsTruncated,
    IgnoresChecksum,
    Panics,
    ForgetsState,
    SavesTooMuch,
    TrustsContext,
    HashesNothing,
    HashesTime,
    CountsResends,
    ErrorsChangeState,
}

const FAULTS: &[Fault] = &[
    Fault::None,
    Fault::CutsTooEarly,
    Fault::NeedsTooMuch,
    Fault::AcceptsTruncated,
    Fault::IgnoresChecksum,
    Fault::Panics,
    Fault::ForgetsState,
    Fault::SavesTooMuch,
    Fault::TrustsContext,
    Fault::HashesNothing,
    Fault::HashesTime,
    Fault::CountsResends,
    Fault::ErrorsChangeState,
];

struct Demo {
    fault: Fault,
    base: u8,
    resends: u8,
}

impl Demo {
    fn read(&mut self, frame: &[u8], out: &mut Out<'_>) -> Result<()> {
        let mut c = out.cursor(frame);
        let length = usize::from(c.u8("length")?);
        let is_whole = frame.len() == length + 2;
        if self.fault != Fault::AcceptsTruncated && !is_whole {
            return Err(c.error("length", Reason::Count { stated: length, found: frame.len() }));
        }
        let kind = c.u8("kind")?;
        assert!(self.fault != Fault::Panics || (1..=3).contains(&kind), "no such kind");
        let body = c.bytes("body", length.saturating_sub(1).min(frame.len().saturating_sub(2)))?;
        if is_whole && self.fault != Fault::IgnoresChecksum {
            sum(frame)?;
        }
        match (kind, body) {
            (1, [.., id]) => {
                out.identify(id.to_string());
                out.reply_if_known([1], [0]);
            }
            (2, [after, height]) => {
                out.record(self.fix(*after, *height));
                out.reply([2, *after]);
            }
            (2, [after]) if self.fault == Fault::AcceptsTruncated => out.record(self.fix(*after, 0)),
            (3, [base]) => {
                self.base = *base;
                out.reply([3]);
            }
            _ => return Err(Malformed::new("kind", 1, Reason::Unknown)),
        }
        Ok(())
    }

    fn fix(&mut self, after: u8, height: u8) -> Record {
        static TIMES: AtomicU8 = AtomicU8::new(0);
        let mut record = Record::at(Time(i64::from(self.base) * 1000 + i64::from(after) * 1000));
        record.set(Key::PositionLatitude, f64::from(height) / 10.0);
        self.resends = self.resends.wrapping_add(1);
        match self.fault {
            Fault::HashesNothing => record,
            Fault::HashesTime => record.hash_span(&[TIMES.fetch_add(1, Relaxed)]),
            Fault::CountsResends => record.hash_span(&[after, height, self.resends]),
            _ => record.hash_span(&[after, height]),
        }
    }
}

/// The last byte is the exclusive or of the others.
fn sum(frame: &[u8]) -> Result<()> {
    let [body @ .., stated] = frame else {
        return Err(Malformed::new("sum", 0, Reason::Truncated { need: 1, have: 0 }));
    };
    let computed = checksum::xor(body);
    match computed == *stated {
        true => Ok(()),
        false => Err(Malformed::new(
            "sum",
            body.len(),
            Reason::Checksum { stated: (*stated).into(), computed: computed.into() },
        )),
    }
}

impl Session for Demo {
    fn on_frame(&mut self, frame: &[u8], _: Time, out: &mut Out<'_>) -> Result<()> {
        let result = self.read(frame, out);
        if result.is_err() && self.fault == Fault::ErrorsChangeState {
            self.base = 0;
        }
        result
    }

    fn save(&self, context: &mut Vec<u8>) {
        match self.fault {
            Fault::ForgetsState => {}
            Fault::SavesTooMuch => context.resize(2000, self.base),
            _ => context.extend([self.base, self.resends]),
        }
    }
}

fn open<const FAULT: usize>(opening: &Opening<'_>) -> Box<dyn Session> {
    let fault = FAULTS[FAULT];
    let (base, resends) = match opening.context {
        [base, resends, ..] => (*base, *resends),
        [] => (0, 0),
        _ if fault == Fault::TrustsContext => panic!("a context of one byte"),
        _ => (0, 0),
    };
    Box::new(Demo { fault, base, resends })
}

fn early(bytes: &[u8]) -> Cut {
    match bytes {
        [length, ..] => Cut::Frame((usize::from(*length) + 2).min(bytes.len())),
        [] => Cut::Need(1),
    }
}

fn greedy(bytes: &[u8]) -> Cut {
    match bytes {
        [length, rest @ ..] if rest.len() > usize::from(*length) => Cut::Frame(usize::from(*length) + 2),
        _ => Cut::Need(bytes.len() + 100),
    }
}

const fn protocol(framing: Framing, open: fn(&Opening<'_>) -> Box<dyn Session>) -> Protocol {
    Protocol {
        name: "demo",
        title: "Demo",
        devices: "none",
        source: "made up",
        maturity: Maturity::Unverified,
        port: 5999,
        transports: &[Transport::Tcp],
        framing,
        recognise: |_, _| Claim::STAYS,
        looks: Looks { form: "", proof: "" },
        frame_max: 300,
        idle_s_max: 60,
        has_checksum: true,
        datagrams_identify: false,
        commands_by_datagram: false,
        settings: &[],
        commands: &[],
        open,
    }
}

const LENGTH: Framing = Framing::Length { at: 0, width: 1, little_endian: false, plus: 2 };

/// What is found where the protocol has the fault of that number.
fn findings<const FAULT: usize>() -> Vec<String> {
    let framing = match FAULTS[FAULT] {
        Fault::CutsTooEarly => Framing::Custom(early),
        Fault::NeedsTooMuch => Framing::Custom(greedy),
        _ => LENGTH,
    };
    let demo: &'static Protocol = Box::leak(Box::new(protocol(framing, open::<FAULT>)));
    check_text(demo, "demo.vectors", &vectors()).expect("the vectors can be read").findings
}

/// The vectors with their sums worked out.
fn vectors() -> String {
    let line = |line: &str| match line.strip_prefix("> ").filter(|bytes| bytes.ends_with("00")) {
        Some(bytes) => {
            let mut bytes = odograph_wire::notation::from_hex(bytes).expect("hex digits");
            bytes.pop();
            bytes.push(checksum::xor(&bytes));
            format!("> {}\n", odograph_wire::notation::to_hex(&bytes))
        }
        None => format!("{line}\n"),
    };
    VECTORS.lines().map(line).collect()
}

#[track_caller]
fn assert_finds(findings: &[String], law: &str, words: &str) {
    let found = findings.iter().any(|finding| finding.contains(&format!(": {law}: ")) && finding.contains(words));
    assert!(found, "{law} does not find {words:?}: {findings:#?}");
}

#[test]
fn a_checksum_that_only_some_messages_carry_is_held_where_they_say_so() {
    let found = |summed: &str| {
        let sometimes = Protocol { has_checksum: false, ..protocol(LENGTH, open::<4>) };
        let text = vectors().replace("ids=fixes device=7", &format!("device=7 {summed}")).replace("ids=fixes", "");
        let findings = check_text(Box::leak(Box::new(sometimes)), "demo.vectors", &text);
        let mut findings = findings.expect("the vectors can be read").findings;
        findings.retain(|finding| finding.contains(": flip: "));
        findings
    };
    assert_eq!(found(""), Vec::<String>::new(), "nobody says that there is one");
    assert_finds(&found("summed"), "flip", "flipped: 1 records");
    assert_finds(&found("summed=2"), "flip", "flipped: 1 records");
    assert_finds(&found("summed=2@2"), "flip", "of byte 2 flipped: 1 records");
    assert_eq!(found("summed=2@5"), Vec::<String>::new(), "it covers nothing");
}

#[test]
fn an_honest_protocol_keeps_every_law() {
    assert_eq!(findings::<0>(), Vec::<String>::new());
}

#[test]
fn framing_that_depends_on_the_split_is_found() {
    assert_finds(&findings::<1>(), "split", "split at 1");
    assert_finds(&findings::<2>(), "split", "did with less");
}

#[test]
fn damage_that_goes_unnoticed_is_found() {
    assert_finds(&findings::<3>(), "truncate", "cut to 3 of 5 bytes: 1 records");
    assert_finds(&findings::<4>(), "flip", "flipped: 1 records");
    assert_finds(&findings::<4>(), "flip", "flipped: acknowledged with");
    assert_finds(&findings::<5>(), "flip", "panics: no such kind");
}

#[test]
fn state_that_is_not_saved_or_trusted_too_much_is_found() {
    assert_finds(&findings::<6>(), "save", "saved before this frame: frame 3: records differ");
    assert_finds(&findings::<7>(), "save", "2000 bytes saved; at most 1024 may be");
    assert_finds(&findings::<8>(), "save", "which was never saved: panics: a context of one byte");
}

#[test]
fn ids_that_say_too_little_or_too_much_are_found() {
    assert_finds(&findings::<9>(), "ids", "without a span");
    assert_finds(&findings::<10>(), "ids", "decoded anew: other ids");
    assert_finds(&findings::<11>(), "ids", "sent again gives ids");
    assert_finds(&findings::<11>(), "ids", "not the record ids of \"fixes\" in line 1");
}

#[test]
fn an_error_that_changes_the_conversation_is_found() {
    assert_finds(&findings::<12>(), "error", "after its first 0 bytes were refused");
}

#[test]
fn claims_that_are_missing_or_taken_back_are_found() {
    let claiming = |recognise| {
        let demo: &'static Protocol = Box::leak(Box::new(Protocol { recognise, ..protocol(LENGTH, open::<0>) }));
        check_text(demo, "demo.vectors", &vectors()).expect("the vectors can be read").findings
    };
    let shy = claiming(|start, _| if start.len() > 2 { Claim::No } else { Claim::next(start) });
    assert_finds(&shy, "recognise", "tcp: disclaimed by its first 3 bytes");
    let fickle = claiming(|start, _| if start.len() == 2 { Claim::Yes } else { Claim::next(start) });
    assert_finds(&fickle, "recognise", "tcp: Yes became Perhaps(4) with byte 3");
    let early = claiming(|start, _| if start.len() < 3 { Claim::Perhaps(4) } else { Claim::Yes });
    assert_finds(&early, "recognise", "tcp: asked for 4 bytes, and said Yes after 3");
    let hasty = claiming(|start, _| Claim::Perhaps(5 - start.len().min(1)));
    assert_finds(&hasty, "recognise", "tcp: asked for 5 bytes, and after 1 for 4");
    let greedy = claiming(|start, _| Claim::Perhaps(start.len().max(1)));
    assert_finds(&greedy, "recognise", "tcp: asks for 1 bytes where 1 have come");
    let rash = claiming(|start, _| match start.len() {
        0..=4 => Claim::next(start),
        5 => Claim::Yes,
        _ => panic!("too much"),
    });
    assert_finds(&rash, "recognise", "tcp, twice: panics: too much");
}

#[test]
fn a_session_that_wants_its_delimiter_is_found() {
    struct Lines;
    impl Session for Lines {
        fn on_frame(&mut self, frame: &[u8], _: Time, out: &mut Out<'_>) -> Result<()> {
            match frame.ends_with(b"\n") {
                true => out.identify("7"),
                false => return Err(Malformed::new("line", frame.len(), Reason::Unknown)),
            }
            Ok(())
        }
    }
    let lines: &'static Protocol = Box::leak(Box::new(protocol(Framing::Line, |_| Box::new(Lines))));
    let report = check_text(lines, "lines.vectors", "# hello  source: made up\n> \"7\\r\\n\"\ni 7\n").unwrap();
    assert_finds(&report.findings, "message", "without its delimiter: names differ");
    assert_finds(&report.findings, "coverage", "fewer than three paragraphs");
    assert_finds(&report.findings, "coverage", "no paragraph gives a position");
}

#[test]
fn expectations_are_compared_and_rewritten() {
    let demo: &'static Protocol = Box::leak(Box::new(protocol(LENGTH, open::<0>)));
    let sound = vectors();
    let wrong = sound.replace("5.1", "5.2").replace("< 0201", "< 0301").replace("i 7", "i 8");
    let findings = check_text(demo, "demo.vectors", &wrong).unwrap().findings;
    assert_finds(&findings, "decode", "records: expected");
    assert_finds(&findings, "decode", "replies: expected");
    assert_finds(&findings, "decode", "identity: expected");
    let canonical = update(demo, &sound).unwrap();
    assert_eq!(update(demo, &wrong).unwrap(), canonical);
    assert_eq!(update(demo, &canonical).unwrap(), canonical);
    let remark = canonical.replace("i 7", "# a remark\ni 7");
    assert!(update(demo, &remark).unwrap().contains("# a remark\ni 7\n"), "remarks are kept");
}
