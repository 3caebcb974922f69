//! Who may send, and to whom it belongs.

use crate::Listener;
use compact_str::CompactString;
use odograph_protocols::Binding;
use std::sync::Arc;

/// Decides about devices. On the way of the reply: must answer from memory.
pub trait Devices: Send + Sync {
    /// What is decided about the device that calls itself `ids` (at least one) on `listener`.
    fn admit(&self, ids: &[CompactString], listener: &Listener) -> Arc<Binding>;

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
