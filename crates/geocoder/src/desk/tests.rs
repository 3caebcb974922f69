//! Who waits, who is told what, and when the geocoder is asked.
use super::*;

const EVERY: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn place(tenant: &str, number: u32) -> Question {
    Question::new(tenant, 48.0 + f64::from(number) / 1000.0, 10.0)
}

fn desk() -> Desk<u32> {
    Desk::new(EVERY)
}

fn here(_: &u32) -> bool {
    false
}

fn found(text: &str) -> Result<Address, Failed> {
    Ok(Address { text: text.into(), source: "test".into() })
}

fn failed(left_alone: Option<Duration>) -> Result<Address, Failed> {
    Err(Failed { why: "is broken".into(), left_alone })
}

/// Who was told what.
fn told(said: Vec<(u32, Said)>) -> Vec<(u32, Result<String, Refusal>)> {
    said.into_iter().map(|(who, said)| (who, said.map(|address| address.text.clone()))).collect()
}

fn silent(seconds: u64) -> Refusal {
    Refusal::Silent { retry_after: at(seconds) }
}

#[test]
fn a_place_is_asked_about_once_and_known_for_a_day() {
    let mut desk = desk();
    let place = place("north", 1);
    assert!(desk.ask(place.clone(), 1, at(0)).is_none());
    // Ten metres are no other place.
    let near = Question::new("north", place.latitude() + 0.00004, place.longitude() - 0.00004);
    assert!(desk.ask(near, 2, at(0)).is_none());
    assert_eq!(desk.next(at(0), here), Next::Ask(place.clone()));
    assert!(desk.ask(place.clone(), 3, at(0)).is_none());
    assert_eq!(desk.next(at(5), here), Next::Wait);
    let said = told(desk.answered(&place, found("A"), at(5)));
    assert_eq!(said, [(1, Ok("A".into())), (2, Ok("A".into())), (3, Ok("A".into()))]);
    let said = desk.ask(place.clone(), 4, at(5) + KNOWN_FOR - at(1));
    assert_eq!(told(said.into_iter().collect()), [(4, Ok("A".into()))]);
    assert!(desk.ask(place.clone(), 5, at(5) + KNOWN_FOR).is_none());
    assert_eq!(desk.next(at(5) + KNOWN_FOR, here), Next::Ask(place));
}

#[test]
fn what_one_tenant_asked_is_not_known_to_another() {
    let mut desk = desk();
    assert!(desk.ask(place("north", 1), 1, at(0)).is_none());
    assert_eq!(desk.next(at(0), here), Next::Ask(place("north", 1)));
    desk.answered(&place("north", 1), found("A"), at(0));
    assert!(desk.ask(place("south", 1), 2, at(1)).is_none());
    assert_eq!(desk.next(at(1), here), Next::Ask(place("south", 1)));
}

#[test]
fn it_is_asked_so_often_and_two_at_a_time() {
    let mut desk = desk();
    for number in 0..4 {
        assert!(desk.ask(place("north", number), number, at(10)).is_none());
    }
    assert_eq!(desk.next(at(10), here), Next::Ask(place("north", 0)));
    assert_eq!(desk.next(at(10), here), Next::At(at(11)));
    assert_eq!(desk.next(at(11), here), Next::Ask(place("north", 1)));
    assert_eq!(desk.next(at(20), here), Next::Wait);
    desk.answered(&place("north", 1), found("B"), at(21));
    assert_eq!(desk.next(at(21), here), Next::Ask(place("north", 2)));
}

#[test]
fn who_has_gone_is_not_asked_for() {
    let mut desk = desk();
    for number in 0..3 {
        assert!(desk.ask(place("north", number), number, at(0)).is_none());
    }
    assert!(desk.ask(place("north", 0), 3, at(0)).is_none());
    // The first place has still one who waits.
    let is_gone = |who: &u32| *who != 3 && *who != 2;
    assert_eq!(desk.next(at(0), is_gone), Next::Ask(place("north", 0)));
    assert_eq!(desk.next(at(1), is_gone), Next::Ask(place("north", 2)));
    desk.answered(&place("north", 0), found("A"), at(2));
    assert_eq!(desk.next(at(2), is_gone), Next::Wait);
    assert!(desk.waiting.len() == 1 && desk.queue.is_empty(), "what nobody waits for takes no memory");
}

