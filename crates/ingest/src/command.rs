//! Commands on their way to devices that are here, and what becomes of each.
//!
//! Whoever wants one sent asks [`Gateway::command`](crate::Gateway::command), and hears through [`CommandObserver`] what became
//! of it: there is one last word on each order ([`Fate::is_last`]), also where the connection has just gone. A worker that hangs for
//! ever owes it.

use crate::Close;
use compact_str::CompactString;
use odograph_model::Time;
use odograph_protocols::{Answer, Binding, Command, CommandError, Decision, Dialogue, Encoded};
use std::sync::Arc;

/// A command for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// By which the observer knows it again.
    pub ticket: u64,
    /// The device's tenant.
    pub tenant: CompactString,
    /// The device's id.
    pub device: CompactString,
    /// The command's name.
    pub name: CompactString,
    /// Its attributes: names and values.
    pub attributes: Vec<(String, String)>,
    /// What tells it from the device's other commands.
    pub number: u32,
    /// From this moment on, not a byte of it begins to leave.
    pub expires: Time,
}

impl Order {
    /// Does something with it as a protocol takes it.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Command<'_>) -> T) -> T {
        let attributes: Vec<_> = self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        work(&Command { name: &self.name, attributes: &attributes, number: self.number })
    }

    /// Whether it is for this device, which takes commands.
    pub(crate) fn is_for(&self, binding: &Binding) -> bool {
        binding.decision == Decision::Accepted && binding.device == self.device && binding.tenant == self.tenant
    }

    /// It in bytes, at most so many, for a device that calls itself by this name, or why it is not sent. Also whether the session
    /// knows something else behind it.
    pub(crate) fn encoded(
        &self,
        name: Option<&str>,
        dialogue: &mut Dialogue,
        bytes_max: usize,
    ) -> Result<(Encoded, bool), Fate> {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        dialogue.save(&mut before);
        let session = dialogue.session();
        let encoded: Result<Encoded, CommandError> =
            self.with(|command| session.command(name.unwrap_or(&self.device), command));
        let encoded = encoded?;
        if encoded.bytes.len() > bytes_max {
            return Err(Fate::Refused(format!("has more than {bytes_max} bytes")));
        }
        dialogue.save(&mut after);
        Ok((encoded, before != after))
    }
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Not a byte of it has left, and none will: it may be tried again.
    Unsent(Unsent),
    /// It cannot be put into bytes for this device; says why.
    Refused(String),
    /// It was its turn, and too late.
    Expired,
    /// The kernel has all of it.
    Sent,
    /// The device answered.
    Answered(Answer),
    /// Bytes of it may have left, and no answer to it will be heard by this connection.
    Lost(Close),
}

/// Why a command was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// The device is not here, or has just gone.
    Gone,
    /// Another command is on its way to it.
    Busy,
}

impl Fate {
    /// Whether nothing more comes of it.
    pub const fn is_last(&self) -> bool {
        !matches!(self, Self::Sent)
    }
}

impl From<CommandError> for Fate {
    fn from(error: CommandError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Whoever sends commands. Called on the threads that serve devices: must answer from memory, and at once.
pub trait CommandObserver: Send + Sync {
    /// A device is here: by a connection over which commands can be sent, or by a datagram that has just come, behind which they can.
    fn arrived(&self, tenant: &str, device: &str);

    /// Something became of a command.
    fn became(&self, ticket: u64, fate: Fate);
}

/// An order that somebody waits for: wherever it is dropped, he hears that it was not sent.
pub(crate) struct Commission(Option<(Order, Arc<dyn CommandObserver>)>);

impl Commission {
    pub(crate) fn new(order: Order, observer: Arc<dyn CommandObserver>) -> Self {
        Self(Some((order, observer)))
    }

    /// The order, for which somebody else answers from here on.
    pub(crate) fn accept(mut self) -> Option<Order> {
        self.0.take().map(|(order, _)| order)
    }
}

impl Drop for Commission {
    fn drop(&mut self) {
        if let Some((order, observer)) = self.0.take() {
            observer.became(order.ticket, Fate::Unsent(Unsent::Gone));
        }
    }
}

/// A command that a connection has taken, until it has had its last word.
#[derive(Debug)]
pub(crate) struct Flight {
    ticket: u64,
    token: Option<u32>,
    expires: Time,
    /// How many there are of it, once it was let go.
    bytes: usize,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// In the outbox, whole.
    Waits,
    /// It was let go, and this many bytes of it have not left.
    Leaves(usize),
    /// The kernel has it.
    Left,
}

/// What became of the commands of one connection, in order, until somebody takes it.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    flight: Option<Flight>,
    fates: Vec<(u64, Fate)>,
}

impl Flights {
    /// Why no command can be taken now.
    pub(crate) fn is_busy(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.stage != Stage::Left)
    }

