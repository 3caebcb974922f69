//! An object store in memory that goes away, loses answers, and lets others in between.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path as Location;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
pub(crate) struct Flaky {
    inner: Arc<InMemory>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_down: bool,
    /// Answers to so many commits are lost, and then the store is away, or not.
    lost_answers: u32,
    down_then: bool,
    /// After so many objects were deleted, the store is away.
    deletes_left: Option<u32>,
    before_commit: Option<Box<dyn FnOnce() + Send>>,
    /// By the store's clock, in milliseconds, where it has one.
    now: Option<i64>,
    /// When objects were put, by that clock.
    put_at: HashMap<Location, i64>,
}

impl State {
    fn count_delete(&mut self) {
        self.is_down |= self.deletes_left == Some(0);
        self.deletes_left = self.deletes_left.and_then(|left| left.checked_sub(1));
    }
}

impl Flaky {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.state.lock().unwrap().is_down = is_down;
    }

    pub(crate) fn lose_answers_to_commits(&self, count: u32, down_then: bool) {
        let mut state = self.state.lock().unwrap();
        (state.lost_answers, state.down_then) = (count, down_then);
    }

    /// The store goes away once so many objects more were deleted.
    pub(crate) fn down_after_deletes(&self, count: u32) {
        self.state.lock().unwrap().deletes_left = Some(count);
    }

    /// Lets somebody in between the look at what is there and the commit.
    pub(crate) fn before_next_commit(&self, action: impl FnOnce() + Send + 'static) {
        self.state.lock().unwrap().before_commit = Some(Box::new(action));
    }

    /// What time it is there: objects that are put from now on are of it.
    pub(crate) fn set_time(&self, now: i64) {
        self.state.lock().unwrap().now = Some(now);
    }

    pub(crate) fn put(&self, name: &str) {
        let location = Location::from(name);
        let put = self.put_opts(&location, "content".into(), PutOptions::default());
        futures::executor::block_on(put).unwrap();
    }

    fn aged(&self, mut meta: ObjectMeta) -> ObjectMeta {
        let put_at = self.state.lock().unwrap().put_at.get(&meta.location).copied();
        meta.last_modified = put_at.and_then(DateTime::from_timestamp_millis).unwrap_or(meta.last_modified);
        meta
    }

    /// All objects as they are.
    pub(crate) fn copied(&self) -> Vec<(Location, Bytes)> {
        let content = |name: String| {
            let location = Location::from(name);
            let read = async { self.inner.get(&location).await?.bytes().await };
            let bytes = futures::executor::block_on(read).unwrap();
            (location, bytes)
        };
        self.names().into_iter().map(content).collect()
    }

    /// Puts a copy in the place of all that there is.
    pub(crate) fn set_to(&self, copy: &[(Location, Bytes)]) {
        for name in self.names() {
            futures::executor::block_on(self.inner.delete(&Location::from(name))).unwrap();
        }
        for (location, bytes) in copy {
            futures::executor::block_on(self.inner.put(location, bytes.clone().into())).unwrap();
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let found = futures::executor::block_on(self.inner.list(None).try_collect::<Vec<_>>()).unwrap();
        found.iter().map(|meta| meta.location.to_string()).collect()
    }

    fn check(&self) -> Result<()> {
        if self.state.lock().unwrap().is_down {
            return Err(Error::Generic { store: "test", source: "connection refused".into() });
        }
        Ok(())
    }
}

impl std::fmt::Display for Flaky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("flaky")
    }
}

impl std::fmt::Debug for Flaky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flaky")
    }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, location: &Location, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.check()?;
        let is_commit = options.mode == PutMode::Create;
        let action = if is_commit { self.state.lock().unwrap().before_commit.take() } else { None };
        if let Some(action) = action {
            // It is somebody else, with threads of its own.
            std::thread::spawn(action).join().unwrap();
        }
        let put = self.inner.put_opts(location, payload, options).await?;
        let mut state = self.state.lock().unwrap();
        if let Some(now) = state.now {
            state.put_at.insert(location.clone(), now);
        }
        if is_commit && state.lost_answers > 0 {
            state.lost_answers -= 1;
            state.is_down |= state.down_then;
            return Err(Error::Generic { store: "test", source: "the answer did not come in time".into() });
        }
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Location,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check()?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Location, options: GetOptions) -> Result<GetResult> {
        self.check()?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Location>>) -> BoxStream<'static, Result<Location>> {
        let own = self.clone();
        let delete = move |location: Location| {
            let own = own.clone();
            async move {
                own.state.lock().unwrap().count_delete();
                own.check()?;
                own.inner.delete(&location).await.map(|()| location)
            }
        };
        locations.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Location>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check() {
            Ok(()) => {
                let own = self.clone();
                self.inner.list(prefix).map_ok(move |meta| own.aged(meta)).boxed()
            }
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    /// As some servers do: they do not know where to begin.
    fn list_with_offset(
        &self,
        prefix: Option<&Location>,
        _offset: &Location,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Location>) -> Result<ListResult> {
        self.check()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Location, to: &Location, options: CopyOptions) -> Result<()> {
        self.check()?;
        self.inner.copy_opts(from, to, options).await
    }
}
