//! What a balancer says before a device's first byte, or somebody in its place.

use odograph_ingest::proxy::{Progress, progress};

/// How much is read of what is asked for, each time, and then the bytes.
///
/// Whatever comes: no more is asked for than belongs to a header of the greatest length, and where there is a whole header,
/// each beginning of it was awaited and nothing behind its end was asked for.
pub fn proxy(input: &[u8]) {
    let Some((&pace, bytes)) = input.split_first() else { return };
    let mut have = 0;
    let end = loop {
        match progress(&bytes[..have]) {
            Progress::Wrong(_) => return,
            Progress::Whole(_) => break have,
            Progress::Need(count) => {
                assert!(count > 0 && have + count <= LONGEST, "{count} more than {have}");
                let taken = count.min(usize::from(pace).max(1));
                if have + taken > bytes.len() {
                    return;
                }
                have += taken;
            }
        }
    };
    for cut in 0..end {
        match progress(&bytes[..cut]) {
            Progress::Need(count) if cut + count <= end => {}
            other => panic!("{other:?} after {cut} bytes of a header of {end}"),
        }
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mark = b"\r\n\r\n\0\r\nQUIT\n";
    let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 156, 64, 19, 186];
    let binary = |kind: &[u8], rest: &[u8]| [&[255], &mark[..], kind, rest].concat();
    let checked = binary(&[0x21, 0x11, 0, 19], &[&v4[..], &[3, 0, 4, 0, 0, 0, 0]].concat());
    let sum = crc32c::crc32c(&checked[1..]);
    let at = checked.len() - 4;
    vec![
        b"\xFFPROXY TCP4 192.0.2.7 198.51.100.1 40000 5050\r\n#L#1;NA\r\n".to_vec(),
        b"\x01PROXY TCP6 2001:db8::1 2001:db8::2 40000 5050\r\n".to_vec(),
        b"\x03PROXY UNKNOWN\r\n".to_vec(),
        binary(&[0x21, 0x11, 0, 12], &v4),
        binary(&[0x20, 0, 0, 0], b"#L#1;NA\r\n"),
        binary(&[0x21, 0x21, 0, 36], &[7; 40]),
        binary(&[0x21, 0x31, 0, 216], &[47; 216]),
        [&checked[..at], &sum.to_be_bytes()].concat(),
    ]
}

/// A header is no longer than this.
const LONGEST: usize = 4096;
