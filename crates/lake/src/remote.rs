//! History in an object store somewhere else: the provider's client with what it lacks put around it.
//!
//! A commit is an object that must not be there yet. When the answer to such a put is lost, nobody knows whether it
//! happened, and trying again finds an object in the way: so what is there is compared with what was to be put. Requests
//! are bounded in number and in bytes a second, what cannot change is not fetched twice, and every failure is sorted
//! into "cannot be reached" and "refuses".

mod options;
mod pace;
mod tails;
mod trouble;

use crate::remote::pace::Pace;
use crate::remote::tails::{Tail, Tails};
use crate::store::cut_short;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::limit::LimitStore;
use object_store::path::Path as Location;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) use options::client;
pub use options::{StoreConfig, check as check_store, is_secret as is_secret_option};
pub use trouble::{Trouble, TroubleKind};

/// A bucket or container. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: LimitStore<Arc<dyn ObjectStore>>,
    /// As people write it.
    name: String,
    pace: Option<Pace>,
    tails: Tails,
    requests: [AtomicU64; 4],
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    count: u64,
    last: Option<Trouble>,
}

/// How many requests a store was asked for; what a client tries again counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requests {
    /// Objects, and parts of large ones, that were put.
    pub puts: u64,
    /// Objects, and ranges of them, that were fetched.
    pub gets: u64,
    /// Listings.
    pub lists: u64,
    /// Objects that were deleted.
    pub deletes: u64,
}

/// What providers charge for, by kind.
#[derive(Clone, Copy)]
enum Request {
    Put,
    Get,
    List,
    Delete,
}

