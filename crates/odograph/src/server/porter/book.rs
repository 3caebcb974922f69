//! What is to be open, what is, and so what is to be done next: decided here, without a socket or a clock.
//!
//! A listener has a socket for each of its transports, and each stands for itself: where one cannot be opened, the other one is. Whoever
//! cannot be opened is tried again, after [`FIRST_PAUSE`] at first, each time twice as late, and every [`LONGEST_PAUSE`] at last.

use crate::server::listeners::Planned;
use odograph_api::{ListenerSocket, ListenerStanding, ListenerState};
use odograph_catalog::{KeptListeners, Listener, ListenerTerms, UnixMillis};
use odograph_ingest::{DoorId, Listener as Served};
use odograph_protocols::Binding;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Which socket: of which listener, by which transport.
pub(super) type Key = (String, &'static str);

/// A socket that is to be open.
#[derive(Debug)]
pub(super) struct Wanted {
    /// What people call its listener.
    pub(super) called: String,
    pub(super) plan: Planned,
    /// What holds there, to tell whether that has changed.
    holds: (String, ListenerTerms),
}

impl Wanted {
    fn holds_as(&self, other: &Self) -> bool {
        self.holds == other.holds
    }

    fn is_where(&self, other: &Self) -> bool {
        self.plan.address == other.plan.address
    }
}

/// A socket that is open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) door: DoorId,
    /// The one device that comes there, if it is such a one, with what it is asked for by.
    pub(super) device: Option<(Arc<Binding>, Arc<Served>)>,
    pub(super) since: UnixMillis,
}

/// Whether what holds at an open socket is what should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// It is.
    Well,
    /// Something else was decided about its device.
    Otherwise,
    /// There is no such device any more.
    Nothing,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Open(Key, Arc<Wanted>),
    /// Another listener is to take the place of what is open at the same address.
    Change(Key, DoorId, Arc<Wanted>),
    Close(Key, DoorId),
}

#[derive(Debug, Default)]
struct Socket {
    wanted: Option<Arc<Wanted>>,
    open: Option<(Opened, Arc<Wanted>, Holds)>,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    why: String,
    tries: u32,
    again: Duration,
}

#[derive(Debug)]
struct Made {
    listener: Listener,
    /// What the configuration would not take.
    wrong: Option<String>,
}

/// A listener that is not open as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unopened {
    pub(crate) called: String,
    pub(crate) tenant: String,
    pub(crate) address: String,
    pub(crate) why: String,
}

/// All of that.
#[derive(Debug, Default)]
pub(super) struct Book {
    made: BTreeMap<String, Made>,
    sockets: BTreeMap<Key, Socket>,
    /// The ids of listeners that cannot be read, and why.
    unreadable: Vec<(String, String)>,
}

impl Book {
    /// Takes in all that there are, each with its sockets or what is wrong with it. What cannot be read stays as it is.
    pub(super) fn take(&mut self, kept: KeptListeners, sockets: impl Fn(&Listener) -> Result<Vec<Planned>, String>) {
        let KeptListeners { listeners, unreadable } = kept;
        let stays = |id: &String| unreadable.iter().any(|(unreadable, _)| unreadable == id);
        self.made.retain(|id, _| stays(id));
        let mut wanted = BTreeMap::new();
        for listener in listeners {
            let (plans, wrong) = match listener.enabled.then(|| sockets(&listener)) {
                Some(Ok(plans)) => (plans, None),
                Some(Err(wrong)) => (Vec::new(), Some(wrong)),
                None => (Vec::new(), None),
            };
            for plan in plans {
                let key = (listener.id.clone(), plan.transport.name());
                let holds = (listener.tenant.clone(), listener.terms.clone());
                wanted.insert(key, Wanted { called: listener.called().to_owned(), plan, holds });
            }
            self.made.insert(listener.id.clone(), Made { listener, wrong });
        }
        for (key, socket) in &mut self.sockets {
            if !wanted.contains_key(key) && !stays(&key.0) {
                (socket.wanted, socket.trouble) = (None, None);
            }
        }
        for (key, wanted) in wanted {
            let socket = self.sockets.entry(key).or_default();
            let is_same = socket.wanted.as_ref().is_some_and(|before| before.holds_as(&wanted));
            // What failed before says nothing about something else.
            socket.trouble = socket.trouble.take().filter(|_| is_same);
            socket.wanted = Some(Arc::new(wanted));
        }
        self.unreadable = unreadable;
        self.tidy();
    }

