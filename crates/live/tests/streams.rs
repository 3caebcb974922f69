//! What a subscription promises, one promise a test.

use odograph_live::{
    Area, Batch, Ended, Filter, GroupId, Groups, Live, Mark, Options, Outcome, State, SubscribeError, Subscription,
    Update,
};
use odograph_model::{Key, Record, RecordId, Time, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

const MINUTE_MS: i64 = 60_000;

fn live() -> Live {
    Live::new(7, Options::default())
}

/// Sends a record of a minute, in which the device was at a longitude, at a speed that says which record it is.
fn send(live: &Live, device: &str, minute: i64, longitude: f64) -> Outcome {
    let mut record = Record::at(Time(minute * MINUTE_MS));
    record.set(Key::PositionLatitude, 48.0);
    record.set(Key::PositionLongitude, longitude);
    record.set(Key::PositionSpeed, minute as f64);
    send_record(live, "t", device, &record)
}

fn send_record(live: &Live, tenant: &str, device: &str, record: &Record) -> Outcome {
    let received = record.time.expect("it has a time");
    live.update(&Update { tenant, device, record, received, id: RecordId(received.0 as u64), protocol: "test" })
}

/// What a batch says: `full`, `device minute` for a device, `-device` for one that left.
fn said(batch: &Batch) -> String {
    let full = batch.full.then(|| "full".to_owned());
    let left = batch.left.iter().map(|device| format!("-{device}"));
    let devices = batch.devices.iter().map(|state| {
        let speed = state.values.iter().find(|known| known.key == Key::PositionSpeed);
        match speed.map(|known| known.value.clone()) {
            Some(Value::Float(minute)) => format!("{} {minute}", state.device),
            _ => state.device.to_string(),
        }
    });
    full.into_iter().chain(left).chain(devices).collect::<Vec<_>>().join(", ")
}

/// All that there is to take, in batches.
fn all(subscription: &mut Subscription) -> Vec<String> {
    let take = || subscription.take(Time(0)).expect("it goes on");
    std::iter::from_fn(take).map(|batch| said(&batch)).collect()
}

fn mark(subscription: &mut Subscription) -> Mark {
    let mut mark = None;
    while let Some(batch) = subscription.take(Time(0)).expect("it goes on") {
        mark = batch.mark;
    }
    mark.expect("everything was told")
}

fn area(west: f64, east: f64) -> Option<Area> {
    Some(Area::new(west, 40.0, east, 50.0).expect("a box"))
}

#[test]
fn a_slow_subscriber_gets_the_newest_state_and_no_queue() {
    let live = live();
    let mut slow = live.subscribe(Filter::all("t")).expect("there is room");
    (0..100).for_each(|minute| {
        send(&live, "a", minute, 10.0);
    });
    send(&live, "b", 5, 10.0);
    assert_eq!(all(&mut slow), ["full, a 99, b 5"]);
    (100..200).for_each(|minute| {
        send(&live, "a", minute, 10.0);
    });
    assert_eq!(all(&mut slow), ["a 199"]);
    assert_eq!(all(&mut slow), [""; 0]);
}

#[test]
fn those_that_changed_first_are_told_first_in_bounded_batches() {
    let live = Live::new(7, Options { batch_max: 2, ..Options::default() });
    let mut subscription = live.subscribe(Filter::all("t")).expect("there is room");
    for device in ["a", "b", "c", "d", "e"] {
        send(&live, device, 1, 10.0);
    }
    assert_eq!(all(&mut subscription), ["full, a 1, b 1", "c 1, d 1", "e 1"]);
    for (device, minute) in [("d", 2), ("b", 3), ("d", 4), ("a", 5), ("e", 6), ("b", 7)] {
        send(&live, device, minute, 10.0);
    }
    let first = subscription.take(Time(0)).expect("it goes on").expect("there is something");
    assert_eq!((said(&first).as_str(), first.more), ("d 4, b 7", true));
    let second = subscription.take(Time(0)).expect("it goes on").expect("there is something");
    assert_eq!((said(&second).as_str(), second.more), ("a 5, e 6", false));
}

#[test]
fn somebody_who_does_not_read_costs_no_more_with_time() {
    let live = live();
    let never = live.subscribe(Filter::all("t")).expect("there is room");
    let mut once = live.subscribe(Filter::all("t")).expect("there is room");
    let devices: Vec<String> = (0..3000).map(|device| format!("device {device}")).collect();
    let round = |minute: i64| {
        devices.iter().for_each(|device| {
            send(&live, device, minute, 10.0);
        });
        live.stats().subscriber_bytes
    };
    let new = live.stats().subscriber_bytes;
    assert_eq!(round(0), new, "somebody who has read nothing is told everything when it does");
    while once.take(Time(0)).expect("it goes on").is_some() {}
    let after_one = round(1);
    assert!(after_one - new < devices.len() * 8, "a slot number and some bits for each device: {}", after_one - new);
    assert_eq!((2..10).map(round).max(), Some(after_one));
    for minute in 10..15 {
        round(minute);
        for device in &devices {
            live.forget("t", device);
        }
    }
    assert!(live.stats().subscriber_bytes - after_one < 2 * 1024 * 24, "removed devices are remembered up to a bound");
    let batch = once.take(Time(0)).expect("it goes on").expect("there is something");
    assert_eq!(said(&batch), "full", "there were too many to tell each");
    drop((never, once));
    assert_eq!((live.stats().subscribers, live.stats().subscriber_bytes), (0, 0));
}

#[test]
fn whoever_comes_back_is_told_what_changed() {
    let live = live();
    for (device, longitude) in [("stays", 10.0), ("moves", 10.0), ("leaves", 10.0), ("comes", 20.0), ("away", 20.0)] {
        send(&live, device, 1, longitude);
    }
    let filter = Filter { area: area(5.0, 15.0), ..Filter::all("t") };
    let mut before = live.subscribe(filter.clone()).expect("there is room");
    let mark = mark(&mut before);
    drop(before);
    for (device, longitude) in [("moves", 11.0), ("leaves", 20.0), ("comes", 10.0)] {
        send(&live, device, 2, longitude);
    }
    live.forget("t", "away");
    let mut after = live.resume(filter.clone(), mark).expect("there is room");
    assert_eq!(all(&mut after), ["-away, -leaves, moves 2, comes 2"]);

    let everything = "full, stays 1, moves 2, comes 2";
    let begins_anew = |filter: &Filter, mark: Mark| all(&mut live.resume(filter.clone(), mark).expect("there is room"));
    let text = mark.to_string();
    let (epoch, rest) = text.split_once('-').expect("a mark has parts");
    let parse = |text: String| text.parse::<Mark>().expect("a mark");
    assert_eq!(begins_anew(&filter, parse(format!("{epoch}1-{rest}"))), [everything], "another run");
    let wider = Filter { area: area(5.0, 16.0), ..filter.clone() };
    assert_eq!(begins_anew(&wider, mark), [everything], "another filter");
    assert_eq!(begins_anew(&filter, parse(format!("{text}00"))), [everything], "a revision that there was not");
    let regrouped = (0..4096).map(|group| GroupId(group + 1));
    for group in regrouped {
        live.describe("t", "stays", group);
    }
    assert_eq!(begins_anew(&filter, mark), [everything], "too much happened since");
    live.forget_tenant("t");
    send(&live, "new", 1, 10.0);
    assert_eq!(begins_anew(&filter, mark), ["full, new 1"], "the tenant is not the one that it was");
}

#[test]
fn whoever_would_be_told_too_much_begins_anew() {
    let live = live();
    let devices: Vec<String> = (0..2500).map(|device| device.to_string()).collect();
    let send_all = |minute: i64, longitude| {
        for device in &devices {
            send(&live, device, minute, longitude);
        }
    };
    send_all(1, 20.0);
    send(&live, "here", 1, 10.0);
    let filter = Filter { area: area(5.0, 15.0), ..Filter::all("t") };
    let mut before = live.subscribe(filter.clone()).expect("there is room");
    let mark = mark(&mut before);
    send_all(2, 21.0);
    let mut after = live.resume(filter, mark).expect("there is room");
    let told = all(&mut after);
    assert_eq!(told.last().map(String::as_str), Some("full, here 1"));
}

#[test]
fn a_box_tells_who_comes_and_who_leaves() {
    let live = live();
    let filter = Filter { area: area(5.0, 15.0), ..Filter::all("t") };
    let mut subscription = live.subscribe(filter.clone()).expect("there is room");
    send(&live, "a", 1, 20.0);
    send_record(&live, "t", "nowhere", &Record::at(Time(0)));
    assert_eq!(all(&mut subscription), ["full"]);
    send(&live, "a", 2, 10.0);
    assert_eq!(all(&mut subscription), ["a 2"]);
    send(&live, "a", 3, 20.0);
    assert_eq!(all(&mut subscription), ["-a"]);
    send(&live, "a", 4, 21.0);
    assert_eq!(all(&mut subscription), [""; 0]);
    subscription.look_at(Filter { area: area(19.0, 22.0), ..filter.clone() }).expect("it is short");
    assert_eq!(all(&mut subscription), ["a 4"]);
    subscription.look_at(filter).expect("it is short");
    assert_eq!(all(&mut subscription), ["-a"]);
}

#[test]
fn nobody_hears_of_devices_of_other_groups_or_tenants() {
    let live = live();
    let filter = Filter { permitted: Groups::only([GroupId(1)]), ..Filter::all("t") };
    let mut subscription = live.subscribe(filter.clone()).expect("there is room");
    assert_eq!(all(&mut subscription), ["full"]);
    send(&live, "a", 1, 10.0);
    let mut record = Record::at(Time(0));
    record.set(Key::PositionSpeed, 1.0);
    send_record(&live, "other", "a", &record);
    assert_eq!(all(&mut subscription), [""; 0], "a device is in no group until somebody says so");
    live.describe("t", "a", GroupId(1));
    assert_eq!(all(&mut subscription), ["a 1"]);
    let device = |live: &Live| live.device("t", "a", &Groups::only([GroupId(1)]), Time(0)).is_some();
    let counted =
        |live: &Live| (live.counts(&filter, Time(0)).total(), live.view(&filter, 3, Time(0)).crowds.counts.total());
    assert!(device(&live));
    assert_eq!(counted(&live), (1, 1));
    let mark = mark_now(&live, &filter);
    live.describe("t", "a", GroupId(2));
    send(&live, "a", 2, 11.0);
    assert_eq!(all(&mut subscription), ["-a"]);
    assert!(!device(&live));
    assert_eq!(counted(&live), (0, 0));
    assert_eq!(all(&mut live.resume(filter.clone(), mark).expect("there is room")), ["-a"]);
    let mark = mark_now(&live, &filter);
    send(&live, "a", 3, 12.0);
    live.forget("t", "a");
    assert_eq!(all(&mut subscription), [""; 0]);
    assert_eq!(all(&mut live.resume(filter.clone(), mark).expect("there is room")), [""; 0]);
    assert_eq!(live.device("nobody", "a", &Groups::All, Time(0)), None);
}

fn mark_now(live: &Live, filter: &Filter) -> Mark {
    mark(&mut live.subscribe(filter.clone()).expect("there is room"))
}

#[test]
fn parameters_decide_what_is_told_and_when() {
    let live = live();
    let filter = Filter { parameters: Some([Key::TemperatureN(1)].into()), markers: false, ..Filter::all("t") };
    let mut subscription = live.subscribe(filter.clone()).expect("there is room");
    let mut map = live.subscribe(Filter { markers: true, ..filter }).expect("there is room");
    let take = |subscription: &mut Subscription| {
        let batch = subscription.take(Time(0)).expect("it goes on")?;
        let values = batch.devices.iter().flat_map(|state| &state.values);
        Some(
            values
                .map(|known| format!("{} {:?} {}", known.key, known.value, known.time.0))
                .collect::<Vec<_>>()
                .join(", "),
        )
    };
    let mut record = Record::at(Time(1));
    record.set(Key::TemperatureN(1), -18.5);
    record.set(Key::PositionSpeed, 1.0);
    send_record(&live, "t", "a", &record);
    let told = Some("temperature.1 Float(-18.5) 1".to_owned());
    assert_eq!((take(&mut subscription), take(&mut map)), (told.clone(), told.clone()));
    send(&live, "a", 1, 10.0);
    assert_eq!((take(&mut subscription), take(&mut map)), (None, told), "its place is news for the map alone");
    let mut record = Record::at(Time(100 * MINUTE_MS));
    record.set(Key::TemperatureN(1), -18.5);
    send_record(&live, "t", "a", &record);
    assert_eq!(take(&mut subscription), Some("temperature.1 Float(-18.5) 6000000".to_owned()), "its age is new");
}

#[test]
fn bounds_hold_and_are_told() {
    let options = Options { subscribers_max: 3, tenant_subscribers_max: 2, devices_max: 2, ..Options::default() };
    let live = Live::new(7, options);
    let subscribe = |tenant: &str| live.subscribe(Filter::all(tenant)).map(|_| ()).map_err(|error| error.to_string());
    let held: Vec<_> =
        ["a", "a", "b"].iter().map(|tenant| live.subscribe(Filter::all(*tenant)).expect("room")).collect();
    let too_many =
        |max| Err(format!("{max} live streams are open, and more are not served: close some, or try again later"));
    assert_eq!(subscribe("c"), too_many(3));
    drop(held.into_iter().next_back());
    let held: Vec<_> = ["a", "a"].iter().map(|tenant| live.subscribe(Filter::all(*tenant)).expect("room")).collect();
    assert_eq!((subscribe("a"), subscribe("b")), (too_many(2), Ok(())));
    drop(held);
    assert_eq!((subscribe("a"), live.stats().subscribers), (Ok(()), 0));

    let names = |count: usize| Filter {
        devices: Some((0..count).map(|name| name.to_string().into()).collect()),
        ..Filter::all("a")
    };
    assert!(live.subscribe(names(10_000)).is_ok());
    let too_long = live.subscribe(names(10_001)).err();
    assert_eq!(too_long, Some(SubscribeError::TooLong { names: 10_001, max: 10_000 }));
    let mut subscription = live.subscribe(names(1)).expect("room");
    assert_eq!(subscription.look_at(names(10_001)).err(), too_long);

    let sent = ["1", "2", "3", "2"].map(|device| send(&live, device, 1, 10.0));
    assert_eq!(sent, [Outcome::Changed, Outcome::Changed, Outcome::Refused, Outcome::Known]);
    assert_eq!(live.describe("t", "3", GroupId(1)), Outcome::Refused);
    live.forget("t", "1");
    assert_eq!(send(&live, "3", 1, 10.0), Outcome::Changed);
    let stats = live.stats();
    assert_eq!((stats.devices, stats.updates, stats.unchanged, stats.refused), (2, 5, 1, 2));
}

#[test]
fn without_memory_known_devices_keep_their_parameters_and_get_no_more() {
    let live = Live::new(7, Options { bytes_max: 1, ..Options::default() });
    send(&live, "a", 1, 10.0);
    assert_eq!(send(&live, "b", 1, 10.0), Outcome::Refused);
    let mut record = Record::at(Time(2 * MINUTE_MS));
    record.set(Key::PositionSpeed, 2.0);
    record.set(Key::TemperatureN(1), 2.0);
    send_record(&live, "t", "a", &record);
    let state = live.device("t", "a", &Groups::All, Time(0)).expect("it is known");
    let values: Vec<_> = state.values.iter().map(|known| (known.key, known.time.0 / MINUTE_MS)).collect();
    assert_eq!(values, [(Key::PositionLatitude, 1), (Key::PositionLongitude, 1), (Key::PositionSpeed, 2)]);
    assert_eq!((state.time, live.stats().cut), (Some(Time(2 * MINUTE_MS)), 1));
}

#[test]
fn a_removed_device_gives_its_memory_back() {
    let live = live();
    send(&live, "a", 1, 10.0);
    live.describe("t", "b", GroupId(1));
    send(&live, "b", 1, 10.0);
    assert!(live.forget("t", "a") && !live.forget("t", "a") && live.forget("t", "b"));
    assert_eq!((live.stats().devices, live.stats().bytes), (0, 0));
    send(&live, "a", 1, 10.0);
    assert!(live.forget_tenant("t") && !live.forget_tenant("t"));
    assert_eq!((live.stats().devices, live.stats().bytes, live.stats().tenants), (0, 0, 0));
}

/// Counts how often somebody was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn who_waits_is_woken_once_and_only_for_what_it_watches() {
    let live = live();
    let filter = Filter { area: area(5.0, 15.0), ..Filter::all("t") };
    let mut subscription = live.subscribe(filter).expect("there is room");
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let poll = |subscription: &mut Subscription| subscription.poll_ready(&mut Context::from_waker(&waker));
    assert_eq!(poll(&mut subscription), Poll::Ready(()), "there is the first batch");
    assert_eq!(all(&mut subscription), ["full"]);
    assert_eq!(poll(&mut subscription), Poll::Pending);
    send(&live, "a", 1, 20.0);
    assert_eq!(woken.0.load(SeqCst), 0);
    (2..10).for_each(|minute| {
        send(&live, "a", minute, 10.0);
    });
    assert_eq!(woken.0.load(SeqCst), 1);
    assert_eq!(poll(&mut subscription), Poll::Ready(()));
    assert_eq!(all(&mut subscription), ["a 9"]);
    assert_eq!(poll(&mut subscription), Poll::Pending);
    live.close();
    assert_eq!((woken.0.load(SeqCst), poll(&mut subscription)), (2, Poll::Ready(())));
    assert_eq!(subscription.take(Time(0)), Err(Ended));
    assert_eq!(live.subscribe(Filter::all("t")).err(), Some(SubscribeError::Stopping));
}

