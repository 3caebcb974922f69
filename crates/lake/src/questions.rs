//! Where questions are answered: on threads of their own, so that none can keep history from being written, and a few at
//! a time.

use crate::lake::{Lake, Views};
use crate::query::{Limits, PARTITIONS};
use crate::store::may_wait_for_the_disk;
use crate::tenant::Version;
use crate::watch::{Watch, watched};
use crate::{Error, missing};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::physical_plan::execute_stream;
use futures::StreamExt as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// The threads that answer, and how many questions they may have.
pub(crate) struct Questions {
    /// There until the end.
    runtime: Option<Runtime>,
    seats: Arc<Semaphore>,
    underway: Arc<Underway>,
}

/// How many are being answered, and who hears whether any is, or was a moment ago.
struct Underway {
    state: Mutex<State>,
    tell: fn(bool),
    /// The last of them has ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    count: usize,
    /// What was told last.
    told: bool,
}

impl Underway {
    fn new(tell: fn(bool)) -> Self {
        Self { state: Mutex::default(), tell, ended: Notify::new() }
    }

    /// Tells whether any is, where that is something new. `change`: to how many.
    fn tell(&self, change: impl FnOnce(usize) -> usize) {
        let mut state = self.lock();
        state.count = change(state.count);
        let is_asked = state.count > 0;
        if std::mem::replace(&mut state.told, is_asked) != is_asked {
            (self.tell)(is_asked);
        }
    }

    /// Whoever asks often, as a page does that a person looks at, is not taken to have ended each time.
    async fn rest_after_a_while(self: Arc<Self>) {
        loop {
            self.ended.notified().await;
            while timeout(REST, self.ended.notified()).await.is_ok() {}
            self.tell(|count| count);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics holding it")
    }
}

/// One of them.
struct OneOf(Arc<Underway>);

impl OneOf {
    fn begin(underway: &Arc<Underway>) -> Self {
        underway.tell(|count| count + 1);
        Self(underway.clone())
    }
}

impl Drop for OneOf {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.count = state.count.saturating_sub(1);
        if state.count == 0 {
            self.0.ended.notify_one();
        }
    }
}

impl Questions {
    /// `tell` hears whether any question is being answered.
    pub(crate) fn start(tell: fn(bool)) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(QUESTION_THREADS)
            .max_blocking_threads(READING_THREADS_MAX)
            .thread_stack_size(STACK_BYTES)
            .thread_name("question")
            .on_thread_start(|| {
                odograph_env::yield_to_others();
                may_wait_for_the_disk();
            })
            .enable_all()
            .build()
            .map_err(|error| Error::Refused(format!("cannot start the threads for questions: {error}")))?;
        let underway = Arc::new(Underway::new(tell));
        runtime.spawn(underway.clone().rest_after_a_while());
        Ok(Self { runtime: Some(runtime), seats: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)), underway })
    }

    /// Begins to answer, once it is the question's turn: whoever came before is answered before. It has all of its time from then on.
    pub(crate) fn ask(&self, lake: &Lake, views: Views, sql: &str, limits: Limits) -> Result<Answer, Error> {
        let seats = self.seats.clone();
        let seat = async { timeout(limits.time.min(SEAT_WAIT), seats.acquire_owned()).await };
        let Ok(Ok(seat)) = lake.wait(seat) else { return Err(Error::Busy(QUESTIONS_AT_ONCE)) };
        let (watch, since) = (Watch::until(Instant::now() + limits.time), lake.failures());
        let (sender, parts) = mpsc::channel(PARTS_MAX);
        let one = OneOf::begin(&self.underway);
        let question = Question { views, sql: sql.to_owned(), limits, watch: watch.clone(), sender, _one: one };
        let runtime = self.runtime.as_ref().expect("it is there until the end");
        let stop = Stop { task: runtime.spawn(question.answer(seat)).abort_handle(), watch: watch.clone() };
        let schema = Arc::new(Schema::empty());
        let mut answer = Answer { parts, stop, schema, lake: lake.clone(), since, limits, rows: 0 };
        match answer.part()? {
            Part::Columns(schema) => answer.schema = schema,
            _ => return Err(Error::GivenUp),
        }
        Ok(answer)
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Nobody waits for a question at the end.
            runtime.shutdown_background();
        }
        // They are given up.
        self.underway.tell(|_| 0);
    }
}

/// What is said of an answer, in this order: columns, rows, and how it ended.
enum Part {
    Columns(SchemaRef),
    Rows(RecordBatch),
    End,
    Failed(Error),
}

struct Question {
    views: Views,
    sql: String,
    limits: Limits,
    watch: Arc<Watch>,
    sender: mpsc::Sender<Part>,
    _one: OneOf,
}