impl Remote {
    pub(crate) fn new(client: Arc<dyn ObjectStore>, name: String, bytes_per_second: Option<u64>) -> Self {
        let shared = Shared {
            client: LimitStore::new(client, REQUESTS_AT_ONCE_MAX),
            name,
            pace: bytes_per_second.map(Pace::new),
            tails: Tails::default(),
            requests: [const { AtomicU64::new(0) }; 4],
            failures: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    pub(crate) fn requests(&self) -> Requests {
        let [puts, gets, lists, deletes] = self.shared.requests.each_ref().map(|count| count.load(Ordering::Relaxed));
        Requests { puts, gets, lists, deletes }
    }

    /// How many requests have failed so far.
    pub(crate) fn failures(&self) -> u64 {
        self.failed().count
    }

    /// What the last request failed of, if one did since there were `since` failures.
    pub(crate) fn trouble_since(&self, since: u64) -> Option<Trouble> {
        let failed = self.failed();
        failed.last.clone().filter(|_| failed.count > since)
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.shared.failures.lock().expect("nobody panics holding it")
    }

    fn count(&self, request: Request) {
        self.shared.requests[request as usize].fetch_add(1, Ordering::Relaxed);
    }

    async fn pace(&self, bytes: u64) {
        if let Some(pace) = &self.shared.pace {
            pace.wait(bytes).await;
        }
    }

    /// An object that ends before what was asked for.
    fn cut_short(&self, location: &Location, end: u64, size: u64) -> Error {
        cut_short(&format!("{}/{location}", self.shared.name), end, size)
    }

    /// As [`ObjectStore::get_opts`], with a range that ends behind the object cut there.
    async fn found(&self, location: &Location, options: GetOptions) -> Result<GetResult> {
        let plain = is_unconditional(&options);
        if let Some(known) = self.shared.tails.get(location, &options).filter(|_| plain) {
            return Ok(known);
        }
        self.count(Request::Get);
        let head = options.head;
        let asked = tails::footer(location, &options).filter(|_| plain && !head);
        let options = match &asked {
            Some(footer) => GetOptions { range: Some(tails::before(footer).into()), ..options },
            None => options,
        };
        let found =
            self.shared.client.get_opts(location, options).await.map_err(|error| self.told_of(location, error))?;
        let (meta, mut range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
        if !head {
            self.pace(range.end - range.start).await;
        }
        let is_kept = !head && plain && tails::is_kept(location, meta.size, &range);
        let payload = if is_kept || asked.is_some() {
            let mut bytes = found.bytes().await.map_err(|error| self.told(error))?;
            if is_kept {
                self.shared.tails.read(location, Tail::new(meta.size, range.start, bytes.clone()));
            }
            if let Some(footer) = asked {
                let skipped = usize::try_from(footer.start.saturating_sub(range.start)).unwrap_or(usize::MAX);
                bytes = bytes.slice(skipped.min(bytes.len())..);
                range = range.end - bytes.len() as u64..range.end;
            }
            futures::stream::once(async { Ok(bytes) }).boxed()
        } else {
            let own = self.clone();
            found.into_stream().map_err(move |error| own.told(error)).boxed()
        };
        Ok(GetResult { payload: GetResultPayload::Stream(payload), meta, range, attributes })
    }

    /// Remembers what is the store's trouble, and passes the error on.
    fn told(&self, error: Error) -> Error {
        let Some(trouble) = trouble::of(&self.shared.name, &error) else { return error };
        let mut failed = self.failed();
        failed.count += 1;
        failed.last = Some(trouble.clone());
        drop(failed);
        match error {
            // Of a bucket: whoever asked would take the object for absent.
            Error::NotFound { .. } => Error::Generic { store: "object store", source: Box::new(trouble) },
            error => error,
        }
    }

    /// The same of an object that was to be read. Of one that is not there any more nothing is known, either.
    fn told_of(&self, location: &Location, error: Error) -> Error {
        if matches!(error, Error::NotFound { .. }) {
            self.shared.tails.forget(location);
        }
        self.told(error)
    }

    /// A put that failed although, or because, its object is there.
    async fn settle(&self, location: &Location, payload: &PutPayload, error: Error) -> Result<PutResult> {
        self.count(Request::Get);
        let there = match self.shared.client.get(location).await {
            Ok(found) => (found.meta.e_tag.clone(), found.meta.version.clone(), found.bytes().await),
            Err(_) => return Err(self.told(error)),
        };
        let (e_tag, version, Ok(content)) = there else { return Err(self.told(error)) };
        if content == Bytes::from(payload.clone()) {
            tracing::warn!(object = %location, "an object was put although the store's answer was lost");
            return Ok(PutResult { e_tag, version });
        }
        Err(Error::AlreadyExists { path: location.to_string(), source: Box::new(error) })
    }

    /// In parts, each with a time limit of its own: a slow line takes long for a large object.
    async fn put_in_parts(&self, location: &Location, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let PutOptions { tags, attributes, extensions, .. } = options;
        let options = PutMultipartOptions { tags, attributes, extensions };
        let mut upload = self.put_multipart_opts(location, options).await?;
        let mut rest = Bytes::from(payload);
        while !rest.is_empty() {
            let part = rest.split_to(rest.len().min(PART_BYTES));
            self.count(Request::Put);
            self.pace(part.len() as u64).await;
            if let Err(error) = upload.put_part(part.into()).await {
                let _ = upload.abort().await;
                return Err(self.told(error));
            }
        }
        self.count(Request::Put);
        upload.complete().await.map_err(|error| self.told(error))
    }

    fn listed(&self, found: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
        let own = self.clone();
        self.count(Request::List);
        found.map_err(move |error| own.told(error)).boxed()
    }
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shared.name)
    }
}

#[async_trait]
impl ObjectStore for Remote {
    async fn put_opts(&self, location: &Location, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let whole = Bytes::from(payload.clone());
        let put = if payload.content_length() > PART_BYTES && options.mode == PutMode::Overwrite {
            self.put_in_parts(location, payload, options).await
        } else {
            self.count(Request::Put);
            self.pace(payload.content_length() as u64).await;
            let create = options.mode == PutMode::Create;
            match self.shared.client.put_opts(location, payload.clone(), options).await {
                Err(error) if create && !trouble::is_refusal(&error) => self.settle(location, &payload, error).await,
                put => put.map_err(|error| self.told(error)),
            }
        };
        match put.is_ok() {
            true => self.shared.tails.written(location, &whole),
            false => self.shared.tails.forget(location),
        }
        put
    }

