//! What balancers say, in pieces of any size, and what is no header.

use super::*;
use odograph_testkit::SeededRng;
use odograph_wire::notation::from_hex;

/// Reads a header as the driver does: as many bytes as are asked for, or fewer. Says what came of it, and after how many.
fn read(bytes: &[u8], mut piece: impl FnMut(usize) -> usize) -> (Progress, usize) {
    let mut have = 0;
    loop {
        match progress(&bytes[..have]) {
            Progress::Need(count) if have < bytes.len() => {
                have = (have + piece(count).clamp(1, count)).min(bytes.len());
            }
            other => return (other, have),
        }
    }
}

fn check(header: &[u8], expected: Origin) {
    // The device's own bytes follow, in one piece with it.
    let stream = [header, b"PROXY \r\n\r\n\0device"].concat();
    let rng = SeededRng::new(11);
    let whole = (Progress::Whole(expected), header.len());
    assert_eq!(read(&stream, |count| count), whole, "{}", header.escape_ascii());
    assert_eq!(read(&stream, |_| 1), whole, "byte by byte");
    for _ in 0..50 {
        assert_eq!(read(&stream, |count| 1 + usize::try_from(rng.next()).unwrap() % count), whole);
    }
    // Wherever it is cut, it is awaited, and not one byte too many.
    for cut in 0..header.len() {
        match progress(&header[..cut]) {
            Progress::Need(count) => assert!((1..=header.len() - cut).contains(&count), "{count} after {cut}"),
            other => panic!("{other:?} after {cut} bytes of {}", header.escape_ascii()),
        }
    }
}

fn refuse(header: &[u8], expected: &'static str) {
    assert_eq!(read(header, |count| count).0, Progress::Wrong(expected), "{}", header.escape_ascii());
}

fn device(address: &str) -> Origin {
    Origin::Device(address.parse().unwrap())
}

fn hex(text: &str) -> Vec<u8> {
    from_hex(text).unwrap()
}

const MARK: &str = "0d0a0d0a000d0a515549540a";

#[test]
fn lines_of_text() {
    // The examples and the longest lines of section 2.1.
    check(b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", device("255.255.255.255:65535"));
    check(b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", device("192.168.0.1:56324"));
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    check(format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n").as_bytes(), device(&format!("[{longest}]:65535")));
    check(b"PROXY TCP6 ::ffff:192.0.2.7 ::1 4000 1\r\n", device("192.0.2.7:4000"));
    check(b"PROXY UNKNOWN\r\n", Origin::Balancer);
    check(format!("PROXY UNKNOWN {longest} {longest} 65535 65535\r\n").as_bytes(), Origin::Balancer);
    check(b"PROXY UNKNOWN all that may stand here, and more of it\r\n", Origin::Balancer);
}

#[test]
fn lines_that_are_wrong() {
    refuse(b"$GPRMC,1,2,3\r\n", "no header");
    refuse(b"PROXX TCP4", "no header");
    refuse(b"PROXY TCP4 300.0.0.1 192.0.2.1 1 2\r\n", "its addresses cannot be read");
    refuse(b"PROXY TCP4 192.0.2.1 192.0.2.1 1 65536\r\n", "its addresses cannot be read");
    refuse(b"PROXY TCP4 ::1 ::1 1 2\r\n", "its addresses cannot be read");
    refuse(b"PROXY UNKNOWNX 1 2\r\n", "its addresses cannot be read");
    refuse(b"PROXY TCP4 192.0.2.1\n192.0.2.1 1 2\r\n", "not a line of text");
    refuse(&[b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat(), "too long");
}

#[test]
fn binary_headers() {
    let v4 = "c0000207 c6336401 9c40 13ba";
    check(&hex(&format!("{MARK} 21 11 000c {v4}")), device("192.0.2.7:40000"));
    let v6 = "20010db8000000000000000000000001 20010db8000000000000000000000002 9c40 13ba";
    check(&hex(&format!("{MARK} 21 21 0024 {v6}")), device("[2001:db8::1]:40000"));
    let mapped = "00000000000000000000ffffc0000207 00000000000000000000000000000001 9c40 13ba";
    check(&hex(&format!("{MARK} 21 21 0024 {mapped}")), device("192.0.2.7:40000"));
    // What a balancer's own look at us says, with addresses and without.
    check(&hex(&format!("{MARK} 20 00 0000")), Origin::Balancer);
    check(&hex(&format!("{MARK} 20 11 000c {v4}")), Origin::Balancer);
    check(&hex(&format!("{MARK} 21 00 0000")), Origin::Balancer);
    // Whoever came by a Unix socket.
    check(&[hex(&format!("{MARK} 21 31 00d8")), vec![b'/'; 216]].concat(), Origin::Balancer);
    // Extensions: none of our business (0x02: the name asked for; 0xE0: one's own).
    check(&hex(&format!("{MARK} 21 11 0018 {v4} 02 0003 616263 e0 0003 000102")), device("192.0.2.7:40000"));
}

#[test]
fn binary_headers_with_a_checksum() {
    let with = |sum: u32| hex(&format!("{MARK} 21 11 0017 c0000207 c6336401 9c40 13ba 03 0004 {sum:08x} e0 0001 07"));
    let right = crc32c::crc32c(&with(0));
    check(&with(right), device("192.0.2.7:40000"));
    refuse(&with(right ^ 1), "its checksum is wrong");
}

#[test]
fn binary_headers_that_are_wrong() {
    refuse(&hex("0d0a0d0a000d0a515549540b"), "no header");
    refuse(&hex(&format!("{MARK} 31 11 000c")), "another version, or command");
    refuse(&hex(&format!("{MARK} 22 11 000c")), "another version, or command");
    refuse(&hex(&format!("{MARK} 21 41 000c")), "its addresses cannot be read");
    refuse(&hex(&format!("{MARK} 21 11 000b")), "its addresses cannot be read");
    refuse(&hex(&format!("{MARK} 21 11 0ff1")), "too long");
    let v4 = "c0000207 c6336401 9c40 13ba";
    refuse(&hex(&format!("{MARK} 21 11 0010 {v4} 02 0009 61")), OVERLONG);
    refuse(&hex(&format!("{MARK} 21 11 000e {v4} 02 00")), OVERLONG);
    refuse(&hex(&format!("{MARK} 21 11 0011 {v4} 03 0002 6161")), OVERLONG);
}

#[test]
fn the_longest_that_may_be_is_taken() {
    let length = u16::try_from(BINARY_BYTES_MAX - BINARY_BYTES_MIN).unwrap();
    let filler = length - 12 - 3;
    let mut header = hex(&format!("{MARK} 21 11 {length:04x} c0000207 c6336401 9c40 13ba 04 {filler:04x}"));
    header.resize(BINARY_BYTES_MAX, 0);
    assert_eq!(read(&header, |count| count), (Progress::Whole(device("192.0.2.7:40000")), BINARY_BYTES_MAX));
}
