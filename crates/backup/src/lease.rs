//! Who works at a place of backups: one at a time, so that nobody deletes what somebody else counts on.

use std::time::Duration;

use object_store::path::Path as Location;
use object_store::{ObjectStoreExt as _, PutMode, PutOptions};
use odograph_env::Rng;
use odograph_model::Time;
use serde::{Deserialize, Serialize};

use crate::manifest::moment;
use crate::{Error, Target};

/// The right to write there, for as long as it is renewed.
pub(crate) struct Lease {
    target: Target,
    own: Holder,
    renewed: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    id: String,
    what: String,
    /// Of what a backup is made: who has that to himself knows that nobody else can be at it.
    key: Option<String>,
    #[serde(deserialize_with = "moment")]
    begun: Time,
}

impl Lease {
    /// Takes the place. What a process left that was killed is taken over after two minutes, and at once by the one who has its data
    /// folder now.
    pub(crate) async fn take(target: &Target, what: &str, key: Option<&str>, rng: &dyn Rng) -> Result<Self, Error> {
        let mut id = [0; 8];
        rng.fill(&mut id);
        let id = format!("{:016x}", u64::from_le_bytes(id));
        let begun = Time(target.clock.now());
        let own = Holder { id, what: what.to_owned(), key: key.map(str::to_owned), begun };
        let lease = Self { target: target.clone(), own, renewed: target.clock.monotonic() };
        if lease.put(PutMode::Create).await? {
            return Ok(lease);
        }
        let other = lease.holder().await?;
        let is_ours = other.as_ref().is_some_and(|other| other.key.is_some() && other.key == lease.own.key);
        if let Some(other) = other.filter(|_| !is_ours)
            && !lease.is_stale().await?
        {
            let (target, what, begun) = (target.name.clone(), other.what, other.begun.to_string());
            return Err(Error::Busy { target, what, begun });
        }
        lease.put(PutMode::Overwrite).await?;
        lease.check().await?;
        Ok(lease)
    }

    /// Says that it goes on, now and then.
    pub(crate) async fn renew(&mut self) -> Result<(), Error> {
        let now = self.target.clock.monotonic();
        if now.saturating_sub(self.renewed) < RENEW {
            return Ok(());
        }
        self.check().await?;
        self.put(PutMode::Overwrite).await?;
        self.renewed = now;
        Ok(())
    }

    /// An error if somebody else has it.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        match self.holder().await? {
            Some(holder) if holder.id == self.own.id => Ok(()),
            _ => Err(Error::TakenOver { target: self.target.name.clone() }),
        }
    }

    /// Gives it back. What cannot be given back is taken over later.
    pub(crate) async fn release(self) {
        if self.check().await.is_ok() {
            let _ = self.target.store.delete(&Location::from(LEASE)).await;
        }
    }

    async fn holder(&self) -> Result<Option<Holder>, Error> {
        match self.target.store.get(&Location::from(LEASE)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            found => {
                let found = found.map_err(self.target.failed("get", LEASE))?;
                let bytes = found.bytes().await.map_err(self.target.failed("get", LEASE))?;
                Ok(serde_json::from_slice(&bytes).ok())
            }
        }
    }

    /// By the clock of the place itself, which is asked with an object of our own.
    async fn is_stale(&self) -> Result<bool, Error> {
        let (lease, probe) = (Location::from(LEASE), Location::from(format!("{LEASE}.{}", self.own.id)));
        let failed = || self.target.failed("look at", LEASE);
        let store = &self.target.store;
        store.put(&probe, "now".into()).await.map_err(failed())?;
        let now = store.head(&probe).await;
        let _ = store.delete(&probe).await;
        let now = now.map_err(failed())?.last_modified;
        match store.head(&lease).await {
            Err(object_store::Error::NotFound { .. }) => Ok(true),
            found => {
                let age = now - found.map_err(failed())?.last_modified;
                Ok(age.num_seconds() >= STALE.as_secs().cast_signed())
            }
        }
    }

    /// Returns whether it was put: not, where one is there that must not be.
    async fn put(&self, mode: PutMode) -> Result<bool, Error> {
        let text = serde_json::to_vec(&self.own).expect("plain values can be written as JSON");
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.target.store.put_opts(&Location::from(LEASE), text.into(), options).await {
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            put => put.map(|_| true).map_err(self.target.failed("put", LEASE)),
        }
    }
}

const LEASE: &str = "lease.json";
const RENEW: Duration = Duration::from_secs(20);
/// An object takes less than a minute, with all that is tried again.
const STALE: Duration = Duration::from_secs(120);
