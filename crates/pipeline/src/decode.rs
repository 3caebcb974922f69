//! What the journal's frames say: decoded again, or as it was decoded when they came.

use crate::address::Address;
use crate::replay::Resettle;
use crate::streams::Streams;
use crate::told::Told;
use compact_str::CompactString;
use hashbrown::HashSet;
use odograph_handover::Item;
use odograph_journal::{Entry, Kind};
use odograph_model::{Lsn, Record, Time};
use odograph_protocols::detect::UNIDENTIFIED;
use odograph_protocols::{Binding, Context, Decided, Follower, Footing, Malformed, Others, Out, ResumeError, find};
use std::sync::Arc;

/// Decodes entries that are given to it in the order of the journal, from the beginning of a segment on.
#[derive(Default)]
pub struct Decoder {
    /// Of the segment that is being read.
    dialogues: Streams<Talk>,
    /// What these dialogues have in common with each other: there are not many more than listeners.
    footings: HashSet<Arc<Footing>>,
    /// Where the next entry begins, unless it is in another segment.
    place: Lsn,
    gap: Gap,
    /// The segment whose entries are read.
    segment: Option<Place>,
    /// What holds instead of the settings that were recorded.
    resettle: Option<Arc<dyn Resettle>>,
    out: Out<'static>,
    frames: FrameCounts,
}

/// One side of a conversation, and where it comes from.
struct Talk {
    follower: Follower,
    address: Address,
}

/// How frames became records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameCounts {
    /// As they were decoded when they came.
    pub live: u64,
    /// Decoded again.
    pub redecoded: u64,
}

/// A segment of a node's journal; of the journal that is read, no number is needed.
type Place = (i32, Lsn);

/// What is missing before the next entry in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
enum Gap {
    /// Nothing.
    #[default]
    None,
    /// Entries that were erased by order. Of a stream all goes that a segment has of devices, or nothing, so whose a stream is that
    /// is somebody's did not change unseen.
    Erased,
    /// Entries that were lost to damage, or that nobody knows of: who a stream belongs to may have changed unseen.
    Lost,
}

