//! What the fuzzer's targets promise, held by seeded random input in every run; and that a broken promise is found.

use odograph_model::Time;
use odograph_protocols::{Checksum, Claim, Looks, Maturity, Opening, Out, Protocol, Session, Settings, Transport};
use odograph_testkit::fuzz::{Found, Setup, context, converse, protocol, search, seeds, vectors};
use odograph_wire::{Framing, Result};
use std::path::{Path, PathBuf};

const RUNS: u64 = 20_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocols/src/devices")
}

fn check(name: &str, target: fn(&[u8])) {
    let seeds = seeds(name, &folder());
    assert!(seeds.len() > 100, "{} seeds: where are the vectors?", seeds.len());
    if let Some(found) = search(target, &seeds, 1, RUNS) {
        panic!("{name}, seed 1: {found}");
    }
}

#[test]
fn any_conversation() {
    check("protocol", protocol);
}

#[test]
fn any_context() {
    check("context", context);
}

#[test]
fn any_file_of_vectors() {
    check("vectors", vectors);
}

/// Counts frames of one byte behind their length; each of the faults shows only after an unlikely frame.
struct Toy<const FAULT: u8> {
    count: u8,
}

const NONE: u8 = 0;
const PANICS: u8 = 1;
const FORGETS: u8 = 2;
const SAVES_TOO_MUCH: u8 = 3;

impl<const FAULT: u8> Session for Toy<FAULT> {
    fn on_frame(&mut self, frame: &[u8], _: Time, out: &mut Out<'_>) -> Result<()> {
        let is_odd = frame.get(1) == Some(&0x7F);
        assert!(FAULT != PANICS || !is_odd, "the toy breaks");
        self.count = if is_odd { 9 } else { self.count.wrapping_add(1) };
        out.reply([self.count]);
        Ok(())
    }

    fn save(&self, context: &mut Vec<u8>) {
        match (FAULT, self.count) {
            (FORGETS, 9) => {}
            (SAVES_TOO_MUCH, 9) => context.extend([9; 2000]),
            _ => context.push(self.count),
        }
    }
}

fn found_in_toy<const FAULT: u8>() -> Option<Found> {
    let toy: &'static Protocol = Box::leak(Box::new(Protocol {
        name: "toy",
        title: "",
        devices: "",
        source: "",
        maturity: Maturity::Proven,
        port: 1,
        transports: &[Transport::Tcp],
        framing: Framing::Length { at: 0, width: 1, little_endian: false, plus: 1 },
        recognise: |_, _| Claim::STAYS,
        looks: Looks { form: "", proof: "" },
        frame_max: 64,
        idle_s_max: 1,
        has_checksum: false,
        datagrams_identify: false,
        commands_by_datagram: false,
        settings: &[],
        commands: &[],
        open: |opening: &Opening<'_>| Box::new(Toy::<FAULT> { count: opening.context.first().copied().unwrap_or(0) }),
    }));
    let setup =
        Setup { protocol: toy, transport: Transport::Tcp, checksum: Checksum::Enforce, settings: Settings::default() };
    let target = |bytes: &[u8]| converse(&setup, bytes);
    search(target, &[b"\x02ab\x01c\x01d".to_vec()], 1, 20_000)
}

#[test]
fn a_broken_session_is_found() {
    assert_eq!(found_in_toy::<NONE>(), None);
    for (found, words) in [
        (found_in_toy::<PANICS>(), "the toy breaks"),
        (found_in_toy::<FORGETS>(), "saved and opened again"),
        (found_in_toy::<SAVES_TOO_MUCH>(), "2000 bytes saved"),
    ] {
        let found = found.expect("the search finds it");
        assert!(found.to_string().contains(words), "{found}");
        assert!(found.input.contains(&0x7F), "{found}");
    }
}
