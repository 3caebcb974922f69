//! Writes inputs for the fuzzer to begin with, out of the vectors: `cargo run --example seeds -- VECTORS FOLDER`, one
//! folder a target. `cargo xtask fuzz` does this by itself.

use odograph_simtest::fuzz::{TARGETS, seeds};
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folders: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [vectors, folder] = &folders[..] else { return Err(io::Error::other("expected: VECTORS FOLDER")) };
    for (target, _) in TARGETS {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds(target, vectors).iter().enumerate() {
            fs::write(folder.join(format!("{number:04}")), seed)?;
        }
    }
    Ok(())
}
