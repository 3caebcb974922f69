//! What the book says is to be done next.

use super::*;
use crate::server::listeners::made;
use odograph_catalog::ListenerTransport;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn listener(id: &str, listen: &str, revision: i64) -> Listener {
    let transport = ListenerTransport::Tcp;
    let terms =
        ListenerTerms { protocol: "wialon".into(), listen: listen.into(), transport, ..ListenerTerms::default() };
    Listener {
        id: id.into(),
        name: String::new(),
        enabled: true,
        tenant: "default".into(),
        terms,
        created: 0,
        updated: 0,
        revision,
    }
}

/// By whichever door it is.
fn opened() -> Opened {
    Opened { door: DoorId::default(), device: None, since: 5 }
}

struct Trial(Book);

impl Trial {
    fn new() -> Self {
        Self(Book::default())
    }

    fn take(&mut self, listeners: &[Listener]) {
        let kept = KeptListeners { listeners: listeners.to_vec(), unreadable: Vec::new() };
        self.take_kept(kept);
    }

    fn take_kept(&mut self, kept: KeptListeners) {
        self.0.take(kept, |listener| made(&mut listener.clone()).map_err(|error| error.to_string()));
    }

    /// What is due, in words.
    fn due(&self, now: Duration) -> Vec<String> {
        let word = |act: Act| match act {
            Act::Open((id, transport), wanted) => format!("open {id} {transport} {}", wanted.plan.address),
            Act::Change((id, transport), _, _) => format!("change {id} {transport}"),
            Act::Close((id, transport), _) => format!("close {id} {transport}"),
        };
        self.0.due(now).into_iter().map(word).collect()
    }

    /// Does what is due, and all of it well.
    fn do_all(&mut self, now: Duration) {
        loop {
            let acts = self.0.due(now);
            if acts.is_empty() {
                return;
            }
            for act in acts {
                match act {
                    Act::Open(key, wanted) | Act::Change(key, _, wanted) => self.0.opened(&key, wanted, opened()),
                    Act::Close(key, _) => self.0.closed(&key),
                }
            }
        }
    }

    /// Fails at what is due.
    fn fail(&mut self, why: &str, now: Duration) -> bool {
        let acts = self.0.due(now);
        let [Act::Open(key, wanted) | Act::Change(key, _, wanted)] = acts.as_slice() else { panic!("{acts:?}") };
        self.0.failed(key, wanted, why.to_owned(), now)
    }

    fn state(&self, id: &str, revision: i64) -> Option<(ListenerState, Option<String>)> {
        let standing = self.0.standing(id, revision, |_| Some(3))?;
        Some((standing.state, standing.problem))
    }
}

#[test]
fn what_is_wanted_is_opened_and_what_is_not_is_closed() {
    let mut trial = Trial::new();
    trial.take(&[listener("a", "127.0.0.1:5", 1)]);
    assert_eq!(trial.state("a", 1), Some((ListenerState::Waiting, None)));
    assert_eq!(trial.due(at(0)), ["open a tcp 127.0.0.1:5"]);
    trial.do_all(at(0));
    let socket = ListenerSocket {
        transport: "tcp".into(),
        address: "127.0.0.1:5".into(),
        state: ListenerState::Open,
        problem: None,
        since: Some(5),
        connections: Some(3),
    };
    let standing = ListenerStanding { state: ListenerState::Open, problem: None, sockets: vec![socket] };
    assert_eq!(trial.0.standing("a", 1, |_| Some(3)), Some(standing));
    assert_eq!(trial.state("a", 2), Some((ListenerState::Waiting, None)), "a later revision is not here yet");
    // What people call it changes nothing.
    let named = Listener { name: "Partner".into(), ..listener("a", "127.0.0.1:5", 2) };
    trial.take(std::slice::from_ref(&named));
    assert_eq!((trial.due(at(0)), trial.state("a", 2)), (vec![], Some((ListenerState::Open, None))));
    // And what is closed is closed.
    trial.take(&[Listener { enabled: false, ..named }]);
    assert_eq!((trial.due(at(0)), trial.0.open()), (vec!["close a tcp".to_owned()], 1));
    trial.do_all(at(0));
    assert_eq!((trial.state("a", 2), trial.0.open()), (Some((ListenerState::Closed, None)), 0));
    trial.take(&[]);
    assert_eq!(trial.state("a", i64::MAX), None);
}

