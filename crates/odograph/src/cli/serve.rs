//! `odograph serve`: the server.

use super::Outcome;
use crate::config::Source;
use crate::{exit, server};
use anyhow::Result;
use clap::Args;
use odograph_protocols::detect::{AUTO, listened};

/// Take in devices, keep every byte, acknowledge what is on disk.
///
/// Everything has a default: without a configuration it keeps its data in `odograph-data` and listens on the port of
/// every protocol. SIGTERM or SIGINT ends it in good order, a second signal at once.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, after_long_help = format!("{AFTER_HELP}\n\n{}", exit::help()))]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// Open just this listener, on all transports of the protocol, whatever the configuration says. May be repeated.
    /// The protocol `auto` stands for all of them: which one is spoken is found out by what comes.
    #[arg(long, value_name = "PROTOCOL=ADDRESS", value_parser = listen)]
    listen: Vec<server::Listen>,
    /// Follow the server that has the data folder: take its sockets, so that no device is refused, and let it end.
    #[arg(long)]
    take_over: bool,
}

const AFTER_HELP: &str = "Examples:\n  \
    odograph serve\n  \
    odograph serve --config /etc/odograph.toml\n  \
    odograph serve --data trial --listen teltonika=127.0.0.1:5027\n  \
    odograph serve --data trial --listen auto=127.0.0.1:5000\n  \
    odograph serve --config /etc/odograph.toml --take-over\n\n\
    While it runs, `odograph export`, `device` and `doctor` work on its data folder.";

pub(super) fn run(options: &Options) -> Result<Outcome> {
    server::serve(&options.source.load()?, &options.listen, options.take_over)?;
    Ok(Outcome::Done)
}

fn listen(text: &str) -> Result<server::Listen, String> {
    let expected = "expected PROTOCOL=ADDRESS such as teltonika=127.0.0.1:5027";
    let (name, address) = text.split_once('=').ok_or(expected)?;
    let protocol = listened(name).ok_or_else(|| {
        let names = odograph_protocols::PROTOCOLS.iter().map(|protocol| protocol.name).chain([AUTO]);
        match crate::config::nearest(name, names) {
            Some(near) => format!("no protocol {name}: did you mean {near}?"),
            None => format!("no protocol {name}: `odograph protocols` lists them"),
        }
    })?;
    let address = crate::config::address(address).ok_or(expected)?;
    Ok(server::Listen { protocol, address })
}
