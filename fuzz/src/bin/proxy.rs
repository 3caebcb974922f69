//! See `odograph_simtest::fuzz::proxy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| odograph_simtest::fuzz::proxy(input));
