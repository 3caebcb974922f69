//! The file with the map's tiles that the configuration names: a PMTiles archive, of which pages read parts by themselves.
//!
//! It stays open for as long as the server runs, so that a file that is put in its place meanwhile is not mixed with it.

use crate::config::MapConfig;
use anyhow::{Context as _, Result, bail};
use odograph_api::MapFile;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

/// The file that the configuration names. Where it cannot be had, the log says why, and pages show the map that they have: no device
/// has to wait for a map.
pub(crate) fn configured(config: &MapConfig) -> Option<Arc<Tiles>> {
    match Tiles::open(config.tiles.as_deref()?) {
        Ok(tiles) => Some(Arc::new(tiles)),
        Err(error) => {
            tracing::error!("map.tiles: {error:#}: pages show the map that they have themselves");
            None
        }
    }
}

/// The file, which begins as an archive does.
#[derive(Debug)]
pub(crate) struct Tiles(File);

impl Tiles {
    /// Opens it and looks at what it begins with.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let kind = file.metadata().with_context(|| format!("cannot look at {}", path.display()))?;
        if !kind.is_file() {
            bail!("{} is no file", path.display());
        }
        let mut header = [0; HEADER_BYTES];
        match file.read_exact_at(&mut header, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => header = [0; HEADER_BYTES],
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
        match header.split_first_chunk::<{ MAGIC.len() }>() {
            Some((MAGIC, [VERSION, ..])) => Ok(Self(file)),
            Some((MAGIC, [version, ..])) => bail!(
                "{} is a PMTiles archive of version {version}, and only version {VERSION} is understood: `pmtiles convert` makes that of it",
                path.display()
            ),
            _ => bail!("{} is no PMTiles archive: it does not begin as one", path.display()),
        }
    }
}

impl MapFile for Tiles {
    fn version(&self) -> io::Result<(u64, String)> {
        let now = self.0.metadata()?;
        let (bytes, seconds, nanos) = (now.size(), now.mtime(), now.mtime_nsec());
        // Two files of the same length that were written in the same moment are told apart by their numbers.
        Ok((bytes, format!("\"{bytes:x}-{seconds:x}-{nanos:x}-{:x}\"", now.ino())))
    }

    fn read(&self, from: u64, piece: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(piece, from)
    }
}

/// PMTiles, version 3, §3: what an archive begins with.
const MAGIC: &[u8; 7] = b"PMTiles";
const VERSION: u8 = 3;
const HEADER_BYTES: usize = 127;

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(bytes: &[u8]) -> Result<Tiles, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("region.pmtiles");
        std::fs::write(&path, bytes).unwrap();
        Tiles::open(&path).map_err(|error| format!("{error:#}").replace(&format!("{}/", folder.path().display()), ""))
    }

    fn archive(version: u8, bytes: usize) -> Vec<u8> {
        let mut archive = b"PMTiles".to_vec();
        archive.push(version);
        archive.resize(bytes, 7);
        archive
    }

    #[test]
    fn only_an_archive_of_the_version_that_is_understood_is_taken() {
        assert!(opened(&archive(3, HEADER_BYTES)).is_ok());
        let no_archive = "region.pmtiles is no PMTiles archive: it does not begin as one";
        for wrong in [&b""[..], b"PMTiles\x03", &archive(3, HEADER_BYTES - 1), b"SQLite format 3\0", &[0; 200]] {
            assert_eq!(opened(wrong).err().as_deref(), Some(no_archive));
        }
        let told = opened(&archive(2, 500)).unwrap_err();
        assert!(told.starts_with("region.pmtiles is a PMTiles archive of version 2, and only version 3"), "{told}");
        let nowhere = Tiles::open(Path::new("/nowhere/region.pmtiles")).unwrap_err();
        assert_eq!(
            format!("{nowhere:#}"),
            "cannot open /nowhere/region.pmtiles: No such file or directory (os error 2)"
        );
        let folder = tempfile::tempdir().unwrap();
        let told = format!("{:#}", Tiles::open(folder.path()).unwrap_err());
        assert_eq!(told, format!("{} is no file", folder.path().display()));
    }

    #[test]
    fn what_was_written_over_it_has_another_tag() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("region.pmtiles");
        std::fs::write(&path, archive(3, 200)).unwrap();
        let tiles = Tiles::open(&path).unwrap();
        let (bytes, tag) = tiles.version().unwrap();
        assert_eq!(bytes, 200);
        assert_eq!(tiles.version().unwrap(), (bytes, tag.clone()));
        let mut piece = [0; 3];
        tiles.read(6, &mut piece).unwrap();
        assert_eq!(piece, *b"s\x03\x07");
        tiles.read(198, &mut piece).unwrap_err();
        std::fs::write(&path, archive(3, 201)).unwrap();
        assert_ne!(tiles.version().unwrap(), (bytes, tag));
    }
}
