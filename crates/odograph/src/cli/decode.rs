//! `odograph decode`: what messages say.

mod auto;
mod line;
mod written;

use super::pairs::{Pair, pair, protocol_names, time};
use super::{Outcome, UsageError, usage};
use anyhow::{Context, Result};
use auto::Listener;
use clap::{Args, ValueEnum};
use line::{Problem, Trace};
use odograph_api::{Decoded, Written};
use odograph_env::{Clock, SystemClock};
use odograph_model::Time;
use odograph_protocols::{Checksum, Protocol, Transport, find};
use odograph_wire::notation;
use std::io::{BufRead, Write};

/// Decode messages of devices.
///
/// Each HEX is one message of one conversation, in order, so that a login is remembered. Prints one JSON object per
/// record. With --stdin the messages are lines, and each gives one line:
/// {"line":1,"records":[…],"replies":["01"],"identity":"…","notes":[…],"error":null}
///
/// A message may be as on the wire, several of them in a row, a datagram, or what is left of it without its
/// delimiters. An incomplete one is an error. Replies are those that a gateway would send to a device it accepts.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if everything was decoded, 2 if a message was malformed, 64 for bad usage.",
    after_long_help = "Examples:\n  \
        odograph decode --protocol teltonika --device 352093081452251 000000000000003608010000…\n  \
        odograph decode --protocol wialon --text '#L#2.0;352093081452251;NA;68ED\\r\\n'\n  \
        odograph decode --protocol gt06 --stdin < messages.hex | jq -c '.records[]'\n  \
        odograph decode --protocol osmand --http '{\"url\":\"/?id=1&lat=60&lon=30\"}'\n  \
        odograph decode --protocol gt06 --trace 78780d01… | jq '.fields'\n\n\
        Exit status: 0 if everything was decoded, 2 if a message was malformed, 64 for bad usage."
)]
pub(super) struct Options {
    /// The protocol that the device speaks; `auto` finds out.
    #[arg(long, value_name = "NAME", default_value = "auto", hide_possible_values = true,
          value_parser = protocol_names(Some("auto")))]
    protocol: String,
    /// Whose messages these are, where they do not say it themselves.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Take messages from standard input, one a line.
    #[arg(long, conflicts_with = "messages")]
    stdin: bool,
    /// Messages are text with escapes (\r, \n, \t, \0, \\, \", \xNN) instead of hex digits.
    #[arg(long)]
    text: bool,
    /// Messages are requests by HTTP, as JSON: {"method":"POST","url":"/","headers":{…},"body":"…"}, with body_hex
    /// instead of body for one that is no text.
    #[arg(long, conflicts_with = "text")]
    http: bool,
    /// Show every field that was read: name, offset, length, value. Prints lines as --stdin does.
    #[arg(long)]
    trace: bool,
    /// When the messages were received; now, if it is not said.
    #[arg(long, value_name = "TIME", value_parser = time)]
    received: Option<Time>,
    /// How the messages came; without it, in any way that the protocol knows.
    #[arg(long, value_name = "HOW")]
    transport: Option<Via>,
    /// What happens to a message whose checksum is wrong: `note` decodes it, with a note.
    #[arg(long, value_name = "HOW", default_value = "enforce")]
    checksum: Wrong,
    /// A setting of the protocol, such as a time zone; may be repeated. See `odograph protocols NAME`.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<Pair>,
    /// Messages, as hex digits.
    #[arg(value_name = "HEX")]
    messages: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Via {
    /// As part of a stream.
    Tcp,
    /// As datagrams.
    Udp,
    /// As requests.
    Http,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wrong {
    /// It is malformed.
    Enforce,
    /// It is decoded, with a note.
    Note,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    if options.messages.is_empty() && !options.stdin {
        return usage("there is nothing to decode: give messages as hex digits, or --stdin to read them line by line");
    }
    let mut decoder = Decoder::new(options)?;
    if !options.stdin {
        for (index, message) in options.messages.iter().enumerate() {
            let bytes = match decoder.bytes(message) {
                Ok(bytes) => bytes,
                Err(error) => {
                    return usage(format!("message {}: {} at character {}", index + 1, error.reason, error.at + 1));
                }
            };
            decoder.message(index + 1, Ok(&bytes), out)?;
        }
        return Ok(decoder.outcome);
    }
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line).context("standard input cannot be read")? == 0 {
            break;
        }
        let bytes = decoder.line(&line);
        decoder.message(number, bytes.as_deref().map_err(Clone::clone), out)?;
    }
    Ok(decoder.outcome)
}