    async fn put_multipart_opts(
        &self,
        location: &Location,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.count(Request::Put);
        self.shared.tails.forget(location);
        self.shared.client.put_multipart_opts(location, options).await.map_err(|error| self.told(error))
    }

    async fn get_opts(&self, location: &Location, options: GetOptions) -> Result<GetResult> {
        let wanted = match &options.range {
            Some(GetRange::Bounded(range)) => Some(range.end),
            _ => None,
        };
        let found = self.found(location, options).await?;
        match wanted {
            Some(end) if end > found.meta.size => Err(self.cut_short(location, end, found.meta.size)),
            _ => Ok(found),
        }
    }

    async fn get_ranges(&self, location: &Location, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if let Some(known) = self.shared.tails.ranges(location, ranges) {
            return Ok(known);
        }
        // The description of a Parquet file is asked for like this.
        if let [range] = ranges {
            let options = GetOptions { range: Some(range.clone().into()), ..GetOptions::default() };
            return Ok(vec![self.get_opts(location, options).await?.bytes().await?]);
        }
        self.count(Request::Get);
        self.pace(ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum()).await;
        let got =
            self.shared.client.get_ranges(location, ranges).await.map_err(|error| self.told_of(location, error))?;
        let is_short =
            |(range, bytes): &(&Range<u64>, &Bytes)| (bytes.len() as u64) < range.end.saturating_sub(range.start);
        match ranges.iter().zip(&got).find(is_short) {
            Some((range, bytes)) => Err(self.cut_short(location, range.end, range.start + bytes.len() as u64)),
            None => Ok(got),
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Location>>) -> BoxStream<'static, Result<Location>> {
        let (asked, told) = (self.clone(), self.clone());
        let locations = locations.inspect_ok(move |location| {
            asked.count(Request::Delete);
            asked.shared.tails.forget(location);
        });
        self.shared.client.delete_stream(locations.boxed()).map_err(move |error| told.told(error)).boxed()
    }

    fn list(&self, prefix: Option<&Location>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(self.shared.client.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Location>, offset: &Location) -> BoxStream<'static, Result<ObjectMeta>> {
        let found = self.listed(self.shared.client.list_with_offset(prefix, offset));
        let offset = offset.clone();
        // Not all servers know where to begin: some give everything, and a log that begins too early is no log.
        found.try_filter(move |meta| futures::future::ready(meta.location > offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Location>) -> Result<ListResult> {
        self.count(Request::List);
        self.shared.client.list_with_delimiter(prefix).await.map_err(|error| self.told(error))
    }

    async fn copy_opts(&self, from: &Location, to: &Location, options: CopyOptions) -> Result<()> {
        self.count(Request::Put);
        self.shared.tails.forget(to);
        self.shared.client.copy_opts(from, to, options).await.map_err(|error| self.told(error))
    }
}

fn is_unconditional(options: &GetOptions) -> bool {
    let GetOptions { if_match, if_none_match, if_modified_since, if_unmodified_since, version, .. } = options;
    let times = if_modified_since.is_none() && if_unmodified_since.is_none();
    times && if_match.is_none() && if_none_match.is_none() && version.is_none()
}

/// Enough for two queries and a flush; more would only crowd a small machine's line.
const REQUESTS_AT_ONCE_MAX: usize = 16;
/// Objects larger than this go in parts of this size: S3 takes none smaller but the last, and within a request's time
/// limit a line of two megabits a second can carry it.
const PART_BYTES: usize = 5 << 20;

#[cfg(test)]
mod tests;
