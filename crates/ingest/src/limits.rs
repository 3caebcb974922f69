//! The bounds of everything that a device can make grow.

use std::time::Duration;

/// Bounds that can be set. Each has a metric, and a reason in the log when it cuts something off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, all listeners together. Further ones are closed at once.
    pub connections_max: usize,
    /// Connections at a time from one address; 0: any number, because a carrier's NAT looks like one address.
    pub connections_per_address_max: usize,
    /// How long a connection may take to say who it is.
    pub identify_max: Duration,
    /// How long a connection to the port that understands all protocols may take until it is clear which one it speaks.
    pub undecided_max: Duration,
    /// How long a TLS handshake may take.
    pub handshake_max: Duration,
    /// How long a device may leave its answers unread before its connection ends.
    pub unread_max: Duration,
    /// How long a frame of more than `FRAME_TIME_FREE_BYTES` may take, from its first byte to its last.
    pub frame_time_max: Duration,
    /// What each worker holds of frames whose end has not come and of streams that are undecided, in bytes of memory. Who
    /// has taken up the most, by bytes and time, is cut off when there is more.
    pub incomplete_bytes_max: usize,
    /// Peers remembered by each UDP listener; the one that was silent longest is forgotten first.
    pub udp_peers_max: usize,
    /// How long a graceful stop waits for acknowledgements that are due.
    pub stop_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: usize::MAX,
            connections_per_address_max: 0,
            identify_max: Duration::from_secs(60),
            undecided_max: Duration::from_secs(30),
            // Over a slow network, with several round trips.
            handshake_max: Duration::from_secs(30),
            unread_max: Duration::from_secs(60),
            // The longest request in it takes 3 KB/s, which a poor connection has.
            frame_time_max: Duration::from_secs(5 * 60),
            // Frames under way are few and mostly shorter than a packet of the network: this is room for some fifty thousand
            // of them, or for fifty of the longest requests.
            incomplete_bytes_max: 64 << 20,
            udp_peers_max: 100_000,
            stop_max: Duration::from_secs(10),
        }
    }
}

/// Of a frame that takes up no more memory than this, the end may come as late as the protocol lets a device be silent:
/// some trackers leave out the end of a message until the next one. All of them together have their bound anyway.
pub(crate) const FRAME_TIME_FREE_BYTES: usize = 2 << 10;

/// So long a frame may be under way before it is the time more than the bytes that makes it one of those that have cost
/// most: networks have gaps.
pub(crate) const INCOMPLETE_FREE: Duration = Duration::from_secs(10);

/// When `incomplete_bytes_max` is met, this part of it is made free at once.
pub(crate) const RELIEF: usize = 8;

/// Bytes in a row that belong to no frame before a connection ends: noise, or another protocol.
pub(crate) const SKIPPED_MAX: usize = 64 << 10;

/// Bytes that wait for one device to take them before its connection is no longer read from: a device that does not
/// read its answers must not make us keep more of them.
pub(crate) const UNREAD_BYTES_MAX: usize = 64 << 10;

/// Bytes of a command for a device. They lie in the journal as one piece, and in memory until the device has taken them.
pub(crate) const COMMAND_BYTES_MAX: usize = 128 << 10;

/// Bytes of a command that goes as a datagram: networks carry so many in one piece, and whole ones are lost less often.
pub(crate) const COMMAND_DATAGRAM_BYTES_MAX: usize = 1200;
/// So long after a device's last datagram a command goes to where that came from. Networks that translate addresses forget an
/// idle device after some 30 s to 120 s, and then give what is its own to another.
pub(crate) const REACH_MAX: Duration = Duration::from_secs(60);
/// So long the answer to a command that left as a datagram is listened for: there is no link whose end would end that. Nobody is
/// held up by it, since the next command follows long before.
pub(crate) const DISPATCH_MAX: Duration = Duration::from_secs(10 * 60);
/// Commands under way to one worker's devices that wait to be taken up. Whoever sends more is told that it was not sent.
pub(crate) const ORDERS_MAX: usize = 10_000;

/// Bytes taken from a socket at a time. The buffer belongs to the worker, so idle connections have none.
pub(crate) const READ_BYTES: usize = 64 << 10;

/// What one connection may have worked off before the others have their turn, in bytes from the device and to it, and
/// [`ENTRY_WORK_BYTES`] for each entry of the journal: one read of large frames, or some sixty of the smallest.
pub(crate) const TURN_WORK_BYTES: usize = 64 << 10;

/// What an entry of the journal costs besides its bytes, in bytes that take as long: decoding a message, and framing it.
pub(crate) const ENTRY_WORK_BYTES: usize = 512;

/// What one connection may have in the journal that is not durable yet before it is heard again. All connections together
/// make what a commit has to write and everyone has to wait for; at a commit each few milliseconds, this is more than
/// any device sends.
pub(crate) const AHEAD_BYTES_MAX: u32 = 16 << 10;

/// Datagrams in a row from one socket before the connections have their turn.
pub(crate) const DATAGRAMS_IN_A_ROW: usize = 256;

/// The largest datagram there can be.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 64 << 10;

/// Connections that wait to be accepted, asked of the kernel, which has a bound of its own (`net.core.somaxconn`).
pub(crate) const BACKLOG: i32 = 65_535;

/// How long the accept loop rests after an error such as too many open files.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a balancer may take to say whose a connection is: it does so at once, and is near.
pub(crate) const PROXY_HEADER_MAX: Duration = Duration::from_secs(5);

/// How often we look whether certificates have changed.
pub(crate) const CERTIFICATES_LOOK: Duration = Duration::from_secs(1);

/// How often idle connections are looked for.
pub(crate) const SWEEP: Duration = Duration::from_secs(1);

/// A part that has not shown life for this long is stalled.
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(4);

/// How often the watchdog looks.
pub(crate) const WATCH: Duration = Duration::from_secs(1);

/// When so much time is between two of its looks, the whole process stood still, and nobody hung. Shorter pauses, with a beat
/// before them that was due, stay below [`STALLED_AFTER`].
pub(crate) const PAUSED_AFTER: Duration = Duration::from_secs(2);
const _: () = assert!(PAUSED_AFTER.as_millis() + SWEEP.as_millis() < STALLED_AFTER.as_millis());

/// For so long a part that was replaced is told as such: whoever looks at the health every few minutes does not miss it.
pub(crate) const HEALED_TOLD: Duration = Duration::from_secs(15 * 60);

/// How often a stop looks whether what it waits for has ended.
pub(crate) const STOP_LOOK: Duration = Duration::from_millis(5);

/// How long is waited until the address of a door that was closed is free: those who have its socket let go at once, unless they hang.
pub(crate) const CLOSE_MAX: Duration = Duration::from_secs(2);