/// What messages say that somebody sent by the API; or what makes no sense about it.
pub(crate) fn answer(request: &odograph_api::Decode) -> Result<Vec<Decoded>> {
    let options = Options {
        protocol: if request.protocol.is_empty() { "auto".to_owned() } else { request.protocol.clone() },
        device: request.device.clone(),
        stdin: true,
        text: request.written == Written::Text,
        http: request.written == Written::Http,
        trace: request.trace,
        received: request.received.as_deref().map(time).transpose().map_err(UsageError)?,
        transport: request.transport.map(|via| match via {
            odograph_api::Via::Tcp => Via::Tcp,
            odograph_api::Via::Udp => Via::Udp,
            odograph_api::Via::Http => Via::Http,
        }),
        checksum: if request.note_checksums { Wrong::Note } else { Wrong::Enforce },
        set: request.settings.iter().map(|(name, value)| Pair { name: name.clone(), value: value.clone() }).collect(),
        messages: Vec::new(),
    };
    if options.protocol != "auto" && find(&options.protocol).is_none() {
        return usage(format!("there is no protocol {:?}", options.protocol));
    }
    let mut decoder = Decoder::new(&options)?;
    let mut lines = Vec::new();
    for (index, message) in request.messages.iter().enumerate() {
        let bytes = decoder.line(message.as_bytes());
        decoder.message(index + 1, bytes.as_deref().map_err(Clone::clone), &mut lines)?;
    }
    let lines = serde_json::Deserializer::from_slice(&lines).into_iter();
    Ok(lines.collect::<Result<_, _>>()?)
}

/// Takes one message after the other.
struct Decoder<'o> {
    options: &'o Options,
    listener: Listener,
    received: Time,
    as_lines: bool,
    outcome: Outcome,
}

impl<'o> Decoder<'o> {
    fn new(options: &'o Options) -> Result<Self> {
        if options.device.as_deref() == Some("") {
            return usage("the device has an empty id: leave it out, or say which it is");
        }
        Ok(Self {
            listener: Listener::new(options)?,
            received: options.received.unwrap_or_else(|| Time(SystemClock::new().now())),
            as_lines: options.stdin || options.trace,
            options,
            outcome: Outcome::Done,
        })
    }

    /// The bytes of a line of input, which may end with its line break.
    fn line(&self, line: &[u8]) -> Result<Vec<u8>, Problem> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let problem = |at, reason| Problem { field: "line", at, reason };
        let text = std::str::from_utf8(line)
            .map_err(|error| problem(error.valid_up_to(), "no UTF-8: write such bytes as \\xNN".to_owned()))?;
        self.bytes(text)
    }

    fn bytes(&self, text: &str) -> Result<Vec<u8>, Problem> {
        if self.options.http {
            return written::request(text);
        }
        let bytes = if self.options.text { notation::from_text(text) } else { notation::from_hex(text) };
        bytes.map_err(|error| Problem { field: "line", at: error.at, reason: format!("expected {}", error.expected) })
    }

    /// Decodes a message and prints what it gives.
    fn message(&mut self, number: usize, bytes: Result<&[u8], Problem>, out: &mut dyn Write) -> Result<()> {
        let trace = Trace::default();
        let heard = bytes.and_then(|bytes| {
            let tracer = self.options.trace.then_some(&trace);
            self.listener.hear(bytes, self.received, tracer)
        });
        let device = self.options.device.as_deref();
        let line = line::Line::new(number, heard, device, &self.listener, self.options.trace.then_some(trace));
        if line.error.is_some() {
            self.outcome = Outcome::Malformed;
        }
        if self.as_lines {
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
            return Ok(());
        }
        for record in line.views() {
            writeln!(out, "{}", serde_json::to_string(&record)?)?;
        }
        for note in &line.notes {
            eprintln!("note: message {number}: {note}");
        }
        if let Some(problem) = &line.error {
            eprintln!("error: message {number}: {} at byte {}: {}", problem.field, problem.at, problem.reason);
        }
        Ok(())
    }
}

impl Options {
    fn transport(&self) -> Option<Transport> {
        self.transport.map(|via| match via {
            Via::Tcp | Via::Http => Transport::Tcp,
            Via::Udp => Transport::Udp,
        })
    }

    /// Whether messages of `protocol` can be what is given.
    fn suits(&self, protocol: &Protocol) -> bool {
        let takes = |transport| protocol.transports.contains(&transport);
        let asks_for_http = self.http || matches!(self.transport, Some(Via::Http));
        self.transport().is_none_or(takes) && (!asks_for_http || protocol.is_of_requests())
    }

    const fn checksum(&self) -> Checksum {
        match self.checksum {
            Wrong::Enforce => Checksum::Enforce,
            Wrong::Note => Checksum::Note,
        }
    }
}
