//! The journal as others use it, on a disk that can fail.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod bench;
mod copy;
mod crash;
mod damage;
mod erase;
mod full;
mod loss;
mod proof;
mod recovery;
mod round_trip;
mod threads;
