//! The whole gateway on one thread under a seed: devices, links, a disk that fails, and checkers.
//!
//! The production state machines run here over a disk in memory and a clock that is set: devices speak in pieces, lose
//! their links and answers, come again and send again, batched differently; the power goes at any write and flush.
//! The checker knows nothing of how the gateway works: what was acknowledged must come out, once.

mod book;
mod device;
pub mod fuzz;
mod historian;
mod ledger;
mod world;

pub use book::{Book, OpenBook, Row};
pub use historian::{Historian, alone};
pub use ledger::{Faults, Ledger};
pub use world::{Outcome, Plan, World};
