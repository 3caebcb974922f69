//! The catalog as its users see it, on SQLite and on PostgreSQL.
//!
//! On PostgreSQL only where `TEST_POSTGRES` names the folder of its programs, as `cargo xtask test` does.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod accounts;
mod carried;
mod commands;
mod devices;
mod drivers;
mod follow;
mod full_disk;
mod import;
mod isolation;
mod kept;
mod large;
mod listeners;
mod postgres;
mod queries;
mod register;
mod restored;
mod sensors;
mod shares;
mod sign_in;
mod support;
mod tenants;
mod usage;
