use std::time::Duration;

use super::*;
use crate::domain::business::{BusinessEvent, sample};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_000_000);

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn business(state: BusinessState) -> Business {
    Business { state, ..sample::business(NOW) }
}

const BUSY: BusinessState = BusinessState::Busy { extra_minutes: 10 };

fn pause(cause: PauseCause) -> Pause {
    Pause { cause, since: NOW, until: None }
}

#[test]
fn a_pause_leaves_the_state_as_it_is_and_a_closed_business_opens_with_it() {
    let until = Some(later(600));
    for (before, after) in [
        (BusinessState::Open, TradingWord::Open),
        (BUSY, TradingWord::Busy),
        (BusinessState::Closed, TradingWord::Open),
    ] {
        let mut business = business(before);
        business.trade(TradingChange::Paused { until }, Hand::Member, NOW);
        assert_eq!((business.trading(NOW), business.paused_until(NOW)), (TradingWord::Paused, until));
        assert_eq!((business.trading(later(600)), business.paused_until(later(600))), (after, None));
    }
}

#[test]
fn an_operators_pause_leaves_a_closed_business_closed() {
    for until in [Some(later(600)), None] {
        let mut business = business(BusinessState::Closed);
        business.trade(TradingChange::Paused { until }, Hand::Operator, NOW);
        assert!(business.holding_pauses(NOW).any(|pause| pause.cause == PauseCause::Operator));
        business.end_pause(PauseCause::Operator, NOW);
        assert_eq!((business.state, business.trading(NOW)), (BusinessState::Closed, TradingWord::Closed));
    }
}

#[test]
fn each_cause_ends_alone_and_by_whom_it_may() {
    for ended in PauseCause::ALL {
        let mut business = business(BusinessState::Open);
        business.pauses = crate::domain::business::Pauses::new(PauseCause::ALL.map(pause));
        business.alerts.unanswered = vec![crate::domain::ids::UserId::generate()];
        business.end_pause(ended, NOW);
        let left: Vec<_> = business.holding_pauses(NOW).map(|pause| pause.cause).collect();
        let others: Vec<_> = PauseCause::ALL.into_iter().filter(|cause| *cause != ended).collect();
        assert_eq!(left, others);
        assert_eq!(business.alerts.unanswered.is_empty(), ended == PauseCause::Unanswered);
        assert_eq!(Hand::Member.ends(ended), ended != PauseCause::Operator);
        assert!(Hand::Operator.ends(ended));
    }
}

#[test]
fn a_state_ends_the_pauses_of_the_hand_that_says_it() {
    for (hand, left) in [
        (Hand::Member, vec![PauseCause::Unreachable, PauseCause::Unanswered, PauseCause::Operator]),
        (Hand::Operator, vec![PauseCause::Unreachable, PauseCause::Unanswered]),
    ] {
        let mut business = business(BUSY);
        business.pauses = crate::domain::business::Pauses::new(PauseCause::ALL.map(pause));
        business.trade(TradingChange::Open, hand, NOW);
        assert_eq!(business.state, BusinessState::Open);
        assert_eq!(business.holding_pauses(NOW).map(|pause| pause.cause).collect::<Vec<_>>(), left);
    }
}

#[test]
fn a_pause_that_an_older_release_stored_as_a_state_is_one_by_hand() {
    let until = later(600);
    let mut business = business(BusinessState::Paused { until });
    let event = BusinessEvent::of(&business, NOW);
    assert_eq!((business.trading(NOW), business.paused_until(NOW)), (TradingWord::Paused, Some(until)));
    assert_eq!((event.state.as_str(), event.pauses[0].cause.as_str()), ("open", "manual"));
    business.end_pause(PauseCause::Unanswered, NOW);
    assert_eq!(business.trading(NOW), TradingWord::Paused, "another cause has ended");
    assert!(event.says_the_same(&BusinessEvent { version: 2, ..BusinessEvent::of(&business, NOW) }));
    business.end_pause(PauseCause::Manual, NOW);
    assert_eq!((business.trading(NOW), business.state), (TradingWord::Open, BusinessState::Open));
}

#[test]
fn a_pause_without_an_end_hides_the_end_of_others() {
    let mut business = business(BUSY);
    business.trade(TradingChange::Paused { until: Some(later(600)) }, Hand::Member, NOW);
    business.trade(TradingChange::Paused { until: None }, Hand::Operator, NOW);
    assert_eq!((business.trading(later(700)), business.paused_until(NOW)), (TradingWord::Paused, None));
    assert_eq!(business.extra_minutes(NOW), None, "it is not what it shows");
    business.end_pause(PauseCause::Operator, later(700));
    assert_eq!(business.extra_minutes(later(700)), Some(10));
}
