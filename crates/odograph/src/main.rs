//! The odograph binary: command line, configuration and wiring.

mod cli;
mod client;
mod config;
mod exit;
mod export;
mod folder;
mod http;
#[cfg(test)]
mod pages;
mod ports;
mod server;

fn main() -> std::process::ExitCode {
    cli::run()
}
