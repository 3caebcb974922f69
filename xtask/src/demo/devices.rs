//! The demo's devices: those of the vectors, and simulated ones.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use odograph_fleet::{Heard, Reading, Speech};
use odograph_protocols::Transport;
use odograph_testkit::vectors::{self, Message, Paragraph, Step};

/// How long a device waits for an answer. Some messages have none that the transcript knows of.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Between two messages, so that a person can read along.
const PAUSE: Duration = Duration::from_millis(150);
/// Between two readings of a simulated device.
const PERIOD: Duration = Duration::from_secs(1);

/// Holds every conversation of the vectors that begins with a login. Says how many that were.
pub(super) fn play_vectors(ports: &[(&'static str, SocketAddr)]) -> Result<usize> {
    let mut played = 0;
    for (protocol, address) in ports {
        let path = format!("crates/protocols/src/devices/{protocol}.vectors");
        let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        for paragraph in vectors::parse(&text).map_err(|error| anyhow!("{path}: {error}"))? {
            if is_playable(&paragraph) {
                play(&paragraph, *address).with_context(|| format!("{path}: {}", paragraph.title))?;
                played += 1;
            }
        }
    }
    Ok(played)
}

/// A conversation over a stream, with nothing set, in which the device says who it is before anything else.
fn is_playable(paragraph: &Paragraph) -> bool {
    let options = &paragraph.options;
    let plain = options.settings.is_empty() && !options.bare && options.transport != Some(Transport::Udp);
    plain && messages(paragraph).next().is_some_and(|first| !first.expected.identity.is_empty())
}

fn messages(paragraph: &Paragraph) -> impl Iterator<Item = &Message> {
    paragraph.steps.iter().filter_map(|step| match step {
        Step::Message(message) => Some(message),
        Step::Command(_) => None,
    })
}

fn play(paragraph: &Paragraph, address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    for message in messages(paragraph) {
        stream.write_all(&message.bytes)?;
        // All but what a refused device would hear.
        let due = message.expected.replies.iter().filter(|(mark, _)| mark != "<-").map(|(_, reply)| reply.bytes.len());
        if !hear(&mut stream, due.sum())? {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Takes in so many bytes; says whether the conversation goes on. A server may end it, for instance over garbage.
fn hear(stream: &mut TcpStream, due: usize) -> Result<bool> {
    match stream.read_exact(&mut vec![0; due]) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Lets a device of each speech go on measuring, for so many seconds or until the process is stopped.
pub(super) fn drive(ports: &[(&'static str, SocketAddr)], seconds: Option<u64>) -> Result<()> {
    let mut devices = Vec::new();
    for (number, speech) in Speech::ALL.into_iter().enumerate() {
        let (_, address) = ports.iter().find(|(name, _)| *name == speech.name()).context("each speech has a port")?;
        devices.push(Device::log_in(speech, *address, &format!("35999900000000{number}"))?);
    }
    let rounds = seconds.map_or(u64::MAX, |seconds| seconds.saturating_mul(1000) / PERIOD.as_millis() as u64);
    for round in 0..rounds {
        for device in &mut devices {
            device.send(round)?;
        }
        std::thread::sleep(PERIOD);
    }
    Ok(())
}

struct Device {
    speech: Speech,
    stream: TcpStream,
    start_ms: i64,
}

impl Device {
    fn log_in(speech: Speech, address: SocketAddr, imei: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        #[expect(clippy::disallowed_methods, reason = "a demo happens now")]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let mut device = Self { speech, stream, start_ms: i64::try_from(now)? * 1000 };
        device.stream.write_all(&speech.login(imei))?;
        device.await_answer(true)?;
        Ok(device)
    }

    /// One reading, and the wait for its acknowledgement.
    fn send(&mut self, round: u64) -> Result<()> {
        let step = round as f64;
        let reading = Reading {
            time_ms: self.start_ms + i64::try_from(round)? * 1000,
            latitude: 48.4 + (step / 60.0).sin() * 0.05,
            longitude: 9.98 + (step / 60.0).cos() * 0.05,
            speed_kph: (60 + round % 20) as u8,
            course: (round * 6 % 360) as u16,
        };
        self.stream.write_all(&self.speech.frame(&[reading], round as u16))?;
        self.await_answer(false)
    }

    fn await_answer(&mut self, awaits_login: bool) -> Result<()> {
        let mut inbox = Vec::new();
        loop {
            match self.speech.hear(&inbox, awaits_login) {
                (Heard::Nothing, _) => {
                    let mut bytes = [0; 256];
                    let count = self.stream.read(&mut bytes).context("a device waits in vain for its answer")?;
                    anyhow::ensure!(count > 0, "the server closed the connection of a simulated device");
                    inbox.extend_from_slice(&bytes[..count]);
                }
                (Heard::Login(true) | Heard::Acknowledged(_), _) => return Ok(()),
                (Heard::Other, taken) => drop(inbox.drain(..taken)),
                (heard, _) => anyhow::bail!("{}: the server answered {heard:?}", self.speech.name()),
            }
        }
    }
}
