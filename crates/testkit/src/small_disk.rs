//! A disk of a few megabytes, to be filled: what a real full disk does to those who bring a library for their files.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, mounted at a folder until this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts one of this size at an empty folder. `None`, and a word about it, where that is not allowed: only root may.
    pub fn mount(at: &Path, kilobytes: u32) -> Option<Self> {
        let size = format!("size={kilobytes}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { at: at.to_owned() });
        }
        eprintln!("left out: a small disk cannot be mounted, which only root may");
        None
    }

    /// Leaves no byte free.
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("a file is made");
        // Ever less, down to the last byte.
        for bytes in [1 << 16, 1 << 12, 1] {
            while filler.write_all(&vec![0; bytes]).is_ok() {}
        }
    }

    /// Gives back what [`SmallDisk::fill`] took.
    pub fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also where something has a file open still.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
