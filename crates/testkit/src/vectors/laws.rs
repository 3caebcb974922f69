//! The laws that hold for every conversation of every protocol, derived from its frames alone.
//!
//! | law | what it holds |
//! |---|---|
//! | split | a stream gives the same frames cut at any point, byte by byte, or all at once |
//! | message | a frame gives the same when it is handed in as a message, also without its delimiter |
//! | truncate | a frame cut short gives no record and no acknowledgement |
//! | flip | a frame with one bit flipped never panics; where there is a checksum it gives nothing new |
//! | save | a session that is saved and opened again between frames goes on as if nothing had happened |
//! | ids | the same frame gives the same record ids, different records have different ids |
//! | error | after a malformed frame the conversation goes on |
//! | recognise | no beginning of a message is disclaimed, and no claim is taken back |

mod damage;
mod ids;
mod recognise;
mod save;
mod split;

pub(crate) use recognise::taken_back;

use super::{Paragraph, Report};
use odograph_model::RecordId;
use odograph_protocols::{Conversation, Heard, Protocol, Terms};
use odograph_wire::Told;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A law reports at most so many failures in one paragraph; more would say nothing new.
const FAILURES_MAX: usize = 3;

/// A paragraph with what it gives and the state before each of its frames.
pub struct Case<'p> {
    pub(super) protocol: &'static Protocol,
    pub(super) paragraph: &'p Paragraph,
    pub(super) terms: Terms,
    /// The frames, in order.
    pub(super) frames: Vec<&'p [u8]>,
    /// What each gave, decoded straight on.
    pub(super) heard: Vec<Heard>,
    /// The conversation before each frame, resumed from what it saved there.
    pub(super) before: Vec<Conversation>,
}

impl<'p> Case<'p> {
    /// Decodes `paragraph`.
    pub fn new(protocol: &'static Protocol, paragraph: &'p Paragraph, terms: Terms) -> Self {
        let frames: Vec<_> = paragraph.frames().map(|message| message.bytes.as_slice()).collect();
        let mut conversation = Conversation::new(protocol, terms.clone());
        let (mut heard, mut before) = (Vec::new(), Vec::new());
        for frame in &frames {
            before.push(conversation.resumed(terms.clone()));
            heard.push(conversation.frame(frame, paragraph.options.received, None));
        }
        Self { protocol, paragraph, terms, frames, heard, before }
    }

    /// A copy of the conversation as it was before the frame of that index.
    fn at(&self, index: usize) -> Conversation {
        self.before[index].resumed(self.terms.clone())
    }

    /// What framing is told, where the stream ends behind the bytes or goes on.
    fn told(&self, ended: bool) -> Told<'_> {
        self.protocol.told(&self.terms.settings, ended)
    }

    /// What `frame` gives instead of the one of that index, or the words of its panic.
    fn instead(&self, index: usize, frame: &[u8]) -> Result<Heard, String> {
        caught(|| self.at(index).frame(frame, self.paragraph.options.received, None))
    }

    /// The line of the frame of that index.
    fn line(&self, index: usize) -> usize {
        self.paragraph.frames().nth(index).map_or(self.paragraph.line, |message| message.line)
    }
}

/// Looks at all laws, and gives the record ids of the paragraph.
pub(super) fn check(case: &Case<'_>, file: &str, report: &mut Report) -> BTreeSet<RecordId> {
    for law in
        [split::split, split::message, damage::truncate, damage::flip, damage::error, save::save, recognise::recognise]
    {
        run(case, file, report, law);
    }
    run(case, file, report, ids::check);
    ids::of(case)
}

/// One law's view of the report.
struct Findings<'r> {
    report: &'r mut Report,
    file: &'r str,
    failures: usize,
}

impl Findings<'_> {
    /// A case of `law` about the frame in `line`: `fault` says what is wrong with it.
    fn case(&mut self, law: &'static str, line: usize, fault: Option<String>) {
        self.report.count(law);
        let Some(fault) = fault else { return };
        self.failures += 1;
        if self.failures <= FAILURES_MAX {
            self.report.find(self.file, line, law, &fault);
        }
    }
}

fn run(case: &Case<'_>, file: &str, report: &mut Report, law: fn(&Case<'_>, &mut Findings<'_>)) {
    let mut findings = Findings { report, file, failures: 0 };
    law(case, &mut findings);
    if let Some(more) = findings.failures.checked_sub(FAILURES_MAX).filter(|more| *more > 0) {
        let line = case.paragraph.line;
        report.findings.push(format!("{file}:{line}: … and {more} more of these in this paragraph"));
    }
}

/// What `work` gives, or the words of its panic.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        format!("panics: {}", words.unwrap_or("without words"))
    })
}

/// The first way in which two outcomes differ.
fn difference(expected: &Heard, found: &Heard) -> Option<String> {
    let differ = |what: &str, expected: String, found: String| {
        (expected != found).then(|| format!("{what} differ: {expected} became {found}"))
    };
    differ("records", format!("{:?}", expected.records), format!("{:?}", found.records))
        .or_else(|| differ("replies", format!("{:?}", expected.replies), format!("{:?}", found.replies)))
        .or_else(|| differ("names", format!("{:?}", expected.identity), format!("{:?}", found.identity)))
        .or_else(|| differ("notes", format!("{:?}", expected.notes), format!("{:?}", found.notes)))
        .or_else(|| differ("answers", format!("{:?}", expected.answers), format!("{:?}", found.answers)))
        .or_else(|| differ("errors", format!("{:?}", expected.fault), format!("{:?}", found.fault)))
}
