//! What would be too long for `wialon.vectors`: the largest black boxes.

use super::*;
use crate::{RECORDS_MAX, Settings};
use miniz_oxide::deflate::compress_to_vec_zlib;

/// A black box of so many records, one a second.
fn black_box(count: usize) -> String {
    let record = |n: usize| {
        format!("0104{:02};{:02}{:02}00;5544.6025;N;03739.6834;E;{};2;3;4", n / 1440 % 90, n / 60 % 24, n % 60, n % 200)
    };
    format!("#B#{}\r\n", (0..count).map(record).collect::<Vec<_>>().join("|"))
}

/// How many records a frame gives, and how it is answered.
fn heard(frame: &[u8]) -> (usize, Vec<String>) {
    assert_eq!(cut(frame), Cut::Frame(frame.len()));
    let opening =
        Opening { transport: None, settings: &Settings::default(), checksum: Checksum::Enforce, context: &[] };
    let mut out = Out::default();
    crate::decode(&mut *open(&opening), frame, Time(0), &mut out).expect("a sound frame");
    let replies = out.replies().iter().map(|reply| String::from_utf8_lossy(&reply.bytes).into_owned()).collect();
    (out.records().len(), replies)
}

#[test]
fn a_black_box_has_as_many_records_as_the_maker_allows() {
    assert_eq!(heard(black_box(5000).as_bytes()), (5000, vec!["#AB#5000\r\n".to_owned()]));
    // What is beyond is not acknowledged, and comes again.
    assert_eq!(heard(black_box(5001).as_bytes()), (RECORDS_MAX, vec!["#AB#5000\r\n".to_owned()]));
}

#[test]
fn the_largest_black_box_fits_into_a_container() {
    let compressed = compress_to_vec_zlib(black_box(5000).as_bytes(), 9);
    let length = u16::try_from(compressed.len()).expect("it is that short");
    let frame = [&[0xFF], &length.to_le_bytes()[..], &compressed].concat();
    assert_eq!(heard(&frame), (5000, vec!["#AB#5000\r\n".to_owned()]));
}