#[test]
fn a_tenant_leaves_room_for_others_and_they_take_turns() {
    let mut desk = desk();
    let most = u32::try_from(WAITING_OF_TENANT_MAX).unwrap();
    for number in 0..most {
        assert!(desk.ask(place("north", number), number, at(0)).is_none());
    }
    let full = Refusal::Full { retry_after: EVERY * most };
    assert_eq!(desk.ask(place("north", 99), 99, at(0)), Some((99, Err(full))));
    assert!(desk.ask(place("south", 0), 100, at(0)).is_none());
    assert_eq!(desk.next(at(0), here), Next::Ask(place("north", 0)));
    assert_eq!(desk.next(at(1), here), Next::Ask(place("south", 0)));
    desk.answered(&place("south", 0), found("A"), at(1));
    assert_eq!(desk.next(at(2), here), Next::Ask(place("north", 1)));
}

#[test]
fn what_waits_is_bounded() {
    let mut desk = desk();
    let tenants = WAITING_MAX / WAITING_OF_TENANT_MAX;
    for (tenant, number) in (0..tenants).flat_map(|tenant| (0..WAITING_OF_TENANT_MAX).map(move |n| (tenant, n))) {
        let question = place(&tenant.to_string(), u32::try_from(number).unwrap());
        assert!(desk.ask(question, 1, at(0)).is_none());
    }
    let full = Refusal::Full { retry_after: EVERY * u32::try_from(WAITING_MAX).unwrap() };
    assert_eq!(desk.ask(place("one more", 0), 2, at(0)), Some((2, Err(full))));
    for _ in 1..WAITING_FOR_PLACE_MAX {
        assert!(desk.ask(place("0", 0), 3, at(0)).is_none());
    }
    assert_eq!(desk.ask(place("0", 0), 4, at(0)), Some((4, Err(Refusal::Full { retry_after: EVERY }))));
    for number in 0..=KNOWN_MAX {
        let question = place("known", u32::try_from(number).unwrap());
        desk.answered(&question, found("A"), at(0));
    }
    assert_eq!(desk.known.len(), KNOWN_MAX);
}

#[test]
fn after_a_failure_nobody_waits_and_it_is_left_alone_for_longer_each_time() {
    let mut desk = desk();
    for number in 0..3 {
        assert!(desk.ask(place("north", number), number, at(0)).is_none());
    }
    assert_eq!(desk.next(at(0), here), Next::Ask(place("north", 0)));
    let said = told(desk.answered(&place("north", 0), failed(None), at(5)));
    assert_eq!(said, [(0, Err(silent(2))), (1, Err(silent(2))), (2, Err(silent(2)))]);
    assert_eq!(desk.ask(place("north", 0), 5, at(6)), Some((5, Err(silent(1)))));
    assert!(desk.ask(place("north", 0), 6, at(7)).is_none());
    assert_eq!(desk.next(at(7), here), Next::Ask(place("north", 0)));
    assert_eq!(told(desk.answered(&place("north", 0), failed(None), at(8))), [(6, Err(silent(4)))]);
    for _ in 0..40 {
        desk.answered(&place("north", 0), failed(None), at(9));
    }
    assert_eq!(desk.ask(place("north", 1), 7, at(9)), Some((7, Err(Refusal::Silent { retry_after: PAUSE_MAX }))));
    // Once it answers, it is as before.
    desk.answered(&place("north", 0), found("A"), at(100));
    assert!(desk.ask(place("north", 1), 8, at(100)).is_none());
    assert_eq!(desk.next(at(100), here), Next::Ask(place("north", 1)));
    assert_eq!(told(desk.answered(&place("north", 1), failed(None), at(100))), [(8, Err(silent(2)))]);
}

#[test]
fn a_geocoder_that_wants_to_be_left_alone_is() {
    for (wanted, pause) in [(0, 2), (30, 30), (86_400, 600)] {
        let mut desk = desk();
        assert!(desk.ask(place("north", 0), 1, at(0)).is_none());
        assert_eq!(desk.next(at(0), here), Next::Ask(place("north", 0)));
        let said = told(desk.answered(&place("north", 0), failed(Some(at(wanted))), at(0)));
        assert_eq!(said, [(1, Err(silent(pause)))]);
    }
}

#[test]
fn what_is_known_is_told_also_while_the_geocoder_is_silent() {
    let mut desk = desk();
    desk.answered(&place("north", 0), found("A"), at(0));
    desk.answered(&place("north", 1), failed(None), at(1));
    let said = desk.ask(place("north", 0), 1, at(1));
    assert_eq!(told(said.into_iter().collect()), [(1, Ok("A".into()))]);
}
