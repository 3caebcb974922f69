//! Readers and writers for device messages: cursor, text fields, checksums, units, framing, requests by HTTP.
//!
//! Everything is pure, and the readers do not allocate. All bounds checks of all protocols are in [`Cursor`] and
//! [`Fields`]: above them nobody indexes into bytes. Every getter takes the field's name, so that an error says
//! `latitude at byte 11: truncated: need 4, have 2`, and so that a trace can show what was read where.

#![deny(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "a test may panic"
    )
)]

pub mod bits;
pub mod charset;
pub mod checksum;
mod cursor;
mod error;
mod fields;
mod framing;
pub mod http;
pub mod notation;
pub mod put;
pub mod text;
mod trace;
pub mod units;

pub use cursor::Cursor;
pub use error::{Malformed, Reason, Result};
pub use fields::Fields;
pub use framing::{Cut, Framing, Told};
pub use trace::{Traced, Tracer};
