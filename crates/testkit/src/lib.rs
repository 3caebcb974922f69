//! Test tools: a fault-injecting disk and a small one, a settable clock, a repeatable source of randomness, the vectors harness, pages,
//! ports.

mod clock;
pub mod disk;
pub mod fuzz;
pub mod pages;
mod ports;
mod rng;
mod small_disk;
pub mod vectors;

pub use clock::TestClock;
pub use disk::{FaultDisk, Moment, PowerCut};
pub use ports::free_address;
pub use rng::SeededRng;
pub use small_disk::SmallDisk;
