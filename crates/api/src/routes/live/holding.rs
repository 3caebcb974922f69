//! Whether whoever watches still may. It is looked at aside: what waits for the next batch is given up with each message that comes.

use std::time::Duration;
use tokio::task::JoinHandle;

/// Ends once somebody may not watch any more. When it is dropped, nobody looks any more.
pub(super) struct Holding(JoinHandle<()>);

impl Holding {
    /// Looks so often whether it `holds`. A look that has begun comes to its answer, whatever happens meanwhile.
    pub(super) fn watched<F: Future<Output = bool> + Send + 'static>(
        every: Duration,
        mut holds: impl FnMut() -> F + Send + 'static,
    ) -> Self {
        Self(tokio::spawn(async move {
            tokio::time::sleep(every).await;
            while holds().await {
                tokio::time::sleep(every).await;
            }
        }))
    }

    /// Waits for the end. Whoever gives that up may wait again.
    pub(super) async fn ended(&mut self) {
        if !self.0.is_finished() {
            // A look that failed says nothing for anyone: whoever watches has to come again.
            let _ = (&mut self.0).await;
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_look_comes_to_its_answer_though_whoever_waits_is_given_up_again_and_again() {
        let (answer, asked) = oneshot::channel();
        let mut asked = Some(asked);
        let mut holding = Holding::watched(Duration::ZERO, move || {
            let asked = asked.take();
            async move {
                match asked {
                    Some(asked) => asked.await.unwrap_or(true),
                    None => true,
                }
            }
        });
        for _ in 0..100 {
            // As a message does that comes while the catalog has not answered yet.
            tokio::select! {
                () = holding.ended() => panic!("nobody has answered yet"),
                () = tokio::task::yield_now() => {}
            }
        }
        answer.send(false).expect("the look goes on");
        holding.ended().await;
        holding.ended().await;
    }

    #[tokio::test]
    async fn nobody_looks_for_whoever_has_gone() {
        let (kept, dropped) = oneshot::channel::<()>();
        let holding = Holding::watched(Duration::from_secs(3600), move || {
            let _ = &kept;
            async { true }
        });
        drop(holding);
        dropped.await.expect_err("what looks is gone");
    }
}
