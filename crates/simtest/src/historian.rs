//! Whoever fills the tables, in all its moods: it reads now and then, commits now and then, and begins again.

use crate::Book;
use crate::book::{OpenBook, Row};
use odograph_handover::Outlet;
use odograph_journal::Reader;
use odograph_model::Lsn;
use odograph_pipeline::{FrameCounts, Pipeline, Places, Window};
use odograph_testkit::SeededRng;

/// A pipeline that takes what ingest decoded, as far as the ring has it.
pub struct Historian {
    book: Book,
    reader: Reader,
    pipeline: Pipeline<OpenBook>,
    outlet: Outlet,
    frames: FrameCounts,
}

impl Historian {
    /// Goes on where `book` ends, with what comes out of `outlet`.
    ///
    /// # Panics
    ///
    /// Where the journal cannot be read.
    pub fn open(book: &Book, reader: Reader, outlet: Outlet) -> Self {
        let pipeline = open(book, &reader);
        Self { book: book.clone(), reader, pipeline, outlet, frames: FrameCounts::default() }
    }

    /// Reads what is durable.
    ///
    /// # Panics
    ///
    /// Where the journal cannot be read.
    pub fn read(&mut self, durable: Lsn) {
        while !self.pipeline.read_live(durable, &mut self.outlet).expect("a sound journal can be read") {}
    }

    /// Commits what was read.
    pub fn commit(&mut self) {
        self.pipeline.flush(true).expect("a book in memory takes everything");
    }

    /// Does what the dice say: nothing, mostly.
    pub fn happen(&mut self, durable: Lsn, rng: &SeededRng) {
        match rng.below(16) {
            0..=2 => self.read(durable),
            3 => self.commit(),
            4 if rng.one_in(8) => self.begin_again(),
            _ => {}
        }
    }

    /// Forgets what it has read and not committed, as after an error. The ring goes on.
    pub fn begin_again(&mut self) {
        self.count();
        self.pipeline = open(&self.book, &self.reader);
    }

    /// Reads and commits all, and compares it with what the journal alone gives. Gives how many frames were read in
    /// which way.
    ///
    /// # Panics
    ///
    /// Where there is any difference, or anything is left in the ring.
    pub fn audit(mut self, durable: Lsn, what: &str) -> FrameCounts {
        self.read(durable);
        self.commit();
        self.count();
        let alone = alone(&self.reader, durable);
        let rows = self.book.rows();
        let differ = alone.iter().zip(&rows).find(|(alone, row)| alone != row);
        assert!(differ.is_none(), "{what}: {differ:#?}");
        assert_eq!(rows.len(), alone.len(), "{what}: the number of records");
        self.frames
    }

    /// Whether somebody who begins with the journal gets to `durable`, and meets no damage.
    ///
    /// # Panics
    ///
    /// Where it does not.
    pub fn reaches(&self, durable: Lsn, what: &str) {
        let mut pipeline = open(&Book::default(), &self.reader);
        while !pipeline.read(Some(durable)).expect("a sound journal can be read") {}
        let progress = pipeline.progress();
        assert_eq!((progress.read, progress.damaged), (durable, 0), "{what}");
    }

    fn count(&mut self) {
        let frames = self.pipeline.progress().frames;
        self.frames.live += frames.live;
        self.frames.redecoded += frames.redecoded;
    }
}

/// What the journal alone gives, read in one go.
///
/// # Panics
///
/// Where it cannot be read.
pub fn alone(reader: &Reader, durable: Lsn) -> Vec<Row> {
    let book = Book::default();
    let mut pipeline = open(&book, reader);
    while !pipeline.read(Some(durable)).expect("a sound journal can be read") {}
    pipeline.flush(true).expect("a book in memory takes everything");
    book.rows()
}

fn open(book: &Book, reader: &Reader) -> Pipeline<OpenBook> {
    Pipeline::open(reader, book.open(), Places { records: book.read(), frames: book.read() }, Window::default())
        .expect("a sound journal can be read")
}
