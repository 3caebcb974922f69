//! A fleet that drives on real roads, cools its cargo, and speaks the protocols to a server.
//!
//! What a truck does is a function of a seed and of time ([`truck`]); what it says is a function of what it measured
//! ([`speech`]); what of it a server has acknowledged, the [`outbox`] knows. Only the drivers know sockets and clocks.
//! Nothing is shared with the decoders, so that a mistake does not cancel itself out.

mod atlas;
pub mod cities;
mod dice;
mod measured;
mod reefer;
mod roads;
mod route;
mod truck;

pub use atlas::Atlas;
pub use measured::{Measured, Why};
pub use reefer::{Action, Unit, ZONES_MAX, Zone};
pub use roads::Place;
pub use truck::{Intervals, Truck};
