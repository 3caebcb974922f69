//! See `odograph_testkit::fuzz::context`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| odograph_testkit::fuzz::context(input));
