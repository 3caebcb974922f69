//! Where an export goes, and what a person at a terminal sees of it meanwhile.
//!
//! A file gets its name once it is whole: until then what was asked may turn out to be impossible, and what stood there is
//! good.

use crate::exit::{Failure, Status};
use crate::export::{self, Progress, Sink, Totals, Unframed};
use anyhow::Result;
use odograph_env::{Clock as _, SystemClock};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file or standard output.
pub(super) struct Output {
    out: BufWriter<Box<dyn Write>>,
    /// For errors.
    name: String,
    /// What becomes the file at the end.
    draft: Option<Draft>,
    shown: Option<Shown>,
}

/// What a person sees.
struct Shown {
    /// What is given, and in what units that has its end.
    what: &'static str,
    units: &'static str,
    clock: SystemClock,
    last: Duration,
    progress: Progress,
    bytes: u64,
}

impl Output {
    /// Opens it for `what` there is; `units` are what [`Progress::done`] counts.
    pub(super) fn open(path: Option<&Path>, what: &'static str, units: &'static str) -> Result<Self> {
        let Some(path) = path else { return Self::as_it_comes(None, what, units) };
        let opened = Draft::open(path).map_err(|error| cannot_create(&path.display(), &error))?;
        let Some((file, draft)) = opened else { return Self::as_it_comes(Some(path), what, units) };
        Ok(Self { draft: Some(draft), ..Self::new(Box::new(file), Some(path), what, units) })
    }

    /// The same for what goes on until it is interrupted: a file has its name from the beginning.
    pub(super) fn as_it_comes(path: Option<&Path>, what: &'static str, units: &'static str) -> Result<Self> {
        let out: Box<dyn Write> = match path {
            Some(path) => Box::new(File::create(path).map_err(|error| cannot_create(&path.display(), &error))?),
            None => Box::new(io::stdout()),
        };
        Ok(Self::new(out, path, what, units))
    }

    fn new(out: Box<dyn Write>, path: Option<&Path>, what: &'static str, units: &'static str) -> Self {
        // Not beside the data itself on one screen.
        let is_shown = io::stderr().is_terminal() && (path.is_some() || !io::stdout().is_terminal());
        let (last, progress, bytes) = (Duration::ZERO, Progress::default(), 0);
        let shown = is_shown.then(|| Shown { what, units, clock: SystemClock::new(), last, progress, bytes });
        let name = path.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
        Self { out: BufWriter::with_capacity(BUFFER_BYTES, out), name, draft: None, shown }
    }

    /// Whether someone wants to know how far it is.
    pub(super) const fn shows_progress(&self) -> bool {
        self.shown.is_some()
    }

    /// Takes what a server answers, and gives what came of it.
    pub(super) fn receive(&mut self, server: crate::client::Server, path: &str, query: Vec<u8>) -> Result<Totals> {
        let mut unframed = self.shows_progress().then(Unframed::default);
        let trailers = server.noting(BEHIND).stream("POST", path, query.into(), |chunk| {
            match &mut unframed {
                Some(unframed) => unframed.take(chunk, self)?,
                None => self.write(chunk)?,
            }
            // The server has gathered enough already, or has nothing more for now.
            Ok(self.flush()?)
        })?;
        export::totals(&trailers)
    }

    /// Sends what is left, gives a file its name, and says what it was.
    pub(super) fn finish(mut self, totals: &Totals) -> Result<()> {
        self.flush()?;
        if let Some(draft) = self.draft.take() {
            draft.place().map_err(|error| cannot_create(&self.name, &error))?;
        }
        if let Some(shown) = &mut self.shown {
            shown.progress = Progress { given: totals.given, ..Progress::default() };
            eprintln!("\r\x1b[K{}", shown.line());
        }
        Ok(())
    }
}

impl Sink for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes).map_err(|error| named(&self.name, &error))?;
        if let Some(shown) = &mut self.shown {
            shown.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(|error| named(&self.name, &error))
    }

    fn is_gone(&self) -> bool {
        false
    }

    fn reached(&mut self, progress: Progress) -> io::Result<()> {
        if let Some(shown) = &mut self.shown {
            shown.progress = progress;
            let now = shown.clock.monotonic();
            if now.saturating_sub(shown.last) >= SHOW {
                shown.last = now;
                eprint!("\r\x1b[K{}", shown.line());
            }
        }
        Ok(())
    }
}

/// The error for a file that cannot be made.
fn cannot_create(name: &dyn fmt::Display, error: &io::Error) -> Failure {
    Failure::new(Status::CannotCreate, format!("cannot write {name}: {error}"))
}

/// An error with the name of what cannot be written.
fn named(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write {name}: {error}"))
}

impl Shown {
    fn line(&self) -> String {
        let Progress { given, done, of } = self.progress;
        let part = if of > 0 { format!("{done} of {of} {}, ", self.units) } else { String::new() };
        format!("{given} {}, {part}{} bytes", self.what, self.bytes)
    }
}