#[test]
fn one_that_was_removed_is_known_until_its_door_is_closed() {
    let mut trial = Trial::new();
    trial.take(&[listener("a", "127.0.0.1:5", 1)]);
    trial.do_all(at(0));
    trial.take(&[]);
    assert_eq!(trial.state("a", i64::MAX), Some((ListenerState::Waiting, None)));
    trial.do_all(at(0));
    assert_eq!(trial.state("a", i64::MAX), None);
}

#[test]
fn what_holds_there_changes_in_its_place_and_another_address_is_left_first() {
    let mut trial = Trial::new();
    trial.take(&[listener("a", "127.0.0.1:5", 1), listener("b", "127.0.0.1:6", 1)]);
    trial.do_all(at(0));
    let mut changed = listener("a", "127.0.0.1:5", 2);
    changed.terms.deny = vec!["10.0.0.0/8".into()];
    trial.take(&[changed.clone(), listener("b", "127.0.0.1:6", 1)]);
    assert_eq!(trial.due(at(0)), ["change a tcp"]);
    assert_eq!(trial.state("a", 2), Some((ListenerState::Waiting, None)));
    trial.do_all(at(0));
    let theirs = Listener { tenant: "north".into(), revision: 3, ..changed };
    trial.take(&[theirs, listener("b", "127.0.0.1:6", 1)]);
    assert_eq!(trial.due(at(0)), ["change a tcp"]);
    trial.do_all(at(0));
    // Each takes the other one's address.
    trial.take(&[listener("a", "127.0.0.1:6", 4), listener("b", "127.0.0.1:5", 2)]);
    assert_eq!(trial.due(at(0)), ["close a tcp", "close b tcp"]);
    trial.0.closed(&("a".to_owned(), "tcp"));
    trial.0.closed(&("b".to_owned(), "tcp"));
    assert_eq!(trial.due(at(0)), ["open a tcp 127.0.0.1:6", "open b tcp 127.0.0.1:5"]);
}

#[test]
fn each_transport_stands_for_itself() {
    let mut trial = Trial::new();
    let mut both = listener("a", "127.0.0.1:5", 1);
    both.terms.transport = ListenerTransport::Both;
    trial.take(std::slice::from_ref(&both));
    let acts = trial.0.due(at(0));
    let [Act::Open(tcp, as_tcp), Act::Open(udp, as_udp)] = acts.as_slice() else { panic!("{acts:?}") };
    trial.0.opened(tcp, as_tcp.clone(), opened());
    assert!(trial.0.failed(udp, as_udp, "it is taken".into(), at(0)));
    assert_eq!(trial.state("a", 1), Some((ListenerState::Failed, Some("it is taken".into()))));
    let states: Vec<_> = trial.0.standing("a", 1, |_| None).unwrap().sockets.iter().map(|one| one.state).collect();
    assert_eq!(states, [ListenerState::Open, ListenerState::Failed]);
    let unopened = Unopened {
        called: "a".into(),
        tenant: "default".into(),
        address: "127.0.0.1:5 (udp)".into(),
        why: "it is taken".into(),
    };
    assert_eq!(trial.0.unopened(), [unopened]);
    assert_eq!(trial.0.missing().map(|plan| plan.transport.name()).collect::<Vec<_>>(), ["udp"]);
    // One way is given up.
    both.terms.transport = ListenerTransport::Tcp;
    trial.take(&[Listener { revision: 2, ..both }]);
    trial.do_all(at(0));
    assert_eq!((trial.state("a", 2), trial.0.unopened()), (Some((ListenerState::Open, None)), vec![]));
}