impl Question {
    async fn answer(self, seat: OwnedSemaphorePermit) {
        let (deadline, limits, sender) = (self.watch.deadline(), self.limits, self.sender.clone());
        let end = match timeout_at(deadline, self.work()).await {
            Ok(Ok(())) => Part::End,
            Ok(Err(_)) if Instant::now() >= deadline => Part::Failed(limits.too_long()),
            Ok(Err(error)) => Part::Failed(error),
            Err(_) => Part::Failed(limits.too_long()),
        };
        drop(seat);
        // An error means that nobody waits for it any more.
        let _ = sender.send(end).await;
    }

    async fn work(self) -> Result<(), Error> {
        let tables = [&self.views.records, &self.views.frames, &self.views.events];
        // The files that it reads, so that none is deleted.
        let _held: Vec<Arc<Version>> = tables.into_iter().flatten().map(|view| view.held.clone()).collect();
        let (context, plan) = missing::plan(self.views, &self.sql, self.limits.memory).await?;
        let plan = plan.create_physical_plan().await?;
        let mut rows = execute_stream(watched(plan, &self.watch)?, context.task_ctx())?;
        let mut part = Part::Columns(rows.schema());
        while self.sender.send(part).await.is_ok() {
            match rows.next().await {
                Some(rows) => part = Part::Rows(rows?),
                None => break,
            }
        }
        Ok(())
    }
}

/// A query's answer, as it comes. Without it, nobody goes on to answer.
pub struct Answer {
    parts: mpsc::Receiver<Part>,
    stop: Stop,
    schema: SchemaRef,
    /// Whose tables it reads.
    lake: Lake,
    /// How often the object store had failed before.
    since: u64,
    limits: Limits,
    rows: usize,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema()).finish_non_exhaustive()
    }
}

impl Answer {
    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Gives the question up once it is dropped, wherever the answer is then.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The next rows; `None` at the end. Not to be called on a thread that runs asynchronous tasks.
    ///
    /// # Errors
    ///
    /// When it fails, or takes more than it may.
    pub fn next_rows(&mut self) -> Result<Option<RecordBatch>, Error> {
        let rows = match self.part()? {
            Part::Rows(rows) => rows,
            Part::End => return Ok(None),
            Part::Columns(_) | Part::Failed(_) => return Err(Error::GivenUp),
        };
        self.rows += rows.num_rows();
        if self.rows > self.limits.rows {
            return Err(Error::Refused(format!(
                "the answer has more than {} rows: ask for fewer (WHERE, LIMIT), or use `odograph export`",
                self.limits.rows
            )));
        }
        Ok(Some(rows))
    }

    fn part(&mut self) -> Result<Part, Error> {
        let Self { parts, lake, stop, .. } = self;
        let deadline = stop.watch.deadline();
        match lake.wait(async { timeout_at(deadline, parts.recv()).await }) {
            Ok(Some(Part::Failed(error))) => Err(self.lake.explained(self.since, error)),
            Ok(Some(part)) => Ok(part),
            Ok(None) => Err(Error::GivenUp),
            Err(_) => Err(self.lake.explained(self.since, self.limits.too_long())),
        }
    }
}

/// Gives a question up once it is dropped.
#[derive(Debug, Clone)]
pub struct Stop {
    task: AbortHandle,
    watch: Arc<Watch>,
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.watch.give_up();
        self.task.abort();
    }
}

/// So that none waits for another, however long that one does not give way. They give way to those that take records in.
const QUESTION_THREADS: usize = QUESTIONS_AT_ONCE * PARTITIONS;
/// Files that are read at the same time.
const READING_THREADS_MAX: usize = 8;
/// Memory that is taken only where it is used: for a question of [`crate::terms::TERMS_MAX`] operators, without optimization
/// of the compiler.
pub(crate) const STACK_BYTES: usize = 64 << 20;
/// Each may take the memory of a question.
const QUESTIONS_AT_ONCE: usize = 4;
/// So long nobody has asked, before that is told.
const REST: Duration = Duration::from_secs(1);
/// A question may take a minute. Where all that are being answered do, one of the four ends every quarter of it.
const SEAT_WAIT: Duration = Duration::from_secs(20);
/// Parts of an answer that are there before they are asked for.
const PARTS_MAX: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn whoever_wants_to_know_hears_of_the_first_question_and_of_the_end_of_the_last() {
        static HEARD: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let heard = || HEARD.each_ref().map(|count| count.load(Ordering::SeqCst));
        let tell = |asked: bool| {
            HEARD[usize::from(asked)].fetch_add(1, Ordering::SeqCst);
        };
        let underway = Arc::new(Underway::new(tell));
        let (one, other) = (OneOf::begin(&underway), OneOf::begin(&underway));
        drop(one);
        underway.tell(|count| count);
        assert_eq!(heard(), [0, 1]);
        drop(other);
        assert_eq!(heard(), [0, 1], "not at once");
        underway.tell(|count| count);
        underway.tell(|count| count);
        assert_eq!(heard(), [1, 1]);
        drop(OneOf::begin(&underway));
        drop(OneOf::begin(&underway));
        underway.tell(|count| count);
        assert_eq!(heard(), [2, 2]);
    }
}
