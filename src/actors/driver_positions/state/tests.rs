use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);

fn ms(millis: u64) -> Timestamp {
    START.plus(Duration::from_millis(millis))
}

fn at(seconds: u64) -> Timestamp {
    ms(1_000 * seconds)
}

fn user(n: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(n))
}

fn place(n: u32) -> Location {
    Location { lat: f64::from(n) / 1_000.0, lng: 0.0 }
}

fn carried() -> Carried {
    Carried {
        delivery: DeliveryId::generate(),
        order: OrderId::generate(),
        business: BusinessId::generate(),
        is_under_way: true,
    }
}

/// A state that knows driver 1.
fn known() -> PositionState {
    let mut state = PositionState::default();
    assert_eq!(state.alive(user(1), START), Heard::Unknown);
    assert_eq!(state.due_reads(10, 10, START), [user(1)]);
    assert_eq!(state.learned(user(1), Some(Known::default()), None, START), None);
    state
}

/// The positions that were passed on.
fn passed(heard: Heard) -> Option<Position> {
    match heard {
        Heard::Pass(pass) => Some(pass.position),
        Heard::Noted | Heard::Unknown | Heard::Full => None,
    }
}

#[test]
fn of_several_positions_a_second_the_latest_is_passed_on() {
    let mut state = known();
    let mut seen = Vec::new();
    for tenth in 0..30 {
        let now = ms(100 * tenth);
        seen.extend(passed(state.moved(user(1), place(tenth as u32), None, now)).map(|p| p.location));
    }
    assert_eq!(seen, [place(0), place(10), place(20)]);
    let left = state.tick(ms(2_950));
    assert_eq!(left, [], "a second has not gone by");
    let left: Vec<_> = state.tick(at(3)).into_iter().map(|pass| pass.position.location).collect();
    assert_eq!(left, [place(29)], "the last one is not lost");
    assert_eq!(state.tick(at(5)), [], "it is told once");
}

#[test]
fn a_position_that_is_old_or_not_newer_changes_nothing() {
    let mut state = known();
    let now = at(1_000);
    let said = |age| Some(now.minus(Duration::from_secs(age)));
    assert_eq!(state.moved(user(1), place(1), said(61), now), Heard::Noted);
    assert!(passed(state.moved(user(1), place(2), said(60), now)).is_some());
    for age in [60, 61, 90] {
        assert_eq!(state.moved(user(1), place(3), said(age), at(1_010)), Heard::Noted);
    }
    assert_eq!(state.tick(at(1_010)), []);
    let stored = state.take_unstored(10);
    assert_eq!(
        stored[0].position.map(|position| (position.location, position.at)),
        Some((place(2), at(940)))
    );
    assert_eq!(stored[0].alive_at, at(1_010), "it was a sign of life all the same");
}

#[test]
fn a_device_whose_clock_is_wrong_is_where_it_says_at_the_time_of_the_hub() {
    let day = Duration::from_secs(86_400);
    let wrong_by_a_day: [fn(Timestamp) -> Timestamp; 2] =
        [|now| now.plus(Duration::from_secs(86_400)), |now| now.minus(Duration::from_secs(86_400))];
    for wrong in wrong_by_a_day {
        let mut state = known();
        for second in [0, 5, 10] {
            let now = at(second).plus(day);
            let position = passed(state.moved(user(1), place(second as u32), Some(wrong(now)), now));
            assert_eq!(position, Some(Position { location: place(second as u32), at: now }));
        }
    }
}

#[test]
fn a_clock_that_is_slow_by_minutes_is_told_from_positions_that_waited() {
    let mut slow = known();
    let lag = Duration::from_secs(300);
    let taken: Vec<_> = (0..20)
        .filter(|second| {
            let now = at(1_000 + second);
            passed(slow.moved(user(1), place(*second as u32), Some(now.minus(lag)), now)).is_some()
        })
        .collect();
    assert_eq!(taken.first(), Some(&10), "once it has lagged by the same time for ten seconds");
    let mut queued = known();
    for second in 0..60 {
        // A phone that was offline sends what it kept, all at once, and then goes on.
        let heard = queued.moved(user(1), place(second), Some(at(600 + u64::from(second))), at(1_000));
        assert_eq!(heard, Heard::Noted);
    }
    assert!(passed(queued.moved(user(1), place(99), Some(at(1_001)), at(1_001))).is_some());
}

