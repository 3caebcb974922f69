//! The odograph binary: command line, configuration and wiring.

mod cli;
mod client;
mod config;
mod exit;
mod export;
mod folder;
mod history;
mod http;
#[cfg(test)]
mod pages;
mod ports;
mod replay;
mod server;
mod sql;

fn main() -> std::process::ExitCode {
    cli::run()
}