/// A file in the making, beside the one that it becomes. It goes with this, unless it was placed.
struct Draft {
    file: File,
    path: PathBuf,
    target: PathBuf,
    is_kept: bool,
}

impl Draft {
    /// Makes one for the file of that name. `None`: what is there is no file, or cannot be told: it is to be opened as it is.
    fn open(name: &Path) -> io::Result<Option<(File, Self)>> {
        let Some(target) = file_behind(name) else { return Ok(None) };
        // What may not be written to may not be replaced either, although its folder allows it.
        let before = match OpenOptions::new().write(true).open(&target) {
            Ok(file) => Some(file.metadata()?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let made =
            match (beside(&target, before.as_ref().map_or(NEW_FILE_MODE, |before| before.mode() & 0o777)), &before) {
                // Its folder takes no other file: what is there is written to, as ever.
                (Err(error), Some(_)) if NO_FILE_BESIDE.contains(&error.kind()) => return Ok(None),
                (made, _) => made,
            };
        let (file, path) = made?;
        if let Some(before) = before {
            take_after(&file, &before);
        }
        let writing = file.try_clone()?;
        Ok(Some((writing, Self { file, path, target, is_kept: false })))
    }

    /// Puts it in its place.
    fn place(mut self) -> io::Result<()> {
        // A power cut right after this must not leave an empty file where there was a good one.
        rustix::fs::fsync(&self.file)?;
        self.is_kept = true;
        let Err(error) = fs::rename(&self.path, &self.target) else { return Ok(()) };
        // Some files can be written to and not be replaced: one that is mounted, or somebody else's in a folder for all.
        let written = self.write_into_target();
        self.is_kept = written.is_err();
        let kept = self.path.display();
        written.map_err(|why| {
            let what = format!("cannot be replaced ({error}), nor written to: {why}. All of it is in {kept}");
            io::Error::new(why.kind(), what)
        })
    }

    fn write_into_target(&self) -> io::Result<()> {
        let mut whole = File::open(&self.path)?;
        // Nothing of it is gone before it is open for what comes.
        let mut target = OpenOptions::new().write(true).open(&self.target)?;
        target.set_len(0)?;
        io::copy(&mut whole, &mut target)?;
        Ok(rustix::fs::fsync(&target)?)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Gives a file the owner and the rights of another, or fewer: not everybody may give a file away.
fn take_after(file: &File, before: &fs::Metadata) {
    let has_group =
        fchown(file, Some(before.uid()), Some(before.gid())).is_ok() || fchown(file, None, Some(before.gid())).is_ok();
    // Its own group is another one's.
    let mode = if has_group { before.mode() & 0o777 } else { before.mode() & 0o707 };
    // The umask took some of them.
    let _ = file.set_permissions(fs::Permissions::from_mode(mode));
}

/// The file that a name leads to, there or not, through links, which stay. `None`: that is something else, or nothing.
fn file_behind(name: &Path) -> Option<PathBuf> {
    if name.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return None;
    }
    match fs::metadata(name) {
        Ok(there) if there.is_file() => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        _ => return None,
    }
    let mut path = name.to_owned();
    for _ in 0..LINKS_MAX {
        path.file_name()?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        // A link there is an open file, as `/dev/stdout` is: whoever opened it wants it written to.
        if fs::canonicalize(&folder).is_ok_and(|folder| folder.starts_with("/proc")) {
            return None;
        }
        match fs::read_link(&path) {
            Ok(to) => path = folder.join(to),
            Err(_) => return Some(path),
        }
    }
    None
}

/// Makes a file in the folder of another, under a name that says whose it is.
fn beside(target: &Path, mode: u32) -> io::Result<(File, PathBuf)> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    let mut number = 0;
    loop {
        let more = if number > 0 { format!("-{number}") } else { String::new() };
        let path = target.with_file_name(format!(".{name}.odograph-{}{more}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(&path) {
            // One of the same number was killed before it could remove its own: in containers, all have the same.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < LEFT_MAX => number += 1,
            made => return Ok((made?, path)),
        }
    }
}

/// A folder may take no new file although what is in it can be written to.
const NO_FILE_BESIDE: [ErrorKind; 2] = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];

/// As [`File::create`] has it, before the umask.
const NEW_FILE_MODE: u32 = 0o666;

/// As many as Linux follows.
const LINKS_MAX: usize = 40;

/// With what is added, so many of four bytes each fit a name, which may have 255.
const NAME_CHARS_MAX: usize = 50;

/// A folder with more of them than that is not ours to fill.
const LEFT_MAX: u32 = 100;

/// Nothing is left out of an answer that was acknowledged before: after a restart or a burst that can take a while.
const BEHIND: &str = "waiting until history has read all that was acknowledged";

/// Whole pieces of a server's answer.
const BUFFER_BYTES: usize = 256 << 10;

/// Often enough for a person.
const SHOW: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    fn written(path: &Path, text: &str) -> Output {
        let mut out = Output::open(Some(path), "rows", "").unwrap();
        out.write(text.as_bytes()).unwrap();
        out.flush().unwrap();
        out
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_has_its_name_once_it_is_whole_and_nothing_is_left_otherwise() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("answer");
        let out = written(&path, "half");
        assert_eq!(names(place.path()), [format!(".answer.odograph-{}", std::process::id())]);
        drop(out);
        assert_eq!(names(place.path()), Vec::<String>::new());
        for text in ["first", "second"] {
            written(&path, text).finish(&Totals::default()).unwrap();
            drop(written(&path, "half"));
            assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(place.path()).len()), (text, 1));
        }
    }

    #[test]
    fn rights_are_those_of_a_new_file_or_of_the_one_that_was_there() {
        let place = tempfile::tempdir().unwrap();
        let (path, other) = (place.path().join("answer"), place.path().join("other"));
        File::create(&other).unwrap();
        written(&path, "new").finish(&Totals::default()).unwrap();
        assert_eq!(mode(&path), mode(&other));
        for rights in [0o600, 0o666, 0o775] {
            fs::set_permissions(&path, fs::Permissions::from_mode(rights)).unwrap();
            written(&path, "again").finish(&Totals::default()).unwrap();
            assert_eq!(mode(&path), rights);
        }
    }

    #[test]
    fn a_link_stays_one_and_what_it_leads_to_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let (kept, link) = (place.path().join("kept"), place.path().join("link"));
        fs::create_dir(&kept).unwrap();
        symlink("kept/answer", &link).unwrap();
        // At first it leads to nothing.
        for text in ["first", "second"] {
            written(&link, text).finish(&Totals::default()).unwrap();
            drop(written(&link, "half"));
            assert_eq!(fs::read_link(&link).unwrap(), Path::new("kept/answer"));
            assert_eq!(fs::read_to_string(kept.join("answer")).unwrap(), text);
            assert_eq!((names(&kept), names(place.path()).len()), (vec!["answer".to_owned()], 2));
        }
    }

    #[test]
    fn what_is_no_file_is_written_to_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let (link, file) = (place.path().join("null"), place.path().join("file"));
        symlink("/dev/null", &link).unwrap();
        for path in [Path::new("/dev/null"), link.as_path()] {
            written(path, "gone").finish(&Totals::default()).unwrap();
            assert!(fs::metadata(path).unwrap().file_type().is_char_device());
        }
        fs::write(&file, "open").unwrap();
        let open = File::open(&file).unwrap();
        let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        assert_eq!(file_behind(Path::new(&name)), None, "whoever has it open sees what is written");
        assert_eq!(names(place.path()), ["file", "null"]);
        let missing = format!("{}/", place.path().join("missing").display());
        for path in [place.path(), Path::new(&missing), file.join("below").as_path(), Path::new("")] {
            let error = Output::open(Some(path), "rows", "").err().unwrap();
            assert_eq!(error.downcast_ref::<Failure>().unwrap().status, Status::CannotCreate);
            assert!(error.to_string().starts_with(&format!("cannot write {}: ", path.display())), "{error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_replaced_is_written_to_or_all_of_it_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let (path, folder) = (place.path().join("answer"), place.path().join("folder"));
        fs::write(&path, "what stood there, and longer").unwrap();
        let (file, draft) = beside(&path, NEW_FILE_MODE).unwrap();
        fs::write(&draft, "whole").unwrap();
        let draft = |target: &Path| Draft {
            file: file.try_clone().unwrap(),
            path: draft.clone(),
            target: target.to_owned(),
            is_kept: true,
        };
        draft(&path).write_into_target().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        fs::create_dir(&folder).unwrap();
        let error = draft(&folder).place().unwrap_err().to_string();
        assert!(error.contains("cannot be replaced") && error.contains("All of it is in "), "{error}");
        assert_eq!(names(place.path()).len(), 3, "the draft is there");
    }

    #[test]
    fn what_a_killed_process_left_and_a_long_name_are_in_nobodys_way() {
        let place = tempfile::tempdir().unwrap();
        let left = format!(".answer.odograph-{}", std::process::id());
        fs::write(place.path().join(&left), "left").unwrap();
        let path = place.path().join("answer");
        written(&path, "whole").finish(&Totals::default()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::read_to_string(place.path().join(&left)).unwrap(), "left");
        let long = place.path().join("\u{1f69a}".repeat(60));
        written(&long, "whole").finish(&Totals::default()).unwrap();
        assert_eq!(fs::read_to_string(&long).unwrap(), "whole");
        assert_eq!(names(place.path()).len(), 3);
    }
}