#[test]
fn a_position_waits_until_it_is_known_who_may_see_it() {
    let mut state = PositionState::default();
    assert_eq!(state.moved(user(1), place(1), None, START), Heard::Unknown);
    assert_eq!(state.tick(at(1)), []);
    assert_eq!(state.take_unstored(10), [], "nor is anything stored of who may be no driver");
    assert_eq!(state.due_reads(10, 10, at(1)), [user(1)]);
    assert_eq!(state.due_reads(10, 10, at(1)), [], "it is being read");
    let carried = vec![carried()];
    let known = Known { zones: vec!["centre".to_owned()], carried };
    let pass = state.learned(user(1), Some(known.clone()), None, at(1)).expect("it is passed on");
    assert_eq!((pass.position.location, &*pass.known), (place(1), &known));
    assert_eq!(state.take_unstored(10).len(), 1);
    assert_eq!(state.learned(user(1), None, None, at(2)), None);
    assert_eq!(state.moved(user(1), place(2), None, at(3)), Heard::Unknown, "no driver any more");
}

#[test]
fn whoever_gets_to_see_a_driver_sees_the_last_position_at_once() {
    let mut state = known();
    state.moved(user(1), place(1), None, at(1));
    assert!(state.changed(user(1)));
    assert_eq!(state.due_reads(10, 10, at(2)), [user(1)]);
    let known = Known { zones: Vec::new(), carried: vec![carried()] };
    let pass = state.learned(user(1), Some(known.clone()), None, at(2)).expect("it is passed on");
    assert_eq!(pass.position.location, place(1));
    assert_eq!(state.learned(user(1), Some(known), None, at(4)), None, "nothing has changed");
}

#[test]
fn what_could_not_be_stored_is_stored_next_time() {
    let mut state = known();
    state.moved(user(1), place(1), None, at(1));
    let seen = state.take_unstored(10);
    assert_eq!((seen.len(), state.take_unstored(10).len()), (1, 0));
    state.not_stored(&seen);
    assert_eq!(state.take_unstored(10), seen);
    state.alive(user(1), at(2));
    let life = state.take_of(user(1)).expect("a sign of life");
    assert_eq!((life.alive_at, life.position), (at(2), seen[0].position), "should its row have been locked");
    assert_eq!((state.take_unstored(10), state.take_of(user(2))), (Vec::new(), None));
}

#[test]
fn a_full_node_takes_no_more_drivers_and_forgets_the_silent_ones() {
    let mut state = PositionState::default();
    for n in 0..MAX_DRIVERS as u128 {
        assert_eq!(state.alive(user(n), START), Heard::Unknown);
        state.learned(user(n), Some(Known::default()), None, START);
    }
    let one_more = user(MAX_DRIVERS as u128);
    assert_eq!(state.alive(one_more, START), Heard::Full);
    assert_eq!(state.moved(one_more, place(1), None, START), Heard::Full);
    assert_eq!(state.take_unstored(usize::MAX).len(), MAX_DRIVERS);
    state.tick(START.plus(FORGET_AFTER));
    assert_eq!(state.alive(one_more, START.plus(FORGET_AFTER)), Heard::Unknown);
}

proptest! {
    #[test]
    fn positions_passed_on_are_a_second_apart_and_never_go_back(
        moves in vec((0..1_500_u64, 0..90_u64, any::<bool>()), 1..60),
    ) {
        let mut state = known();
        let mut now = at(10_000);
        let mut passes: Vec<(Timestamp, Position)> = Vec::new();
        for (n, (pause, age, ticks)) in moves.into_iter().enumerate() {
            now = now.plus(Duration::from_millis(pause));
            let said = Some(now.minus(Duration::from_secs(age)));
            let heard = state.moved(user(1), place(n as u32), said, now);
            passes.extend(passed(heard).map(|position| (now, position)));
            if ticks {
                passes.extend(state.tick(now).into_iter().map(|pass| (now, pass.position)));
            }
        }
        for pair in passes.windows(2) {
            prop_assert!(pair[1].0.since(pair[0].0) >= PASS_EVERY);
            prop_assert!(pair[1].1.at > pair[0].1.at);
        }
        for (passed_at, position) in passes {
            prop_assert!(passed_at.since(position.at) <= MAX_AGE + Duration::from_millis(1_500 * 60));
        }
    }
}

#[test]
fn those_of_whom_something_changed_are_read_before_those_of_whom_only_nothing_was_heard() {
    let mut state = PositionState::default();
    for n in 0..10 {
        state.alive(user(n), START);
    }
    assert_eq!(state.due_reads(100, 2, START).len(), 10, "nothing is known of them");
    let later = START.plus(KNOWN_FOR);
    for n in 0..4 {
        state.changed(user(n));
    }
    assert_eq!(state.due_reads(100, 2, later).len(), 6, "four, and two that are old");
    assert_eq!(state.due_reads(100, 2, later).len(), 2);
    assert_eq!(state.due_reads(1, 2, later).len(), 1);
}
