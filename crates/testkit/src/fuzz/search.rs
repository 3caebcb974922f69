//! Looking for a panic without a fuzzer: seeds, changed at random, and random bytes.

use crate::SeededRng;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An input that panics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The input.
    pub input: Vec<u8>,
    /// What the panic says.
    pub words: String,
}

/// Gives `target` each of `seeds` as it is, then `runs` inputs made of them, all from the number `seed`; stops at the
/// first that panics.
pub fn search(target: impl Fn(&[u8]), seeds: &[Vec<u8>], seed: u64, runs: u64) -> Option<Found> {
    let rng = SeededRng::new(seed);
    let made = (0..runs).map(|_| changed(seeds, &rng));
    seeds.iter().cloned().chain(made).find_map(|input| {
        let panic = catch_unwind(AssertUnwindSafe(|| target(&input))).err()?;
        let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        Some(Found { words: words.unwrap_or("without words").to_owned(), input })
    })
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\ninput: ", self.words)?;
        self.input.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One of `seeds` with a few changes, or sometimes just bytes.
fn changed(seeds: &[Vec<u8>], rng: &SeededRng) -> Vec<u8> {
    let mut bytes = match seeds {
        [] => random(rng),
        _ if rng.one_in(16) => random(rng),
        _ => pick(seeds, rng).clone(),
    };
    for _ in 0..=rng.below(4) {
        change(&mut bytes, seeds, rng);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &SeededRng) {
    let at = rng.below(bytes.len() as u64) as usize;
    let length = (1 + rng.below(16) as usize).min(bytes.len() - at);
    let telling = TELLING[rng.below(TELLING.len() as u64) as usize];
    match rng.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..at + length)),
        2 => bytes.extend_from_within(at..at + length),
        3 => drop(bytes.splice(at..at, std::iter::repeat_n(telling, length.max(1)))),
        4 if !seeds.is_empty() => {
            let other = pick(seeds, rng);
            let from = rng.below(other.len() as u64) as usize;
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        5 => bytes[at..at + length].fill(telling),
        6 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = telling),
        _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.below(8)),
    }
}

fn pick<'s>(seeds: &'s [Vec<u8>], rng: &SeededRng) -> &'s Vec<u8> {
    &seeds[rng.below(seeds.len() as u64) as usize]
}

fn random(rng: &SeededRng) -> Vec<u8> {
    (0..rng.below(256)).map(|_| rng.next() as u8).collect()
}

/// Bytes where decoders decide: ends of ranges, signs, digits, separators.
const TELLING: &[u8] = b"\x00\x01\x7f\x80\xfe\xff09-.;,:#\r\n";
