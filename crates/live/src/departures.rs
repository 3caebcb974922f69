//! Devices that were removed or changed their group: whoever goes on after an interruption must hear of them.

use crate::{Filter, GroupId};
use compact_str::CompactString;
use std::collections::VecDeque;

/// The last ones.
#[derive(Debug, Default)]
pub(crate) struct Departures {
    last: VecDeque<Departure>,
    /// The greatest revision of those that were forgotten.
    forgotten: u64,
}

#[derive(Debug)]
struct Departure {
    revision: u64,
    device: CompactString,
    group: GroupId,
}

impl Departures {
    /// A device is in this group no more.
    pub(crate) fn add(&mut self, revision: u64, device: CompactString, group: GroupId) {
        if self.last.len() >= DEPARTURES_MAX
            && let Some(first) = self.last.pop_front()
        {
            self.forgotten = first.revision;
        }
        self.last.push_back(Departure { revision, device, group });
    }

    /// Those after a revision that whoever has this filter may have known; `None` if they are not all remembered.
    pub(crate) fn since(&self, revision: u64, filter: &Filter) -> Option<Vec<CompactString>> {
        let shown = |departure: &&Departure| {
            let Departure { group, device, .. } = departure;
            let is_chosen = filter.devices.as_ref().is_none_or(|devices| devices.contains(device));
            departure.revision > revision && filter.permitted.has(*group) && filter.groups.has(*group) && is_chosen
        };
        let left = self.last.iter().filter(shown).map(|departure| departure.device.clone());
        (revision >= self.forgotten).then(|| left.collect())
    }
}

/// For the hours in which somebody sorts a fleet into groups.
const DEPARTURES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Groups;

    #[test]
    fn departures_are_told_to_those_who_may_know_until_they_are_forgotten() {
        let mut departures = Departures::default();
        departures.add(1, "a".into(), GroupId(1));
        departures.add(2, "b".into(), GroupId(2));
        let all = Filter::all("t");
        let ones = Filter { permitted: Groups::only([GroupId(1)]), ..all.clone() };
        let b = Filter { devices: Some(["b".into()].into()), ..all.clone() };
        let since = |departures: &Departures, revision, filter| {
            let left = departures.since(revision, filter)?;
            Some(left.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(since(&departures, 0, &all).as_deref(), Some("a b"));
        assert_eq!(since(&departures, 1, &all).as_deref(), Some("b"));
        assert_eq!(since(&departures, 0, &ones).as_deref(), Some("a"));
        assert_eq!(since(&departures, 0, &b).as_deref(), Some("b"));
        for revision in 3..=DEPARTURES_MAX as u64 + 1 {
            departures.add(revision, "c".into(), GroupId(3));
        }
        assert_eq!(since(&departures, 0, &all), None, "the first was forgotten");
        assert_eq!(since(&departures, 1, &ones).as_deref(), Some(""));
        assert_eq!(departures.last.len(), DEPARTURES_MAX);
    }
}
