//! How one task of a worker tells another that something has changed.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// A word for one listener on the same thread. What is said while nobody listens is heard by whoever comes next, once.
///
/// Every connection has one and hardly ever waits for it, so it is as small as can be.
#[derive(Default)]
pub(crate) struct Signal {
    said: Cell<bool>,
    listener: Cell<Option<Waker>>,
}

impl Signal {
    /// Says it.
    pub(crate) fn say(&self) {
        self.said.set(true);
        if let Some(listener) = self.listener.take() {
            listener.wake();
        }
    }

    /// Waits until it is said.
    pub(crate) async fn heard(&self) {
        poll_fn(|context| {
            if self.said.take() {
                self.listener.take();
                return Poll::Ready(());
            }
            self.listener.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_word_is_heard_once_whoever_comes_first() {
        let (signal, count) = (Signal::default(), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let mut context = Context::from_waker(&waker);
        signal.say();
        signal.say();
        assert!(pin!(signal.heard()).poll(&mut context).is_ready(), "said before");
        let mut later = pin!(signal.heard());
        assert!(later.as_mut().poll(&mut context).is_pending(), "two words are one");
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        signal.say();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(later.poll(&mut context).is_ready());
    }
}
