//! Whether a file is as it was written: its name ends with a checksum of all its bytes.
//!
//! Parquet has checksums for pages, which ours do without, and none for what describes the pages. In its name, a file's
//! checksum is part of the commit that brings the file, of every checkpoint of the log, and of every copy.

use crate::Error;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};

/// How a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// As it was written, byte for byte.
    AsWritten,
    /// Of the right length; it was written without a checksum, by an earlier version or by somebody else.
    Unchecked,
}

/// What a file is called that has these bytes.
pub(crate) fn file_name(name: &str, bytes: &[u8]) -> String {
    format!("{name}{MARK}{:08x}{ENDING}", crc32c::crc32c(bytes))
}

/// The checksum that a file was written with, if it has one.
fn promised(path: &Path) -> Option<u32> {
    let (_, digits) = path.filename()?.strip_suffix(ENDING)?.rsplit_once(MARK)?;
    (digits.len() == DIGITS).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// Looks at a file of which the table's log says so much.
///
/// # Errors
///
/// [`Error::Damaged`] when it is not as it was written, and others when it cannot be read.
pub(crate) async fn check(store: &dyn ObjectStore, file: &ObjectMeta) -> Result<Kept, Error> {
    let damaged = |why: String| Error::Damaged { file: file.location.to_string(), why };
    let Some(promised) = promised(&file.location) else {
        let found = store.head(&file.location).await?.size;
        if found != file.size {
            return Err(damaged(format!("it has {found} bytes, and had {}", file.size)));
        }
        return Ok(Kept::Unchecked);
    };
    let mut pieces = store.get(&file.location).await?.into_stream();
    let mut found = 0;
    while let Some(piece) = pieces.try_next().await? {
        found = crc32c::crc32c_append(found, &piece);
    }
    if found != promised {
        return Err(damaged("its checksum is not the one that it was written with".to_owned()));
    }
    Ok(Kept::AsWritten)
}

/// Reads a file of which the table's log says so much.
///
/// # Errors
///
/// As [`check`].
pub(crate) async fn read(store: &dyn ObjectStore, file: &ObjectMeta) -> Result<bytes::Bytes, Error> {
    let damaged = |why: String| Error::Damaged { file: file.location.to_string(), why };
    let bytes = store.get(&file.location).await?.bytes().await?;
    match promised(&file.location) {
        Some(promised) if crc32c::crc32c(&bytes) != promised => {
            Err(damaged("its checksum is not the one that it was written with".to_owned()))
        }
        None if bytes.len() as u64 != file.size => {
            Err(damaged(format!("it has {} bytes, and had {}", bytes.len(), file.size)))
        }
        _ => Ok(bytes),
    }
}

/// Before the checksum.
const MARK: &str = "-crc32c-";
const DIGITS: usize = 8;
const ENDING: &str = ".parquet";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_promises_what_its_bytes_are_and_other_names_nothing() {
        // The checksum that the standard gives for these digits.
        let name = file_name("day=2026-01-01/merged-5-00ff", b"123456789");
        assert_eq!(name, "day=2026-01-01/merged-5-00ff-crc32c-e3069283.parquet");
        assert_eq!(promised(&Path::from(name)), Some(0xe306_9283));
        for other in ["merged-5.parquet", "x-crc32c-e306928.parquet", "x-crc32c-e306928x.parquet", "x-crc32c-e3069283"]
        {
            assert_eq!(promised(&Path::from(other)), None, "{other}");
        }
    }
}
