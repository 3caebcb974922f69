//! What whoever replays a period asks of the one who writes the lake: the same of a server's thread and of a command that
//! has the folder to itself.

use super::{History, Pipeline, save};
use crate::replay::Source;
use anyhow::{Context as _, Result, anyhow};
use odograph_journal::CursorStore;
use odograph_lake::{Error, Past, Replaced, Replacement};
use odograph_model::Lsn;
use std::sync::Arc;
use std::sync::mpsc::channel;

/// The lake of a folder that this process has to itself.
pub(crate) struct Own {
    pipeline: Pipeline,
    cursors: CursorStore,
}

impl Own {
    pub(super) fn new(pipeline: Pipeline, cursors: CursorStore) -> Self {
        Self { pipeline, cursors }
    }
}

impl Source for Own {
    fn past(&mut self, tenant: &str) -> Result<Past> {
        past(&mut self.pipeline, &mut self.cursors, tenant)
    }

    fn replace(&mut self, tenant: &str, replacement: Replacement) -> Result<Option<Replaced>> {
        replace(&mut self.pipeline, &mut self.cursors, tenant, &replacement)
    }
}

/// The lake of a running server, as far as it has come.
pub(crate) struct Running {
    history: Arc<History>,
    until: Lsn,
}

impl History {
    /// The lake with everything that is in the journal before `until`.
    pub(crate) fn running(self: Arc<Self>, until: Lsn) -> Running {
        Running { history: self, until }
    }

    /// Has something done by the thread that fills the lake, between two of its turns, and waits for it.
    pub(super) fn ask<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Pipeline, &mut CursorStore) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let (answer, answered) = channel();
        let job = Box::new(move |pipeline: &mut Pipeline, cursors: &mut CursorStore| {
            let done = work(pipeline, cursors);
            let failed = done.as_ref().err().filter(|error| !is_harmless(error)).map(|error| anyhow!("{error:#}"));
            // An error means that nobody waits for it any more.
            let _ = answer.send(done);
            failed.map_or(Ok(()), Err)
        });
        let jobs = self.jobs.lock().expect("nobody panics holding it").clone();
        let sent = jobs.map(|jobs| jobs.send(job));
        if !matches!(sent, Some(Ok(()))) {
            anyhow::bail!("the server is about to stop");
        }
        answered.recv().map_err(|_| anyhow!("history does not go on: the server's log says why"))?
    }
}

impl Source for Running {
    fn past(&mut self, tenant: &str) -> Result<Past> {
        self.history.reach_while_it_gets_on(self.until, || true)?;
        let tenant = tenant.to_owned();
        self.history.ask(move |pipeline, cursors| past(pipeline, cursors, &tenant))
    }

    fn replace(&mut self, tenant: &str, replacement: Replacement) -> Result<Option<Replaced>> {
        let tenant = tenant.to_owned();
        self.history.ask(move |pipeline, cursors| replace(pipeline, cursors, &tenant, &replacement))
    }
}

/// Whether everything is as it was.
fn is_harmless(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Error::Refused(_) | Error::Changed))
}

fn past(pipeline: &mut Pipeline, cursors: &mut CursorStore, tenant: &str) -> Result<Past> {
    commit(pipeline, cursors)?;
    Ok(pipeline.tables().past(tenant))
}

fn replace(
    pipeline: &mut Pipeline,
    cursors: &mut CursorStore,
    tenant: &str,
    replacement: &Replacement,
) -> Result<Option<Replaced>> {
    commit(pipeline, cursors)?;
    let replaced = pipeline.amend(|tables| tables.replace(tenant, replacement))?;
    if let Some(Replaced { before, after }) = replaced {
        tracing::info!(tenant, before, after, rows = replacement.rows(), "a replay replaced records");
    }
    Ok(replaced)
}

/// Makes files of all that waits. The journal's cursors are behind it before anything else is done: what comes out of the
/// journal under other settings than those of a replay must not be read again after a crash.
pub(super) fn commit(pipeline: &mut Pipeline, cursors: &mut CursorStore) -> Result<()> {
    if pipeline.tables().writer.has_broken() {
        // Until it is mended, the journal is read again from before what a replay would change.
        let what =
            "a table of history cannot be opened, as the log says: nothing is replayed or erased until it is put back";
        return Err(Error::Refused(what.to_owned()).into());
    }
    pipeline.flush(true).context("what waits cannot be made into files")?;
    save(pipeline, cursors)
}
