//! Connections of devices: pure state machines and their TCP and UDP drivers, gated by the journal.
//!
//! [`Connection`] and [`Peers`] decide everything and touch nothing: bytes, the durable mark and the time go in;
//! journal entries, bytes for the device and an end come out. Only `tcp`, `udp` and `accept` know sockets. Nothing
//! leaves for a device before the journal says that the frame it answers, and the answer itself, are on disk.

mod accept;
mod access;
mod address;
mod arrival;
mod command;
mod connection;
mod cutoffs;
mod datagrams;
mod devices;
mod dispatch;
mod doors;
mod gateway;
mod given;
mod held;
mod intake;
mod limits;
mod line;
mod listener;
mod measure;
mod moment;
mod named;
mod outbox;
pub mod proxy;
mod reach;
mod roster;
mod seats;
mod signal;
mod sockets;
mod tcp;
mod tls;
mod udp;
mod watchdog;
mod worker;

pub use access::Access;
pub use command::{CommandObserver, Fate, Order, Unsent};
pub use connection::{Close, Connection, Need, Step};
pub use datagrams::{Peers, Verdict};
pub use devices::{Devices, Other, Unknown};
pub use doors::{Bound, DoorId};
pub use gateway::{Bell, Gateway, GatewayError, Parts};
pub use given::Given;
pub use intake::{Intake, Now, Scratch, Tally};
pub use limits::Limits;
pub use listener::{Listener, ListenerError};
pub use measure::describe;
pub use named::{Named, take_in};
pub use proxy::Proxy;
pub use roster::{Damage, Known, Paused, Quota, Roster, RosterError, State, UNKNOWN_DEVICES_MAX};
pub use tls::{Tls, TlsError, TlsFiles};
pub use watchdog::{Health, PartHealth};
pub use worker::OfDevices;
