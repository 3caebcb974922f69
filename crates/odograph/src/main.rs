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
#[cfg(test)]
mod pages;
mod ports;
mod replay;
mod server;
mod sql;
mod unidentified;

/// Many threads take memory in bursts, to sort and encode rows and to answer questions. The C library's own allocator keeps
/// what each of them once had, twenty times what is in use; this one gives it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
