//! An object that comes in parts.

use super::write::{Existing, Part};
use super::{DiskStore, NO_VERSION};
use async_trait::async_trait;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use std::sync::Arc;

/// An object that comes in parts, each written where it belongs as it comes.
pub(super) struct Upload {
    store: DiskStore,
    /// Nothing after the end.
    part: Option<Arc<Part>>,
    /// How many bytes came.
    offset: u64,
}

impl Upload {
    pub(super) fn new(store: DiskStore, part: Part) -> Self {
        Self { store, part: Some(Arc::new(part)), offset: 0 }
    }

    fn end(&mut self) -> Result<Arc<Part>> {
        self.part.take().ok_or_else(ended)
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let offset = self.offset;
        self.offset += data.content_length() as u64;
        let (store, part) = (self.store.clone(), self.part.clone());
        Box::pin(async move {
            let part = part.ok_or_else(ended)?;
            store.aside(move |_| part.write(&data, offset)).await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (part, bytes) = (self.end()?, self.offset);
        self.store.aside(move |_| part.finish(bytes, Existing::Replaced)).await?;
        Ok(NO_VERSION)
    }

    async fn abort(&mut self) -> Result<()> {
        let part = self.end()?;
        self.store.aside(move |_| part.discard()).await
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("store", &self.store).field("offset", &self.offset).finish_non_exhaustive()
    }
}

fn ended() -> Error {
    Error::NotSupported { source: "the upload was completed or aborted".into() }
}