/// What a frame gave.
pub struct Decoded<'a> {
    /// Whose it is.
    pub binding: &'a Arc<Binding>,
    /// Whose those of its records are that name another device, where each was decided about.
    pub others: Others,
    /// What it came by.
    pub protocol: &'static str,
    /// When.
    pub received: Time,
    /// The network address that it came from.
    pub(crate) address: &'a Address,
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
    /// `segment`: where its segment begins.
    pub fn entry(&mut self, entry: &Entry<'_>, segment: Lsn) -> Result<Option<Decoded<'_>>, Undecoded> {
        self.entry_or_item(entry, segment, &Told::of(entry, None), None)
    }

    /// The same, with what the frame gave when it came, if that is known: then it is not decoded again.
    pub(crate) fn entry_or_item(
        &mut self,
        entry: &Entry<'_>,
        segment: Lsn,
        told: &Told,
        item: Option<Item>,
    ) -> Result<Option<Decoded<'_>>, Undecoded> {
        if self.begin((JOURNAL, segment)) {
            self.gap = Gap::None;
        } else if entry.lsn != self.place {
            // Nobody said that it was damage: it was erased.
            self.gap = self.gap.max(Gap::Erased);
        }
        self.place = entry.end();
        self.take(entry, told, item)
    }

    /// Decodes under other settings than those that were recorded.
    #[must_use]
    pub(crate) fn resettled(resettle: Arc<dyn Resettle>) -> Self {
        Self { resettle: Some(resettle), ..Self::default() }
    }

    /// Takes the next entry as history has it, of a segment of a node's journal. Entries between them may be missing.
    pub(crate) fn stored(&mut self, entry: &Entry<'_>, segment: Place) -> Result<Option<Decoded<'_>>, Undecoded> {
        self.begin(segment);
        // Nobody can tell whether all entries are here that were there.
        self.gap = Gap::Lost;
        self.take(entry, &Told::of(entry, None), None)
    }

    /// Begins a segment, if it is another one: every stream that goes on there brings its context along. It goes by the segments
    /// themselves: within one, places are passed over where something was erased.
    fn begin(&mut self, segment: Place) -> bool {
        if self.segment == Some(segment) {
            return false;
        }
        self.dialogues.clear();
        self.footings.clear();
        self.segment = Some(segment);
        true
    }

    fn take(&mut self, entry: &Entry<'_>, told: &Told, item: Option<Item>) -> Result<Option<Decoded<'_>>, Undecoded> {
        if let Some(context) = entry.context {
            // What it was before is not what it is now.
            self.dialogues.remove(entry.stream);
            if let Some(dialogue) = self.resume(context, told).map_err(Undecoded::Context)? {
                self.dialogues.insert(entry.stream, dialogue);
            }
        }
        match entry.kind {
            Kind::FRAME => self.frame(entry, told, item),
            Kind::CLOSE => {
                self.dialogues.remove(entry.stream);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Goes on from a context; nothing if it was not clear then which protocol is spoken.
    fn resume(&mut self, context: &[u8], told: &Told) -> Result<Option<Talk>, ResumeError> {
        let mut context = Context::read(context).map_err(ResumeError::Context)?;
        if context.protocol == UNIDENTIFIED.name {
            return Ok(None);
        }
        let protocol = find(&context.protocol).ok_or_else(|| ResumeError::Protocol(context.protocol.clone()))?;
        if let Some(resettle) = &self.resettle {
            resettle.listener(protocol, &mut context);
            if let Some(binding) = &mut context.binding {
                resettle.device(protocol, binding);
            }
        }
        let Context { transport, checksum, settings, binding, session, peer, .. } = context;
        let address = Address::of(&peer);
        let footing = Footing { protocol, transport, checksum, settings: Arc::new(settings) };
        let footing = self.footings.get_or_insert_with(&footing, |footing| Arc::new(footing.clone())).clone();
        // The entry repeats whose it is, beside its context.
        let binding = binding.map(|binding| match told {
            Told::Bound(told, _) if **told == binding => told.clone(),
            _ => Arc::new(binding),
        });
        Ok(Some(Talk { follower: Follower::new(footing, binding, session), address }))
    }

    /// The reader went on behind damage, at `place`: what was known before still holds, until a device says otherwise.
    pub fn skipped_to(&mut self, place: Lsn) {
        self.place = place;
        self.gap = Gap::Lost;
    }

    /// How many frames were decoded here, and how many were not.
    pub const fn frames(&self) -> FrameCounts {
        self.frames
    }

    fn frame(&mut self, entry: &Entry<'_>, told: &Told, item: Option<Item>) -> Result<Option<Decoded<'_>>, Undecoded> {
        // Behind damage, what was handed over says more than the journal alone would.
        let item = item.filter(|_| self.gap < Gap::Lost);
        match item {
            Some(_) => self.frames.live += 1,
            None => self.frames.redecoded += 1,
        }
        let Talk { follower, address } = self.dialogues.get_mut(entry.stream).ok_or(Undecoded::NoContext)?;
        let mut others = Others::default();
        let decided = match told {
            // Nobody's from here on: nothing was decided about a device.
            Told::Nothing | Told::Nobody => None,
            Told::Unreadable(malformed) => return Err(Undecoded::Decision(*malformed)),
            Told::Bound(binding, about) => {
                others = about.clone();
                Some(match &self.resettle {
                    None => binding.clone(),
                    Some(resettle) => {
                        let mut binding = (**binding).clone();
                        resettle.device(follower.protocol(), &mut binding);
                        Arc::new(binding)
                    }
                })
            }
        };
        // The first entry of a segment repeats whose the stream was: that begins nothing.
        let decided = decided.filter(|decided| entry.context.is_none() || follower.binding() != Some(decided));
        let received = Time(entry.at);
        let name = follower.protocol().name;
        let (records, malformed) = if let Some(item) = item {
            follower.follow(decided, item.state);
            (item.records, item.malformed)
        } else {
            // What was nobody's when it came, an older version may not have understood: who was there before did not say it.
            let unsure = match self.gap {
                Gap::Lost => true,
                Gap::Erased => follower.binding().is_none() || matches!(told, Told::Nobody),
                Gap::None => matches!(told, Told::Nobody),
            };
            let (mut lost, resettle) = (false, self.resettle.as_deref());
            let is_its = |ids: &[CompactString], bound: &Binding| {
                let other_name = |id| resettle.is_some_and(|resettle| resettle.is_name_of(id, &bound.device));
                ids.first().is_some_and(|id| *id == bound.device || other_name(id))
            };
            let turn = follower.frame(entry.payload, received, &mut self.out, |named, bound| {
                let ids = named.ids;
                // Under another of its names it may still be the same device, but nothing is given to a wrong one.
                lost = unsure && decided.is_none() && !ids.is_empty() && bound.is_none_or(|bound| !is_its(ids, bound));
                Decided { begun: decided, others: others.clone() }
            });
            if lost {
                return Err(Undecoded::NoContext);
            }
            (self.out.take_records(), turn.malformed)
        };
        if let Some(malformed) = malformed {
            return Err(Undecoded::Malformed(name.into(), malformed));
        }
        Ok(follower.binding().filter(|_| !records.is_empty()).map(|binding| Decoded {
            binding,
            others,
            protocol: name,
            received,
            address,
            records,
        }))
    }
}

/// The number of the journal that is read entry by entry: tables give the node's, which is not negative.
const JOURNAL: i32 = -1;