#[test]
fn waiting_ends_with_a_batch_or_with_the_tenant() {
    let live = live();
    let mut subscription = live.subscribe(Filter::all("t")).expect("there is room");
    let poll = |subscription: &mut Subscription| {
        let next = std::pin::pin!(subscription.next(|| Time(0)));
        next.poll(&mut Context::from_waker(Waker::noop())).map(|batch| batch.map(|batch| said(&batch)))
    };
    assert_eq!(poll(&mut subscription), Poll::Ready(Ok("full".to_owned())));
    assert_eq!(poll(&mut subscription), Poll::Pending);
    send(&live, "a", 1, 10.0);
    assert_eq!(poll(&mut subscription), Poll::Ready(Ok("a 1".to_owned())), "giving up waiting lost nothing");
    live.forget_tenant("t");
    assert_eq!(poll(&mut subscription), Poll::Ready(Err(Ended)));
}

#[test]
fn a_map_is_told_clusters_and_those_that_stand_alone() {
    let live = Live::new(7, Options { singles_max: 1, ..Options::default() });
    for device in ["a", "b", "c"] {
        send(&live, device, 0, 10.0);
    }
    send(&live, "d", 0, 50.0);
    let map = |zoom| Filter { zoom: Some(zoom), ..Filter::all("t") };
    let mut subscription = live.subscribe(map(3)).expect("there is room");
    let mut take = |now: i64| {
        let batch = subscription.take(Time(now)).expect("it goes on")?;
        let clusters = batch
            .view
            .as_ref()
            .map(|view| view.clusters.iter().map(|cluster| (cluster.count, cluster.worst)).collect::<Vec<_>>());
        assert_eq!(batch.mark, None, "nobody knows later what stood alone now");
        Some((said(&batch), clusters))
    };
    let expect = |said: &str, clusters: &[(u32, State)]| Some((said.to_owned(), Some(clusters.to_vec())));
    assert_eq!(take(0), expect("full, d 0", &[(3, State::Stopped)]));
    assert_eq!(take(29_999), None);
    assert_eq!(take(66 * MINUTE_MS), expect("", &[(3, State::NoSignal)]), "nothing came, and that is news");
    send(&live, "d", 66, 10.0);
    assert_eq!(take(66 * MINUTE_MS), expect("-d", &[(4, State::NoSignal)]));
    send(&live, "a", 67, 50.0);
    assert_eq!(take(67 * MINUTE_MS), expect("a 67", &[(3, State::NoSignal)]));
    subscription.look_at(Filter { area: area(45.0, 55.0), ..map(3) }).expect("it is short");
    let mut take = |now: i64| subscription.take(Time(now)).expect("it goes on").map(|batch| said(&batch));
    assert_eq!(take(67 * MINUTE_MS), Some(String::new()), "a is there as before");
    live.forget("t", "a");
    assert_eq!(take(67 * MINUTE_MS), Some("-a".to_owned()));
}

