//! Refuses to erase what cannot go without something of others.

use super::{Erasing, Load, Of, Subject, rows_of};
use crate::exit::{Failure, Status};
use anyhow::{Result, bail};
use odograph_lake::Noted;
use odograph_model::Lsn;
use odograph_pipeline::{Shared, is_of_meant, others_of};
use odograph_protocols::{Binding, Context, DECIDED_SEVERAL};

impl Erasing {
    /// Refuses the whole order if what it is about shares entries, or conversations within a segment, with others: in the journal before
    /// `until`, and in tables of frames as far as the journal does not have it any more. Reads all of the journal.
    pub(crate) fn refuse_shared(&self, subject: &Subject, until: Lsn, goes_on: &dyn Fn() -> bool) -> Result<()> {
        self.refuse_old_names(subject)?;
        let Subject { of, ids, .. } = subject;
        let is_meant = |tenant: &str, device: &str| {
            tenant == of.tenant
                && of.device.as_ref().is_none_or(|own| own == device || ids.iter().any(|id| id == device))
        };
        let mut entries = self.reader.entries(Lsn(0), Some(until))?;
        let mut shared = Shared::of(&mut entries, &is_meant, goes_on)?;
        let mut unread = None;
        let mut noted = |tenant: &str, device: &str, noted: Noted<'_>| {
            let told = match noted {
                Noted::Decision(bytes) => Binding::read_with(device, bytes).map(|(_, others)| {
                    if let Some(others) = others_of((tenant, device), &others, &is_meant) {
                        shared.note(others);
                    }
                }),
                // Whose a conversation was before stays or goes with its first row of a segment.
                Noted::Context(_) if device.is_empty() || is_meant(tenant, device) => Ok(()),
                Noted::Context(bytes) => Context::read(bytes).map(|context| {
                    if is_of_meant(&context, &is_meant) {
                        shared.note([(tenant, device)]);
                    }
                }),
            };
            if let Err(malformed) = told {
                unread = Some(format!("what was noted about {device} in history: {malformed}"));
            }
        };
        let before = self.reader.removed()?;
        let lines =
            self.lake.lines_of_frames(self.node, before, rows_of(of, None), DECIDED_SEVERAL, goes_on, &mut noted)?;
        shared.entries += lines.rows;
        shared.name(lines.others.iter().map(|(tenant, device)| (tenant.as_str(), device.as_str())));
        if let Some(what) = shared.unread.or(unread) {
            bail!(
                "nothing was changed: it cannot be told whose all is that is kept, because this cannot be read: {what}"
            );
        }
        if shared.entries == 0 {
            return Ok(());
        }
        // Whose other tenants' are is nothing to whoever asks.
        let (own, foreign): (Vec<_>, Vec<_>) = shared.others.iter().partition(|(tenant, _)| *tenant == of.tenant);
        let mut named: Vec<&str> = own.into_iter().map(|(_, device)| device.as_str()).collect();
        named.extend((!foreign.is_empty()).then_some("devices of other tenants"));
        let more = if shared.more { ", and more" } else { "" };
        let what = format!(
            "nothing was changed: {} entries hold what others sent as well, or belong to connections that others used in the same \
             segment, and theirs must stay: {}{more}. Where several devices come by one line, none of them can be erased by itself",
            shared.entries,
            named.join(", ")
        );
        Err(Failure::new(Status::Problems, what).into())
    }

    /// Refuses a device of which an id was a device of its own once: what that has is under another name, and would stay.
    fn refuse_old_names(&self, subject: &Subject) -> Result<()> {
        let Subject { of, ids, .. } = subject;
        let Some(own) = &of.device else { return Ok(()) };
        for id in ids.iter().filter(|id| *id != own) {
            let before = Of { tenant: of.tenant.clone(), device: Some(id.clone()) };
            let Load { entries, records, frames, events, .. } = self.load(&before)?;
            if entries + records + frames + events > 0 {
                let what = format!(
                    "nothing was changed: {id} is an id of {own} now, and was a device of its own before, of which there are {entries} \
                     entries and {records} records under that name. Take it out of the ids of {own}, and erase first {id} and then {own}"
                );
                return Err(Failure::new(Status::Problems, what).into());
            }
        }
        Ok(())
    }
}
