//! Decoding the journal's entries again, in their order.

use compact_str::CompactString;
use hashbrown::HashMap;
use odograph_journal::{Entry, Kind};
use odograph_model::{Lsn, Record, Time};
use odograph_protocols::{Binding, Dialogue, Malformed, Out, ResumeError};
use std::sync::Arc;

/// Decodes entries that are given to it in the order of the journal, from the beginning of a segment on.
#[derive(Default)]
pub struct Decoder {
    /// One for each stream of the segment that is being read.
    dialogues: HashMap<u64, Dialogue>,
    /// Where the next entry begins, unless it is in another segment.
    place: Lsn,
    /// Entries of this segment were lost to damage: who a stream belongs to may have changed unseen.
    gap: bool,
    out: Out<'static>,
}

/// What a frame gave.
pub struct Decoded<'a> {
    /// Whose it is.
    pub binding: &'a Arc<Binding>,
    /// What it came by.
    pub protocol: &'static str,
    /// When.
    pub received: Time,
    /// What it says.
    pub records: Vec<Record>,
}

/// Why a frame gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undecoded {
    /// The stream's context cannot be used.
    Context(ResumeError),
    /// The stream's context, or whose it is, was lost to damage.
    NoContext,
    /// What was decided about the device cannot be read.
    Decision(Malformed),
    /// The frame is malformed.
    Malformed(CompactString, Malformed),
}

impl std::fmt::Display for Undecoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Context(error) => error.fmt(f),
            Self::NoContext => f.write_str("the context of the stream was lost to damage"),
            Self::Decision(error) => write!(f, "the decision about the device cannot be read: {error}"),
            Self::Malformed(protocol, error) => write!(f, "{protocol}: {error}"),
        }
    }
}

impl std::error::Error for Undecoded {}

impl Decoder {
    /// Takes the next entry; a frame that counts for a device gives something.
    pub fn entry(&mut self, entry: &Entry<'_>) -> Result<Option<Decoded<'_>>, Undecoded> {
        if entry.lsn != self.place {
            // Another segment: every stream that goes on there brings its context along.
            self.dialogues.clear();
            self.gap = false;
        }
        self.place = entry.end();
        if let Some(context) = entry.context {
            let dialogue = Dialogue::resume(context).map_err(Undecoded::Context)?;
            self.dialogues.insert(entry.stream, dialogue);
        }
        match entry.kind {
            Kind::FRAME => self.frame(entry),
            Kind::CLOSE => {
                self.dialogues.remove(&entry.stream);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// The reader went on behind damage, at `place`: what was known before still holds, until a device says otherwise.
    pub fn skipped_to(&mut self, place: Lsn) {
        self.place = place;
        self.gap = true;
    }

    fn frame(&mut self, entry: &Entry<'_>) -> Result<Option<Decoded<'_>>, Undecoded> {
        let dialogue = self.dialogues.get_mut(&entry.stream).ok_or(Undecoded::NoContext)?;
        let decided = match entry.identity {
            // Nobody's from here on: nothing was decided about a device.
            Some(identity) if identity.device.is_empty() && identity.decision.is_empty() => None,
            Some(identity) => {
                Some(Arc::new(Binding::read(identity.device, identity.decision).map_err(Undecoded::Decision)?))
            }
            None => None,
        };
        // The first entry of a segment repeats whose the stream was: that begins nothing.
        let decided = decided.filter(|decided| entry.context.is_none() || dialogue.binding() != Some(decided));
        let received = Time(entry.at);
        let name = dialogue.protocol().name;
        let (gap, mut lost) = (self.gap, false);
        let turn = dialogue.frame(entry.payload, received, &mut self.out, |ids, bound| {
            // Under another of its names it may still be the same device, but nothing is given to a wrong one.
            lost = gap && decided.is_none() && bound.is_none_or(|bound| ids.first() != Some(&bound.device));
            decided
        });
        if lost {
            return Err(Undecoded::NoContext);
        }
        if let Some(malformed) = turn.malformed {
            return Err(Undecoded::Malformed(name.into(), malformed));
        }
        let records = self.out.take_records();
        Ok(dialogue.binding().filter(|_| !records.is_empty()).map(|binding| Decoded {
            binding,
            protocol: name,
            received,
            records,
        }))
    }
}