    /// Whether nothing is waited for.
    pub(crate) const fn is_idle(&self) -> bool {
        self.flight.is_none()
    }

    /// Whether this is the one.
    pub(crate) fn is_of(&self, ticket: u64) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.ticket == ticket)
    }

    /// Takes one on that is in the outbox now. One before it that was not answered is not waited for any more.
    pub(crate) fn begin(&mut self, ticket: u64, token: Option<u32>, expires: Time) {
        self.end(Close::Replaced);
        self.flight = Some(Flight { ticket, token, expires, bytes: 0, stage: Stage::Waits });
    }

    /// Something became of an order that was not taken on.
    pub(crate) fn tell(&mut self, ticket: u64, fate: Fate) {
        self.fates.push((ticket, fate));
    }

    /// It is the command's turn, which has so many bytes: whether it may leave. If not, that was its last word.
    pub(crate) fn turn(&mut self, now: Time, bytes: usize) -> bool {
        let Some(flight) = &mut self.flight else { return false };
        if flight.stage == Stage::Waits && now >= flight.expires {
            self.last(Fate::Expired);
            return false;
        }
        (flight.bytes, flight.stage) = (bytes, Stage::Leaves(bytes));
        true
    }

    /// The kernel takes nothing now. A command that was let go and of which not a byte has left waits for its turn once more: how many
    /// bytes it has.
    pub(crate) fn wait_again(&mut self) -> Option<usize> {
        let flight = self.flight.as_mut().filter(|flight| flight.stage == Stage::Leaves(flight.bytes))?;
        flight.stage = Stage::Waits;
        Some(flight.bytes)
    }

    /// Bytes have left, of which a command that leaves was the first.
    pub(crate) fn sent(&mut self, count: usize) {
        let Some(flight) = &mut self.flight else { return };
        let Stage::Leaves(left) = flight.stage else { return };
        flight.stage = match left.saturating_sub(count) {
            0 => {
                self.fates.push((flight.ticket, Fate::Sent));
                Stage::Left
            }
            left => Stage::Leaves(left),
        };
    }

    /// The kernel did not take it: not a byte has left.
    pub(crate) fn not_taken(&mut self) {
        self.last(Fate::Unsent(Unsent::Gone));
    }

    /// The device answered. Whether that was to the command.
    pub(crate) fn answered(&mut self, answer: &Answer) -> bool {
        let Some(flight) = &self.flight else { return false };
        // What it says before it was asked is to something else.
        let is_it = flight.stage == Stage::Left && answer.is_to(flight.token);
        if is_it {
            self.last(Fate::Answered(answer.clone()));
        }
        is_it
    }

    /// What waits was dropped, or the connection belongs to another device, or is over.
    pub(crate) fn end(&mut self, why: Close) {
        let Some(flight) = &self.flight else { return };
        self.last(match flight.stage {
            Stage::Waits => Fate::Unsent(Unsent::Gone),
            Stage::Leaves(_) | Stage::Left => Fate::Lost(why),
        });
    }

    fn last(&mut self, fate: Fate) {
        if let Some(flight) = self.flight.take() {
            self.fates.push((flight.ticket, fate));
        }
    }

    /// What is new.
    pub(crate) fn take(&mut self) -> Vec<(u64, Fate)> {
        std::mem::take(&mut self.fates)
    }
}