    /// What is to be done now. To be asked again when that is done, until nothing is: addresses become free by it.
    pub(super) fn due(&self, now: Duration) -> Vec<Act> {
        let (mut closing, mut opening) = (Vec::new(), Vec::new());
        for (key, Socket { wanted, open, trouble }) in &self.sockets {
            let is_due = trouble.as_ref().is_none_or(|trouble| trouble.again <= now);
            match (wanted, open) {
                (Some(wanted), Some((open, as_wanted, holds)))
                    if wanted.is_where(as_wanted) && *holds != Holds::Nothing =>
                {
                    let is_well = wanted.holds_as(as_wanted) && *holds == Holds::Well;
                    if !is_well && is_due {
                        opening.push(Act::Change(key.clone(), open.door, wanted.clone()));
                    }
                }
                (_, Some((open, ..))) => closing.push(Act::Close(key.clone(), open.door)),
                (Some(wanted), None) if is_due => opening.push(Act::Open(key.clone(), wanted.clone())),
                (_, None) => {}
            }
        }
        if closing.is_empty() { opening } else { closing }
    }

    /// When something is to be tried again, if anything is.
    pub(super) fn again(&self) -> Option<Duration> {
        self.sockets.values().filter_map(|socket| Some(socket.trouble.as_ref()?.again)).min()
    }

    /// It was opened, or changed, as that.
    pub(super) fn opened(&mut self, key: &Key, as_wanted: Arc<Wanted>, open: Opened) {
        let socket = self.sockets.entry(key.clone()).or_default();
        socket.open = Some((open, as_wanted, Holds::Well));
        socket.trouble = None;
    }

    /// It was closed.
    pub(super) fn closed(&mut self, key: &Key) {
        if let Some(socket) = self.sockets.get_mut(key) {
            socket.open = None;
        }
        self.tidy();
    }

    /// It could not be opened, or changed, as that. Says whether that is new.
    pub(super) fn failed(&mut self, key: &Key, as_wanted: &Arc<Wanted>, why: String, now: Duration) -> bool {
        let Some(socket) = self.sockets.get_mut(key) else { return false };
        if socket.wanted.as_ref().is_none_or(|wanted| !wanted.holds_as(as_wanted)) {
            // Something else is wanted by now, and is tried at once.
            return false;
        }
        let before = socket.trouble.take();
        let is_new = before.as_ref().is_none_or(|before| before.why != why);
        let tries = before.map_or(0, |before| before.tries.saturating_add(1));
        socket.trouble = Some(Trouble { why, tries, again: now.saturating_add(pause(tries)) });
        is_new
    }

    /// Those that are open for one device each.
    pub(super) fn of_devices(&self) -> Vec<(Key, Arc<Binding>, Arc<Served>)> {
        let of_device = |(key, socket): (&Key, &Socket)| {
            let (binding, served) = socket.open.as_ref()?.0.device.clone()?;
            Some((key.clone(), binding, served))
        };
        self.sockets.iter().filter_map(of_device).collect()
    }

    /// How what holds at an open socket stands.
    pub(super) fn stands(&mut self, key: &Key, as_it: Holds) {
        let Some(Socket { wanted, open: Some((_, as_wanted, holds)), trouble }) = self.sockets.get_mut(key) else {
            return;
        };
        *holds = as_it;
        // What could not be changed need not be any more.
        if as_it == Holds::Well && wanted.as_ref().is_some_and(|wanted| wanted.holds_as(as_wanted)) {
            *trouble = None;
        }
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.sockets.values().filter(|socket| socket.open.is_some()).count()
    }

    /// Those that are to be open and are not.
    pub(super) fn missing(&self) -> impl Iterator<Item = &Planned> {
        let missing = self.sockets.values().filter(|socket| socket.open.is_none());
        missing.filter_map(|socket| socket.wanted.as_ref()).map(|wanted| &wanted.plan)
    }