#[test]
fn what_fails_is_tried_again_ever_more_seldom_and_at_once_where_it_is_changed() {
    let mut trial = Trial::new();
    trial.take(&[listener("a", "127.0.0.1:5", 1)]);
    let (mut now, mut pauses) = (at(100), Vec::new());
    for tries in 0..8 {
        assert_eq!(trial.fail("it is taken", now), tries == 0, "it is news once");
        assert_eq!(trial.due(now), Vec::<String>::new());
        let again = trial.0.again().unwrap();
        assert_eq!(trial.due(again - Duration::from_millis(1)), Vec::<String>::new());
        pauses.push((again - now).as_secs());
        now = again;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert!(trial.fail("it is gone", now), "something else is news");
    // The same once more, as the catalog tells it whenever something else has changed.
    trial.take(&[listener("a", "127.0.0.1:5", 1), listener("b", "127.0.0.1:6", 1)]);
    assert_eq!(trial.due(now), ["open b tcp 127.0.0.1:6"]);
    trial.do_all(now);
    trial.take(&[listener("a", "127.0.0.1:7", 2), listener("b", "127.0.0.1:6", 1)]);
    assert_eq!(trial.due(now), ["open a tcp 127.0.0.1:7"]);
    trial.do_all(now);
    assert_eq!((trial.0.again(), trial.state("a", 2)), (None, Some((ListenerState::Open, None))));
    // A change that cannot be made leaves what is open, and says so.
    let mut secured = listener("a", "127.0.0.1:7", 3);
    secured.terms.unknown = odograph_catalog::UnknownDevices::Reject;
    trial.take(&[secured.clone(), listener("b", "127.0.0.1:6", 1)]);
    trial.fail("no open file is left", now);
    assert_eq!(trial.due(now), Vec::<String>::new());
    assert_eq!(trial.state("a", 3), Some((ListenerState::Failed, Some("no open file is left".into()))));
    assert_eq!(trial.0.open(), 2);
    assert_eq!(trial.due(now + FIRST_PAUSE), ["change a tcp"]);
}

#[test]
fn a_listener_of_one_device_goes_by_what_is_decided_about_it() {
    let mut trial = Trial::new();
    trial.take(&[listener("a", "127.0.0.1:5", 1)]);
    trial.do_all(at(0));
    let key = ("a".to_owned(), "tcp");
    trial.0.stands(&key, Holds::Otherwise);
    assert_eq!(trial.due(at(0)), ["change a tcp"]);
    trial.do_all(at(0));
    assert_eq!(trial.due(at(0)), Vec::<String>::new());
    // What could not be changed, and then is as it was, is no trouble.
    trial.0.stands(&key, Holds::Otherwise);
    assert!(trial.fail("no certificate", at(0)));
    trial.0.stands(&key, Holds::Well);
    assert_eq!((trial.0.again(), trial.state("a", 1)), (None, Some((ListenerState::Open, None))));
    trial.0.stands(&key, Holds::Nothing);
    assert_eq!(trial.due(at(0)), ["close a tcp"]);
    trial.0.closed(&key);
    assert!(trial.fail("nobody knows the device", at(0)));
    assert!(trial.0.of_devices().is_empty());
}

#[test]
fn what_cannot_be_read_stays_as_it_is_and_what_cannot_be_right_is_said() {
    let mut trial = Trial::new();
    trial.take(&[listener("a", "127.0.0.1:5", 1), listener("b", "127.0.0.1:6", 1)]);
    trial.do_all(at(0));
    let unreadable = vec![("a".to_owned(), "this version knows nothing of only_on".to_owned())];
    let mut odd = listener("b", "127.0.0.1:6", 2);
    odd.terms.protocol = "of a later version".into();
    trial.take_kept(KeptListeners { listeners: vec![odd], unreadable });
    assert_eq!(trial.due(at(0)), ["close b tcp"]);
    trial.do_all(at(0));
    assert_eq!((trial.0.open(), trial.0.listeners().len()), (1, 2));
    let (state, problem) = trial.state("b", 2).unwrap();
    assert_eq!(state, ListenerState::Failed);
    assert!(problem.unwrap().starts_with("protocol: \"of a later version\" is not a protocol"));
    let whys: Vec<_> = trial.0.unopened().into_iter().map(|one| (one.called, one.why)).collect();
    assert_eq!(whys[1], ("a".to_owned(), "this version knows nothing of only_on: it stays as it is here".to_owned()));
    let count = trial.0.count();
    assert_eq!((count[&ListenerState::Open], count[&ListenerState::Failed]), (1, 1));
}