#[test]
fn a_map_of_some_states_has_the_devices_that_are_in_them_now() {
    let live = Live::new(7, Options { singles_max: 1, ..Options::default() });
    // At 4 km/h a device moves, and its speed is the minute.
    for (device, minute) in [("a", 0), ("b", 0), ("c", 0), ("d", 10), ("e", 10), ("f", 10)] {
        send(&live, device, minute, 10.0);
    }
    let map = |state: State| Filter { zoom: Some(3), states: Some([state].into()), ..Filter::all("t") };
    let now = |minute: i64| Time(minute * MINUTE_MS);
    let counted = |state: State| {
        let crowds = live.view(&map(state), 3, now(10)).crowds;
        let clusters: Vec<_> = crowds.clusters.iter().map(|cluster| (cluster.count, cluster.worst)).collect();
        (clusters, crowds.counts.total(), live.counts(&map(state), now(10)).total())
    };
    assert_eq!(counted(State::Moving), (vec![(3, State::Moving)], 3, 3));
    assert_eq!(counted(State::Stopped), (vec![(3, State::Stopped)], 3, 3));
    assert_eq!(counted(State::Alarm), (vec![], 0, 0));

    let mut subscription = live.subscribe(map(State::NoSignal)).expect("there is room");
    let mut take = |minute: i64| {
        let batch = subscription.take(now(minute)).expect("it goes on")?;
        let in_clusters =
            batch.view.as_ref().map(|view| view.clusters.iter().map(|cluster| cluster.count).sum::<u32>());
        Some((said(&batch), in_clusters))
    };
    assert_eq!(take(10), Some(("full".to_owned(), Some(0))));
    assert_eq!(take(66), Some((String::new(), Some(3))), "nothing came from three of them");
    send(&live, "a", 66, 10.0);
    send(&live, "b", 66, 10.0);
    assert_eq!(take(66), Some(("c 0".to_owned(), Some(0))), "the one that is left stands alone");
    send(&live, "c", 67, 10.0);
    assert_eq!(take(67), Some(("-c".to_owned(), Some(0))));
}