    /// The listeners, those that cannot be read any more as they were.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        let mut all: Vec<_> = self.made.values().map(|made| made.listener.clone()).collect();
        all.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        all
    }

    /// How a listener stands, in this revision or a later one. `connections` counts those that came by a door.
    pub(super) fn standing(
        &self,
        id: &str,
        revision: i64,
        connections: impl Fn(DoorId) -> Option<usize>,
    ) -> Option<ListenerStanding> {
        let made = self.made.get(id);
        let from_it = self.sockets.range((id.to_owned(), "")..);
        let of_it = from_it.take_while(|((of, _), _)| of == id);
        let sockets: Vec<_> = of_it.map(|((_, transport), socket)| socket.shown(transport, &connections)).collect();
        if made.is_none() && sockets.is_empty() {
            return None;
        }
        if made.is_none_or(|made| made.listener.revision < revision) {
            return Some(ListenerStanding { state: ListenerState::Waiting, problem: None, sockets });
        }
        let wrong = made.and_then(|made| made.wrong.clone());
        let worst = sockets.iter().map(|socket| socket.state).max().unwrap_or(ListenerState::Closed);
        let state = if wrong.is_some() { ListenerState::Failed } else { worst };
        let problem = wrong.or_else(|| sockets.iter().find_map(|socket| socket.problem.clone()));
        Some(ListenerStanding { state, problem, sockets })
    }

    /// How many listeners stand how.
    pub(super) fn count(&self) -> BTreeMap<ListenerState, usize> {
        let all = [ListenerState::Closed, ListenerState::Open, ListenerState::Waiting, ListenerState::Failed];
        let mut count: BTreeMap<_, _> = all.map(|state| (state, 0)).into();
        for id in self.made.keys() {
            if let Some(standing) = self.standing(id, 0, |_| None) {
                *count.entry(standing.state).or_default() += 1;
            }
        }
        count
    }

    /// What a person has to look at.
    pub(super) fn unopened(&self) -> Vec<Unopened> {
        let wrong = self.made.values().filter_map(|Made { listener, wrong }| {
            let (called, tenant) = (listener.called().to_owned(), listener.tenant.clone());
            Some(Unopened { called, tenant, address: listener.terms.listen.clone(), why: wrong.clone()? })
        });
        let failed = self.sockets.values().filter_map(|socket| {
            let (Wanted { called, plan, .. }, trouble) = (&**socket.wanted.as_ref()?, socket.trouble.as_ref()?);
            let tenant = plan.config.tenant.0.to_string();
            let address = format!("{} ({})", plan.address, plan.transport.name());
            Some(Unopened { called: called.clone(), tenant, address, why: trouble.why.clone() })
        });
        let unreadable = self.unreadable.iter().map(|(id, why)| Unopened {
            called: id.clone(),
            tenant: String::new(),
            address: String::new(),
            why: format!("{why}: it stays as it is here"),
        });
        wrong.chain(failed).chain(unreadable).collect()
    }

    /// Forgets what is neither wanted nor open.
    fn tidy(&mut self) {
        self.sockets.retain(|_, socket| socket.wanted.is_some() || socket.open.is_some());
    }
}

impl Socket {
    fn shown(&self, transport: &str, connections: impl Fn(DoorId) -> Option<usize>) -> ListenerSocket {
        let plan = self.wanted.as_ref().or(self.open.as_ref().map(|(_, as_wanted, _)| as_wanted)).map(|it| &it.plan);
        let (state, problem) = match (&self.wanted, &self.open, &self.trouble) {
            (Some(_), _, Some(trouble)) => (ListenerState::Failed, Some(trouble.why.clone())),
            (Some(wanted), Some((_, as_wanted, Holds::Well)), None)
                if wanted.holds_as(as_wanted) && wanted.is_where(as_wanted) =>
            {
                (ListenerState::Open, None)
            }
            _ => (ListenerState::Waiting, None),
        };
        let open = self.open.as_ref().map(|(open, ..)| open);
        ListenerSocket {
            transport: transport.to_owned(),
            address: plan.map(|plan| plan.address.to_string()).unwrap_or_default(),
            state,
            problem,
            since: open.map(|open| open.since),
            connections: open.and_then(|open| connections(open.door)).map(|count| count as u64),
        }
    }
}

/// How long to wait after so many tries.
fn pause(tries: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(tries)).min(LONGEST_PAUSE)
}

/// A port that another process is just about to leave is free a moment later.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A person who has made it free waits no longer than that.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
