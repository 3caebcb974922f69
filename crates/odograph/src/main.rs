//! The odograph binary: command line, configuration and wiring.

mod backup;
mod catalog;
mod cli;
mod client;
mod commands;
mod config;
mod erase;
mod exit;
mod export;
mod folder;
mod history;
mod http;
mod map;
#[cfg(test)]
mod pages;
mod ports;
mod replay;
mod server;
mod sql;
mod unidentified;

fn main() -> std::process::ExitCode {
    odograph_allocator::give_back_at_once(true);
    cli::run()
}
