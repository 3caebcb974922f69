//! What a backup does before there is anything to send, looked after: to copy a large catalog out of a database takes minutes, and a
//! database that answers no more never ends.

use super::{GONE, Home, LOOK, Line, Mark, Plan, Screen};
use anyhow::{Result, bail};
use odograph_backup::Backup;
use std::cell::Cell;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Home {
    /// Makes the plan. Meanwhile the place stays ours, and as long as rows of the catalog come, nothing is deleted and whoever waits is
    /// told how many.
    pub(super) async fn prepared(
        &self,
        key: Option<String>,
        durable: Option<&Mark>,
        backup: &mut Backup,
        screen: &Screen<'_>,
    ) -> Result<Plan> {
        let (rows, mut told) = (Cell::new(0), 0);
        let reached = |count| rows.set(count);
        attended(LOOK, self.plan(key, durable, &reached), async || {
            if !self.hold.is_on(self.clock.monotonic()) {
                bail!(SILENT);
            }
            if rows.get() != told {
                told = rows.get();
                // Only what gets on holds anything.
                self.keep();
                // One that finds no room is followed by another.
                let _ = screen.sender.try_send(Line::Catalog(told));
            }
            if screen.gone.load(Ordering::Acquire) {
                // The same word as later on.
                return Err(odograph_backup::Error::GivenUp(GONE.to_owned()).into());
            }
            Ok(backup.renew().await?)
        })
        .await
    }
}

/// Does what takes its time, and looks up every now and then. Where that says so, it is given up.
async fn attended<T>(
    every: Duration,
    work: impl Future<Output = Result<T>>,
    mut look: impl AsyncFnMut() -> Result<()>,
) -> Result<T> {
    let mut work = pin!(work);
    loop {
        match tokio::time::timeout(every, work.as_mut()).await {
            Ok(done) => return done,
            Err(_) => look().await?,
        }
    }
}

const SILENT: &str =
    "nothing was heard from the catalog or from history for ten minutes, so what was kept for it may be gone";

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(work)
    }

    #[test]
    fn what_never_ends_is_looked_at_until_that_gives_it_up() {
        let mut looks = 0;
        let given_up: Result<()> = run(attended(Duration::from_millis(1), std::future::pending(), async || {
            looks += 1;
            if looks < 2 { Ok(()) } else { Err(anyhow!("enough")) }
        }));
        assert_eq!(given_up.expect_err("it never ends").to_string(), "enough");
        assert_eq!(looks, 2);
    }

    #[test]
    fn what_ends_at_once_is_not_looked_at() {
        let done = run(attended(Duration::from_secs(600), async { Ok(7) }, async || Err(anyhow!("nobody asked"))));
        assert_eq!(done.expect("it ended"), 7);
    }
}
