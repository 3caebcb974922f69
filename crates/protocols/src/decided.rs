//! What is decided about the devices of a frame: about the one that it is from, and, where whoever speaks passes on what others
//! said, about each of those by itself.
//!
//! It is in the journal with the frame, so that decoding again gives what was decoded then.
//!
//! ```text
//! decision   version u8 = 1 | binding as in a context, without its version
//!            version u8 = 2 | the same | count u8, then as often: called s8 | device s8 | decision u8 | tenant s8
//! ```
//!
//! `device` is empty where a device is called by its id.

use crate::context::{self, read_short, short};
use crate::{Binding, Decision, Settings};
use compact_str::CompactString;
use odograph_wire::{Cursor, Malformed, Reason, Result};
use std::sync::Arc;

/// So many other devices of one frame are decided about: a concentrator's packet has some tens. What a frame says of more is
/// refused, and so comes again in another one.
pub const OTHERS_MAX: usize = 255;
/// What is decided about them takes at most so many bytes: a decision in the journal has 64 KiB.
const OTHERS_BYTES_MAX: usize = 32 << 10;
/// The form of a decision about several devices: its first byte, which is greater than that of one about a device alone.
pub const DECIDED_SEVERAL: u8 = 2;

/// The devices that a frame names.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// What the device is called whose the frame is; empty where the frame does not say.
    pub ids: &'a [CompactString],
    /// Other devices of which it has records, each once, at most [`OTHERS_MAX`].
    pub others: &'a [CompactString],
    /// Whoever speaks passes on what devices say: none of them answers for the others.
    pub passes_on: bool,
}

/// What is decided about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decided {
    /// The binding that begins with the frame; none where the one there was goes on.
    pub begun: Option<Arc<Binding>>,
    /// About the other devices, and about the frame's own where the binding is another's because that one was refused.
    /// Empty: they go along with the frame's own, as they did before each was decided about.
    pub others: Others,
}

impl From<Option<Arc<Binding>>> for Decided {
    fn from(begun: Option<Arc<Binding>>) -> Self {
        Self { begun, others: Others::default() }
    }
}

/// What is decided about devices that a frame has records of, beside the one that its conversation belongs to.
///
/// Nearly all frames have none, and take no memory for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Others(Option<Arc<[Other]>>);

/// And about one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// What the frame calls it.
    pub called: CompactString,
    /// What is decided. Its settings are none: they do not count here.
    pub binding: Arc<Binding>,
}

impl Others {
    /// As many of them as one frame may have: the rest is refused.
    pub fn new(all: impl IntoIterator<Item = Other>) -> Self {
        let mut bytes = 0_usize;
        let fits = |other: &Other| {
            bytes = bytes.saturating_add(other.bytes());
            bytes <= OTHERS_BYTES_MAX
        };
        let plain = |other: Other| match other.binding.settings.is_empty() {
            true => other,
            false => {
                let binding = Binding { settings: Settings::default(), ..(*other.binding).clone() };
                Other { binding: Arc::new(binding), ..other }
            }
        };
        Self::from(all.into_iter().take(OTHERS_MAX).map(plain).take_while(fits).collect::<Vec<_>>())
    }

    /// Whether nothing was decided about any.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Other> {
        self.0.iter().flat_map(|all| all.iter())
    }

    /// What is decided about the one that the frame calls so.
    pub fn called(&self, name: &str) -> Option<&Arc<Binding>> {
        self.iter().find(|other| other.called == name).map(|other| &other.binding)
    }

    /// What is decided about the one that has this id.
    pub fn device(&self, id: &str) -> Option<&Arc<Binding>> {
        self.iter().find(|other| other.binding.device == id).map(|other| &other.binding)
    }
}

impl From<Vec<Other>> for Others {
    fn from(all: Vec<Other>) -> Self {
        Self((!all.is_empty()).then(|| all.into()))
    }
}

impl Other {
    fn bytes(&self) -> usize {
        // Three lengths and the decision.
        let texts = [&self.called, &self.binding.device, &self.binding.tenant];
        texts.iter().map(|text| text.len()).fold(4, usize::saturating_add)
    }
}

