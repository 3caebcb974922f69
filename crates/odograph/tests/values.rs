//! What history gives is what the journal says, value for value: all vectors of all protocols go into a journal, and come
//! out of it twice, decoded straight from it, and through the tables by `odograph export records`.

mod common;

use common::Place;
use odograph_env::{LocalDisk, SystemClock, SystemRng};
use odograph_journal::{Identity, Journal, Kind, NewEntry, Options, Reader};
use odograph_model::Lsn;
use odograph_pipeline::{Records, Window};
use odograph_protocols::{
    Binding, Context, Decision, Dialogue, Footing, Out, PROTOCOLS, Protocol, Settings, Transport,
};
use odograph_testkit::vectors::{Paragraph, parse};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

#[test]
fn an_export_gives_what_the_journal_says_value_for_value() {
    let place = Place::new();
    let folder = place.data().join("journal/0");
    std::fs::create_dir_all(&folder).expect("a folder is made");
    let options = Options { segment_bytes: 64 << 10, reserve_bytes: 1 << 10, ..Options::default() };
    let (journal, mut committer, _) =
        Journal::open(&folder, options, Arc::new(LocalDisk), Arc::new(SystemClock::new()), &SystemRng).expect("opens");
    for protocol in PROTOCOLS {
        for paragraph in conversations(protocol) {
            hear(&journal, protocol, &paragraph);
            committer.commit_step().expect("it is written");
        }
    }
    drop((journal, committer));
    let expected = decoded(&folder);
    let of = |protocol: &Protocol| expected.values().filter(|record| record.value["protocol"] == protocol.name).count();
    let few: Vec<_> = PROTOCOLS.iter().filter(|protocol| of(protocol) < 5).map(|protocol| protocol.name).collect();
    assert!(few.is_empty() && expected.len() > 500, "{} records are too few: {few:?}", expected.len());
    let check = |place: &Place, from: &str| {
        let found = exported(place);
        for (id, record) in &expected {
            assert_eq!(found.get(id), Some(record), "{from}");
        }
        assert_eq!(found.len(), expected.len(), "{from}");
    };
    check(&place, "from the folder, before there is any file");
    // All of it becomes files when a server starts and stops.
    let server = place.serve();
    check(&place, "from a server");
    assert!(server.stop().success());
    check(&place, "from files");
}

/// A record as JSON: what it means, and, because a reader may round, how each part of it is written.
#[derive(Debug, PartialEq)]
struct Told {
    value: Value,
    parts: Vec<String>,
}

impl Told {
    fn new(line: &str) -> (String, Self) {
        let value: Value = serde_json::from_str(line).expect("a line is JSON");
        let inner = line.strip_prefix('{').and_then(|line| line.strip_suffix('}')).expect("an object");
        // In what order the parameters stand does not matter.
        let mut parts: Vec<String> = inner.split(",\"").map(|part| part.trim_start_matches('"').to_owned()).collect();
        parts.sort();
        (value["id"].as_str().expect("a text").to_owned(), Self { value, parts })
    }
}

/// The records by their ids, straight from the journal.
fn decoded(folder: &Path) -> BTreeMap<String, Told> {
    let reader = Reader::open(Arc::new(LocalDisk), folder).expect("the journal is there");
    let mut entries = reader.entries(Lsn(0), None).expect("it is read");
    let mut all = BTreeMap::new();
    let take = |event: &odograph_pipeline::Event<'_>| {
        let (id, told) = Told::new(&serde_json::to_string(&event.view()).expect("a record serialises"));
        all.insert(id, told);
        Ok::<_, std::convert::Infallible>(())
    };
    assert!(Records::new(Window::default()).read(&mut entries, take, |_| {}).is_ok());
    all
}

fn exported(place: &Place) -> BTreeMap<String, Told> {
    let text = place.text(&["export", "records"]);
    let all: BTreeMap<String, Told> = text.lines().map(Told::new).collect();
    assert_eq!(all.len(), text.lines().count(), "each record once");
    all
}

fn conversations(protocol: &Protocol) -> Vec<Paragraph> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocols/src/devices");
    let text = std::fs::read_to_string(folder.join(format!("{}.vectors", protocol.name))).expect("the vectors");
    parse(&text).expect("they are sound")
}

/// Writes a conversation down, as ingest does: each frame with the state before it.
fn hear(journal: &Journal, protocol: &'static Protocol, paragraph: &Paragraph) {
    let options = &paragraph.options;
    let (checksum, at) = (options.checksum, options.received);
    let transport = options.transport.unwrap_or(Transport::Tcp);
    let settings = options.terms(protocol).expect("they are sound").settings;
    let accepted = |device: &str| {
        let settings = Settings::default();
        Arc::new(Binding { device: device.into(), tenant: "default".into(), decision: Decision::Accepted, settings })
    };
    let bound = accepted(options.device());
    let mut dialogue =
        Dialogue::begin(Footing { protocol, transport, checksum, settings: settings.clone().into() }, Some(bound));
    let state = |dialogue: &Dialogue| {
        let (mut session, mut bytes) = (Vec::new(), Vec::new());
        dialogue.save(&mut session);
        let (protocol, peer, local) = (protocol.name.into(), "192.0.2.1:1".into(), "192.0.2.2:2".into());
        let (settings, binding) = (settings.clone(), dialogue.binding().map(|binding| (**binding).clone()));
        Context { protocol, transport, checksum, peer, local, settings, binding, session }.write(&mut bytes);
        bytes
    };
    let whose = |binding: &Binding| {
        let mut decision = Vec::new();
        binding.write(&mut decision);
        (binding.device.to_string(), decision)
    };
    let owner = whose(dialogue.binding().expect("it is bound"));
    let identity = Identity { device: &owner.0, decision: &owner.1 };
    let (mut stream, _) = journal.open_stream(at.0, &state(&dialogue), Some(identity)).expect("it is appended");
    let mut out = Out::default();
    for message in paragraph.frames() {
        let (before, owner) = (state(&dialogue), whose(dialogue.binding().expect("it is bound")));
        let turn = dialogue.frame(&message.bytes, at, &mut out, |named, bound| {
            named.ids.first().map(|id| accepted(id)).filter(|binding| bound != Some(&**binding)).into()
        });
        let begun = turn.begun.map(|binding| whose(&binding));
        let identity = begun.as_ref().map(|(device, decision)| Identity { device, decision });
        let entry = NewEntry { kind: Kind::FRAME, at: at.0, identity, payload: &message.bytes };
        let bound = Identity { device: &owner.0, decision: &owner.1 };
        journal.append(&mut stream, &before, Some(bound), &[entry]).expect("it is appended");
    }
}
