//! A place where devices arrive: an address, a protocol, and what holds for those who come there.

use crate::measure::Measures;
use crate::roster::DEFAULT_TENANT;
use crate::seats::Seats;
use crate::{Access, Other, Proxy, Tls, Unknown};
use compact_str::CompactString;
use odograph_protocols::context::Head;
use odograph_protocols::detect::UNIDENTIFIED;
use odograph_protocols::{Binding, Checksum, Dialogue, Footing, Protocol, Settings, Transport};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What a listener is.
#[derive(Debug)]
pub struct Listener {
    /// What devices speak there; [`UNIDENTIFIED`] where each may speak another protocol.
    pub protocol: &'static Protocol,
    /// How their bytes travel.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// Settings for all that come there.
    pub settings: Arc<Settings>,
    /// Whether wrong checksums are errors.
    pub checksum: Checksum,
    /// What happens to devices that nobody announced.
    pub unknown: Unknown,
    /// Whose they become. A listener of the tenant `default` is for the devices of all tenants, any other one for its own
    /// tenant's alone.
    pub tenant: CompactString,
    /// The one device that this listener belongs to, for devices that never say who they are.
    pub device: Option<Arc<Binding>>,
    /// What happens there to whoever says that he is another.
    pub other: Other,
    /// Who may come there.
    pub access: Access,
    /// Where a balancer announces them.
    pub proxy: Option<Proxy>,
    /// Where they speak TLS.
    pub tls: Option<Arc<Tls>>,
    /// What is counted.
    pub(crate) measures: Measures,
    /// Of the port that understands all protocols: this listener as it is for those that were found to be spoken.
    decided: Mutex<Vec<Arc<Self>>>,
    /// The connections that are there.
    pub(crate) seats: Seats,
    /// Nobody may come there any more. One for the listener and those that it is for decided protocols, and so what they are known by.
    closed: Arc<AtomicBool>,
    /// What all conversations have in common, once there was one.
    common: OnceLock<Common>,
}

/// What the conversations of a listener have in common.
#[derive(Debug)]
struct Common {
    footing: Arc<Footing>,
    head: Head,
}

/// Why a listener cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenerError {
    /// The protocol does not travel that way.
    #[error("{protocol} does not travel by {transport}")]
    Transport {
        /// The protocol.
        protocol: &'static str,
        /// The transport asked for.
        transport: &'static str,
    },
}

impl Listener {
    /// A listener with the defaults: devices register themselves into the tenant `default`.
    pub fn new(protocol: &'static Protocol, transport: Transport, local: SocketAddr) -> Result<Self, ListenerError> {
        if !protocol.transports.contains(&transport) {
            return Err(ListenerError::Transport { protocol: protocol.name, transport: transport.name() });
        }
        Ok(Self {
            protocol,
            transport,
            local,
            settings: Arc::default(),
            checksum: Checksum::Enforce,
            unknown: Unknown::Register,
            tenant: CompactString::const_new(DEFAULT_TENANT),
            device: None,
            other: Other::default(),
            access: Access::default(),
            proxy: None,
            tls: None,
            seats: Seats::default(),
            closed: Arc::default(),
            measures: Measures::new(protocol.name, transport.name()),
            decided: Mutex::default(),
            common: OnceLock::new(),
        })
    }

    /// Whether it is not known beforehand what devices speak there.
    pub fn is_common(&self) -> bool {
        self.protocol.name == UNIDENTIFIED.name
    }

    /// What it is for a device that was found to speak `protocol`.
    pub(crate) fn decided(&self, protocol: &'static Protocol) -> Arc<Self> {
        // A list that has all but its newest element is whole, so a panic elsewhere does not spoil it.
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = decided.iter().find(|known| known.protocol.name == protocol.name) {
            return known.clone();
        }
        let listener = Arc::new(Self {
            protocol,
            transport: self.transport,
            local: self.local,
            settings: self.settings.clone(),
            checksum: self.checksum,
            unknown: self.unknown,
            tenant: self.tenant.clone(),
            device: self.device.clone(),
            other: self.other,
            access: self.access.clone(),
            proxy: self.proxy.clone(),
            tls: self.tls.clone(),
            // Connections have their places at the listener that they came to.
            seats: Seats::default(),
            closed: self.closed.clone(),
            measures: Measures::new(protocol.name, self.transport.name()),
            decided: Mutex::default(),
            common: OnceLock::new(),
        });
        decided.push(listener.clone());
        listener
    }

    /// From now on nobody is taken in there who is not yet.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether somebody has closed it.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether it is this one, be it for a device that was found to speak some protocol.
    pub(crate) fn is_at(&self, door: &Self) -> bool {
        Arc::ptr_eq(&self.closed, &door.closed)
    }

    /// Whether a device's first byte is the first byte of all.
    pub(crate) fn is_plain(&self) -> bool {
        self.proxy.is_none() && self.tls.is_none()
    }

    /// A dialogue with a device that has just arrived.
    pub(crate) fn dialogue(&self) -> Dialogue {
        Dialogue::begin(self.common().footing.clone(), self.device.clone())
    }

    /// The part of the journal's context that stays the same for everything from a peer.
    pub(crate) fn head(&self) -> &Head {
        &self.common().head
    }

    fn common(&self) -> &Common {
        self.common.get_or_init(|| {
            let Self { protocol, transport, checksum, ref settings, .. } = *self;
            let footing = Footing { protocol, transport, checksum, settings: settings.clone() };
            let head = Head::new(&footing, &self.local.to_string());
            Common { footing: Arc::new(footing), head }
        })
    }
}