#[test]
fn readers_and_the_pipeline_work_at_the_same_time() {
    let live = Live::new(7, Options { batch_max: 10, ..Options::default() });
    let devices: Vec<String> = (0..40).map(|device| device.to_string()).collect();
    let rounds = 300;
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|reader| {
                let zoom = (reader == 2).then_some(3);
                let mut subscription = live.subscribe(Filter { zoom, ..Filter::all("t") }).expect("there is room");
                scope.spawn(move || {
                    let mut known = std::collections::BTreeMap::new();
                    while let Ok(batch) = block_on(subscription.next(|| Time(0))) {
                        if batch.full {
                            known.clear();
                        }
                        for device in &batch.left {
                            known.remove(device.as_str());
                        }
                        let minute = |state: &odograph_live::DeviceState| state.time.map(|time| time.0 / MINUTE_MS);
                        known.extend(batch.devices.iter().map(|state| (state.device.to_string(), minute(state))));
                        if known.len() == 40 && known.values().all(|minute| *minute == Some(rounds - 1)) {
                            return true;
                        }
                    }
                    false
                })
            })
            .collect();
        for minute in 0..rounds {
            devices.iter().for_each(|device| {
                send(&live, device, minute, 10.0);
            });
        }
        for reader in readers {
            assert!(reader.join().expect("it reads on"), "every reader knows the last state of all devices");
        }
    });
    live.close();
}

/// Waits on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Thread(std::thread::Thread);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
