//! Processes that end with us.

use std::process::{Child, ChildStdout, Command, ExitStatus};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

/// A process of ours, which ends with us.
pub(super) struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    pub(super) fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        Ok(Self { name, child: command.spawn().with_context(|| format!("start {name}"))? })
    }

    /// What it prints, where that is a pipe.
    pub(super) fn output(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().with_context(|| format!("the output of {} is no pipe", self.name))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Ends it in good order.
    pub(super) fn stop(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            kill_process(Pid::from_child(&self.child), Signal::TERM).with_context(|| format!("stop {}", self.name))?;
            self.child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // If it has ended already, there is nothing to stop.
        let _ = self.stop();
    }
}
