//! Record ids: what is sent again must be recognised, and what differs must not be taken for it.

use super::{Case, Findings};
use odograph_model::{Record, RecordId};
use odograph_protocols::{Conversation, Heard};
use std::collections::{BTreeMap, BTreeSet};

/// The same frame gives the same ids, decoded anew and sent again; records that differ have ids that differ.
pub(super) fn check(case: &Case<'_>, findings: &mut Findings<'_>) {
    let received = case.paragraph.options.received;
    let mut again = Conversation::new(case.protocol, case.terms.clone());
    let mut seen: BTreeMap<RecordId, &Record> = BTreeMap::new();
    let mut device = None;
    for (index, frame) in case.frames.iter().enumerate() {
        let heard = &case.heard[index];
        let line = case.line(index);
        device = heard.identity.first().map(ToString::to_string).or(device);
        let ids = ids(case, device.as_deref(), heard);
        let found = again.frame(frame, received, None);
        let fault = (self::ids(case, device.as_deref(), &found) != ids).then(|| "decoded anew: other ids".to_owned());
        findings.case("ids", line, fault);
        let mut twice = case.at(index);
        twice.frame(frame, received, None);
        let resent: BTreeSet<_> =
            self::ids(case, device.as_deref(), &twice.frame(frame, received, None)).into_iter().collect();
        let is_new = !resent.is_subset(&ids.iter().copied().collect());
        findings.case("ids", line, is_new.then(|| "the frame sent again gives ids that it did not give".to_owned()));
        for (record, id) in heard.records.iter().zip(ids) {
            let mut fault = (record.span() == 0).then(|| format!("without a span: {record:?}"));
            if let Some(other) = seen.insert(id, record).filter(|other| !is_same(other, record)) {
                fault = Some(format!("one id for two records: {other:?} and {record:?}"));
            }
            findings.case("ids", line, fault);
        }
    }
}

/// All record ids of the paragraph.
pub(super) fn of(case: &Case<'_>) -> BTreeSet<RecordId> {
    let mut device = None;
    let mut all = BTreeSet::new();
    for heard in &case.heard {
        device = heard.identity.first().map(ToString::to_string).or(device);
        all.extend(ids(case, device.as_deref(), heard));
    }
    all
}

fn ids(case: &Case<'_>, device: Option<&str>, heard: &Heard) -> Vec<RecordId> {
    let options = &case.paragraph.options;
    let device = device.unwrap_or(options.device());
    heard.records.iter().map(|record| RecordId::new(device, record, options.received)).collect()
}

fn is_same(one: &Record, other: &Record) -> bool {
    (one.time, one.values(), one.raw_values()) == (other.time, other.values(), other.raw_values())
}
