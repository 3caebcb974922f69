//! Who may send, and to whom it belongs.

use crate::Listener;
use compact_str::CompactString;
use odograph_protocols::{Binding, Decided, Decision, Named, Other as Carried, Others, Settings};
use std::sync::Arc;

/// Decides about devices. On the way of the reply: must answer from memory.
pub trait Devices: Send + Sync {
    /// What is decided about the device that calls itself `ids` (at least one) on `listener`.
    fn admit(&self, ids: &[CompactString], listener: &Listener) -> Arc<Binding>;

    /// What is decided about the device that calls itself `ids` on `listener`, if it is known; a stranger does not become
    /// known by it.
    fn known(&self, ids: &[CompactString], listener: &Listener) -> Option<Arc<Binding>> {
        let _ = (ids, listener);
        None
    }

    /// Whether a device is refused for now, with all of its tenant's or alone: nothing more of it is taken in, so that
    /// nothing is acknowledged. Asked for each read, so it must be quick.
    fn is_paused(&self, binding: &Binding) -> bool {
        let _ = binding;
        false
    }

    /// Whether a device that was refused is kept out because what it sent is being erased: then not even its bytes are kept, as
    /// nobody's, which those of others are that are refused.
    fn is_barred(&self, binding: &Binding) -> bool {
        let _ = binding;
        false
    }

    /// Why `device` was refused on `listener`: the bound or the key of the configuration, for the log.
    fn refusal(&self, device: &str, listener: &Listener) -> String {
        let _ = (device, listener);
        "a decision about the device".to_owned()
    }
}

/// What happens to a device that nobody announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// It becomes a device of the listener's tenant, marked new.
    #[default]
    Register,
    /// It is acknowledged and kept, and a person decides.
    Quarantine,
    /// It is refused.
    Reject,
}

/// What happens where a listener belongs to one device and somebody says there that he is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Other {
    /// He is the one that he says, as at any other listener: no device's history gets what another one sent.
    #[default]
    Admit,
    /// He is the listener's device, whatever he says: for devices that all say the same, or say nonsense.
    Ignore,
    /// He is refused, with the protocol's own refusal.
    Refuse,
}

/// What is decided about whoever calls himself `ids` on `listener`.
pub(crate) fn admit(devices: &dyn Devices, ids: &[CompactString], listener: &Listener) -> Arc<Binding> {
    let Some(own) = &listener.device else { return devices.admit(ids, listener) };
    match listener.other {
        Other::Admit => devices.admit(ids, listener),
        // Asked each time: a person may decide about it meanwhile.
        Other::Ignore => devices.admit(std::slice::from_ref(&own.device), listener),
        Other::Refuse => match devices.known(ids, listener).filter(|known| known.device == own.device) {
            Some(known) if devices.is_paused(&known) => {
                Arc::new(Binding { decision: Decision::Refused, ..(*known).clone() })
            }
            Some(known) => known,
            None => Arc::new(Binding {
                device: ids.first().cloned().unwrap_or_default(),
                tenant: listener.tenant.clone(),
                decision: Decision::Refused,
                settings: Settings::default(),
            }),
        },
    }
}

/// What is decided about the devices of a frame on `listener`: each of them by itself. `bound` is whose the conversation is.
pub(crate) fn decide(
    devices: &dyn Devices,
    named: &Named<'_>,
    listener: &Listener,
    bound: Option<&Binding>,
) -> Decided {
    let own = (!named.ids.is_empty()).then(|| admit(devices, named.ids, listener));
    let each = |called: &CompactString| {
        let binding = admit(devices, std::slice::from_ref(called), listener);
        Carried { called: called.clone(), binding }
    };
    let mut others: Vec<Carried> = named.others.iter().map(each).collect();
    let lets_in = |binding: &Binding| binding.decision != Decision::Refused;
    let mut begun = own;
    if named.passes_on
        && let Some((own, called)) = begun.as_ref().filter(|own| !lets_in(own)).cloned().zip(named.ids.first())
        && let Some(first) = others.iter().find(|other| lets_in(&other.binding)).map(|other| other.binding.clone())
    {
        // A refused device owns nothing, so the frame is that of the first that is let in.
        begun = Some(first);
        others.insert(0, Carried { called: called.clone(), binding: own });
    }
    Decided { begun: begun.filter(|begun| bound != Some(&**begun)), others: Others::new(others) }
}
