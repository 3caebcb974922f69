//! A fleet that drives on real roads, cools its cargo, and speaks the protocols to a server.
//!
//! What a truck does is a function of a seed and of time ([`Truck`]); what it says is a function of what it measured
//! ([`speech`]); what of it a server has not acknowledged, the outbox keeps. Only the drivers know sockets and clocks.
//! Nothing is shared with the decoders, so that a mistake does not cancel itself out.

mod atlas;
pub mod cities;
mod device;
mod dice;
mod drive;
mod fleet;
mod measured;
mod obey;
mod outbox;
mod pace;
mod progress;
mod reefer;
mod roads;
mod route;
pub mod speech;
mod truck;

pub use atlas::Atlas;
pub use drive::{Error, run};
pub use fleet::{CITIES_OF_SMALL_FLEETS, DEVICES_MAX, Member, Plan, SMALL_FLEET_MAX};
pub use measured::{Measured, Why};
pub use progress::{Counts, Progress};
pub use reefer::{Action, Unit, ZONES_MAX, Zone};
pub use roads::Place;
pub use speech::Speech;
pub use truck::{Intervals, Truck};