impl Binding {
    /// Appends all but the device, which the journal keeps itself, with what was decided about others in the same frame.
    pub fn write_with(&self, others: &Others, out: &mut Vec<u8>) {
        if others.is_empty() {
            return self.write(out);
        }
        out.push(DECIDED_SEVERAL);
        context::write_decided(self, out);
        let count = out.len();
        out.push(0);
        for other in others.iter().take(OTHERS_MAX) {
            let Other { called, binding } = other;
            short(called, out);
            short(if binding.device == *called { "" } else { &binding.device }, out);
            context::write_decision(binding.decision, out);
            short(&binding.tenant, out);
            if let Some(count) = out.get_mut(count) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Reads what [`Binding::write_with`] wrote, or [`Binding::write`], for `device`.
    pub fn read_with(device: &str, bytes: &[u8]) -> Result<(Self, Others)> {
        if bytes.first() != Some(&DECIDED_SEVERAL) {
            return Ok((Self::read_alone(device, bytes)?, Others::default()));
        }
        let mut c = Cursor::new(bytes);
        c.u8("version")?;
        let binding = context::read_decided(device, &mut c)?;
        let mut others = Vec::new();
        for _ in 0..c.u8("others")? {
            others.push(read_other(&mut c)?);
        }
        c.finish("binding")?;
        Ok((binding, others.into()))
    }

    /// Reads what was decided for `device`, whatever was decided about others with it.
    pub fn read(device: &str, bytes: &[u8]) -> Result<Self> {
        Self::read_with(device, bytes).map(|(binding, _)| binding)
    }
}

fn read_other(c: &mut Cursor<'_>) -> Result<Other> {
    let called: CompactString = read_short("called", c)?.into();
    if called.is_empty() {
        return Err(Malformed::new("called", c.at(), Reason::Expected("a name")));
    }
    let device = match read_short("device", c)? {
        "" => called.clone(),
        device => device.into(),
    };
    let decision = context::read_decision(c)?;
    let tenant = read_short("tenant", c)?.into();
    Ok(Other { called, binding: Arc::new(Binding { device, tenant, decision, settings: Settings::default() }) })
}

/// Whether what a device said counts.
pub(crate) fn counts(binding: &Binding) -> bool {
    matches!(binding.decision, Decision::Accepted | Decision::Quarantined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(called: &str, device: &str, tenant: &str, decision: Decision) -> Other {
        let settings = Settings::recorded([("zone", "+02:00")]);
        let binding = Binding { device: device.into(), tenant: tenant.into(), decision, settings };
        Other { called: called.into(), binding: Arc::new(binding) }
    }

    fn written(others: &Others) -> Vec<u8> {
        let mut bytes = Vec::new();
        let own = other("", "own", "default", Decision::Accepted);
        own.binding.write_with(others, &mut bytes);
        bytes
    }

    #[test]
    fn what_is_written_is_read_again() {
        let all = [
            other("5", "5", "default", Decision::Accepted),
            other("6", "truck six", "north", Decision::Quarantined),
            other("7", "7", "south", Decision::Refused),
        ];
        for count in 0..=all.len() {
            let others = Others::new(all[..count].iter().cloned());
            let bytes = written(&others);
            assert_eq!(bytes[0], if count == 0 { 1 } else { 2 }, "a device alone is written as ever");
            let (own, read) = Binding::read_with("own", &bytes).unwrap();
            assert_eq!((own.device.as_str(), own.settings.text("zone")), ("own", Some("+02:00")));
            assert_eq!(read, others);
            assert_eq!(Binding::read("own", &bytes), Ok(own));
            assert!((0..bytes.len()).all(|length| Binding::read("own", &bytes[..length]).is_err()), "cut short");
            let names = read.iter().map(|other| (other.called.as_str(), other.binding.device.as_str()));
            assert!(names.eq([("5", "5"), ("6", "truck six"), ("7", "7")].into_iter().take(count)));
            assert!(read.iter().all(|other| other.binding.settings.is_empty()), "their own settings do not count");
        }
    }

    #[test]
    fn they_are_bounded_by_number_and_by_bytes() {
        let many = |count: usize, letters: usize| {
            let name = |number: usize| format!("{number:0letters$}");
            let each = (0..count).map(|number| other(&name(number), &name(number), "t", Decision::Accepted));
            let others = Others::new(each);
            assert_eq!(Binding::read_with("own", &written(&others)).unwrap().1, others);
            assert!(written(&others).len() < 34 << 10);
            others.iter().count()
        };
        assert_eq!((many(255, 3), many(256, 3)), (255, 255));
        // 2 × 250 letters, a tenant of one, and 4: 505 bytes each.
        assert_eq!((many(64, 250), many(65, 250)), (64, 64));
    }
}
