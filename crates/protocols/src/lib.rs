//! Device protocols as sans-I/O sessions, one file each, and their registry.
//!
//! A [`Session`] takes whole frames and gives records, replies and identity as values in [`Out`]. It owns no socket,
//! clock, log or device table: what it depends on is handed to it, so that the same bytes decode to the same records
//! weeks later. See `docs/internals/ordering.md` for when its replies leave.

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

mod absent;
mod command;
pub mod context;
mod conversation;
mod decided;
pub mod detect;
mod devices;
mod dialogue;
mod follower;
mod form;
mod json;
mod out;
pub mod recognise;
mod registry;
mod reply_template;
mod session;
mod settings;

pub use command::{Answer, Command, CommandError, CommandSpec, Encoded};
pub use context::{Binding, Context, Decision};
pub use conversation::{Conversation, Fault, Heard, Terms, decode};
pub use decided::{DECIDED_SEVERAL, Decided, Named, OTHERS_MAX, Other, Others};
pub use dialogue::{Dialogue, Footing, ResumeError, Turn};
pub use follower::Follower;
pub use out::{IDENTITY_BYTES_MAX, NAMES_MAX, NOTES_MAX, Out, RECORDS_MAX, REPLIES_MAX, Reply, ReplyTo, Standing};
pub use recognise::{Claim, Looks};
pub use registry::{PROTOCOLS, find};
pub use reply_template::ReplyTemplate;
pub use session::{CONTEXT_MAX, Checksum, Maturity, Opening, Protocol, Session, Transport};
pub use settings::{Setting, SettingError, SettingKind, Settings};

pub use odograph_wire::Malformed;
