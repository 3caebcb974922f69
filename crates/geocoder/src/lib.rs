//! Addresses of places, from a geocoder that the configuration names: asked when somebody looks at a place, and never on the way of
//! what devices send.
//!
//! It has a thread of its own, so that a geocoder that stalls, or a name that cannot be looked up, is in nobody's way. What is asked
//! when, and who waits, is decided in `desk` without a socket; `source` asks, `answer` understands what comes back.
//!
//! **Invariant:** what one tenant asked about shows to no other, not even by how fast an answer is there. **Invariant:** neither the
//! log nor a message has the geocoder's address, in which there may be a key.

mod answer;
mod desk;
mod source;
mod template;

pub use template::Template;

use desk::{Desk, Next, Question};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use odograph_env::Clock;
use source::Source;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Which geocoder, and how it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Its address, with the place in it.
    pub url: Template,
    /// Where the text is in its answer, as a JSON pointer; where it is of a kind that is known, nothing.
    pub pointer: Option<String>,
    /// Whom people see as the source; nothing: what its answers say, or its host.
    pub credit: Option<String>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How often it is asked, at most.
    pub requests_per_second: u32,
}

/// What is known of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The address, in a line; empty, where the geocoder knows of none.
    pub text: String,
    /// Whose data it is.
    pub source: String,
}

/// Why there is none now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// As many places wait as may, of the tenant or of all.
    Full {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The geocoder does not answer, or not in time, or wants to be left alone.
    Silent {
        /// When to ask again.
        retry_after: Duration,
    },
}

/// Whom to ask for addresses. Clones are the same one; it ends with the last of them.
#[derive(Clone)]
pub struct Geocoder {
    asks: mpsc::Sender<Ask>,
}

type Said = Result<Arc<Address>, Refusal>;

struct Ask {
    question: Question,
    who: oneshot::Sender<Said>,
}

impl Geocoder {
    /// Begins. Nothing is asked before somebody wants to know something.
    ///
    /// # Errors
    ///
    /// When there can be no thread, or no certificates of those who sign are there to be read.
    pub fn start(config: &Config, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let source = Source::new(config)?;
        let every = Duration::from_secs(1) / config.requests_per_second.max(1);
        let (asks, asked) = mpsc::channel(desk::WAITING_MAX);
        // Names are looked up on further threads: so many, and no one else's.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(desk::AT_ONCE_MAX)
            .thread_name("geocoder")
            .build()?;
        let run = move || runtime.block_on(work(asked, &source, every, &*clock));
        std::thread::Builder::new().name("geocoder".to_owned()).spawn(run)?;
        Ok(Self { asks })
    }

    /// The address of a place, for somebody of this tenant. The place is one on Earth: degrees to the north and to the east.
    ///
    /// # Errors
    ///
    /// When there is none now: there is one later, or not.
    pub async fn address(&self, tenant: &str, latitude: f64, longitude: f64) -> Result<Arc<Address>, Refusal> {
        let (who, said) = oneshot::channel();
        let question = Question::new(tenant, latitude, longitude);
        if self.asks.try_send(Ask { question, who }).is_err() {
            return Err(Refusal::Full { retry_after: AGAIN });
        }
        match tokio::time::timeout(PATIENCE, said).await {
            Ok(Ok(said)) => said,
            Ok(Err(_)) | Err(_) => Err(Refusal::Silent { retry_after: AGAIN }),
        }
    }
}

/// How long somebody waits for an address: what they looked at is not on the page any more.
const PATIENCE: Duration = Duration::from_secs(10);
/// When those come again for whom there was no room, or no time.
const AGAIN: Duration = Duration::from_secs(5);

/// Answers and asks, until nobody is left who could ask.
async fn work(mut asked: mpsc::Receiver<Ask>, source: &Source, every: Duration, clock: &dyn Clock) {
    let mut desk = Desk::new(every);
    let mut under_way = FuturesUnordered::new();
    let mut is_silent = false;
    loop {
        let now = clock.monotonic();
        let pause = match desk.next(now, oneshot::Sender::is_closed) {
            Next::Ask(question) => {
                metrics::counter!(REQUESTS).increment(1);
                under_way.push(async move { (source.ask(&question).await, question) });
                continue;
            }
            Next::At(at) => Some(at.saturating_sub(now)),
            Next::Wait => None,
        };
        tokio::select! {
            ask = asked.recv() => {
                let Some(Ask { question, who }) = ask else { return };
                if let Some((who, said)) = desk.ask(question, who, clock.monotonic()) {
                    metrics::counter!(ANSWERED, "from" => if said.is_ok() { "memory" } else { "nothing" }).increment(1);
                    // They may have gone.
                    let _ = who.send(said);
                }
            }
            Some((outcome, question)) = under_way.next() => {
                if let Err(failed) = &outcome {
                    metrics::counter!(FAILURES).increment(1);
                    if !std::mem::replace(&mut is_silent, true) {
                        tracing::warn!("the geocoder {}: addresses of places are left out, and it is asked again", failed.why);
                    }
                } else if std::mem::replace(&mut is_silent, false) {
                    tracing::info!("the geocoder answers again");
                }
                for (who, said) in desk.answered(&question, outcome, clock.monotonic()) {
                    let _ = who.send(said);
                }
            }
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

const REQUESTS: &str = "odograph_geocoder_requests_total";
const FAILURES: &str = "odograph_geocoder_failures_total";
const ANSWERED: &str = "odograph_geocoder_answered_at_once_total";

/// The help texts of the metrics.
pub fn describe() {
    metrics::describe_counter!(REQUESTS, "Places that a geocoder was asked about.");
    metrics::describe_counter!(FAILURES, "Of these, those to which it gave no answer that could be used.");
    metrics::describe_counter!(
        ANSWERED,
        "Questions for an address that were answered without asking the geocoder: from memory, or refused."
    );
}
