//! History closed for a moment, because something is erased from its files.

use super::ask::commit;
use super::{History, Place};
use crate::erase::{Erasing, Of, forget_live};
use anyhow::{Result, anyhow};
use odograph_env::Clock;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};

/// What is done while nobody has the lake open.
pub(super) type Aside = Box<dyn FnOnce() + Send>;

/// Not an error: history begins again at once, after something was done.
#[derive(Debug)]
pub(super) struct SetAside;

impl std::fmt::Display for SetAside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("something is erased")
    }
}

impl std::error::Error for SetAside {}

impl History {
    /// Makes files of all that waits.
    pub(crate) fn make_files(&self) -> Result<()> {
        self.ask(commit)
    }

    /// Makes files of all that waits, forgets what is only in memory or in files beside the tables, and has `work` done while nobody has
    /// the lake open. Then history begins again. Queries that run meanwhile may end with an error.
    pub(crate) fn closed(&self, of: &Of, work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
        let (answer, answered) = channel();
        let (of, aside) = (of.clone(), self.aside.clone());
        let job: super::Job = Box::new(move |pipeline, cursors| {
            commit(pipeline, cursors)?;
            let (read, tables) = (pipeline.progress().read, pipeline.tables());
            tables.metering.erase(&of.tenant, of.device.as_deref(), Some(read))?;
            tables.waits.erase(&of.tenant, of.device.as_deref())?;
            if let Some(watch) = &tables.watch {
                forget_live(&watch.live, &of);
                watch.save();
            }
            *aside.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(move || {
                // An error means that nobody waits for it any more.
                let _ = answer.send(work());
            }));
            Err(SetAside.into())
        });
        let jobs = self.jobs.lock().expect("nobody panics holding it").clone();
        if jobs.is_none_or(|jobs| jobs.send(job).is_err()) {
            anyhow::bail!("the server is about to stop");
        }
        answered.recv().map_err(|_| anyhow!("history does not go on: the server's log says why"))?
    }

    /// Does what waits for that. Whoever asks meanwhile has to wait.
    pub(super) fn do_aside(&self) {
        self.state.lock().expect("nobody panics holding it").lake = None;
        let work = self.aside.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            let _ = super::caught(|| {
                work();
                Ok(())
            });
        }
    }
}

impl Place {
    /// What an erasure needs.
    pub(crate) fn erasing(&self, node: u16, clock: Arc<dyn Clock>, removing: Arc<Mutex<()>>) -> Erasing {
        let (reader, lake) = (self.reader.clone(), self.lake.clone());
        Erasing { reader, lake, journal: self.journal.clone(), node, clock, removing }
    }
}
