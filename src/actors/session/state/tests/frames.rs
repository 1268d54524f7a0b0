//! The frames of a client.

use super::*;
use crate::actors::session::frames::MAX_MARKS;
use crate::domain::private::Private;
use crate::storage::commands::{MarkKind, ScopedAck};

#[test]
fn a_new_token_of_the_same_user_keeps_the_socket_and_anothers_does_not_count() {
    let mut f = Fixture::joined();
    let own = f.state.principal;
    let stranger = Principal { user: UserId::generate(), ..own };
    assert_eq!(
        f.send(r#"{"type":"refresh","token":"t"}"#),
        Some(SessionEffect::CheckToken(Private("t".to_owned())))
    );
    f.state.token_checked(Some((stranger, WALL.plus(Duration::from_secs(9999)))), WALL, f.now);
    assert!(f.written().join("").contains("token_refused"));
    f.state.token_checked(Some((own, WALL.plus(Duration::from_secs(7200)))), WALL, f.now);
    assert!(f.written().join("").contains(r#""type":"refreshed""#));
    f.state.on_received(f.after(4000));
    f.state.tick(f.after(4000), &f.limits);
    assert_eq!(f.state.closing, None);
}

#[test]
fn three_bad_frames_in_a_row_close_and_a_good_one_between_forgives() {
    let mut f = Fixture::joined();
    for frame in ["nonsense", "{}", r#"{"type":"ping"}"#, "nonsense", r#"{"type":"dance"}"#] {
        f.send(frame);
    }
    assert_eq!(f.state.closing, None);
    f.written();
    f.send(r#"{"type":"ping"}"#);
    for frame in ["nonsense", "{}", "[1]"] {
        f.send(frame);
    }
    assert_eq!(f.state.closing, Some(CloseReason::BadFrames));
    let frames = f.written().join(" ");
    assert_eq!((frames.matches("alive").count(), frames.matches("bad_frame").count()), (1, 3), "{frames}");
}

#[test]
fn an_ack_is_stored_with_its_device_and_refused_beyond_what_was_sent() {
    let mut f = Fixture::joined();
    f.deliver(11);
    f.written();
    assert_eq!(f.send(r#"{"type":"ack","room":"ROOM","cursor":"00000007.12"}"#), None);
    assert!(f.written().join("").contains("ack_refused"));
    let Some(SessionEffect::Ack(ScopedAck { ack, .. }, rings)) =
        f.send(r#"{"type":"ack","room":"ROOM","cursor":"00000007.11"}"#)
    else {
        panic!("it is stored")
    };
    assert_eq!((ack.device.as_str(), ack.cursor, rings.len()), ("till-1", at(11), 1));
    assert_eq!(f.send(r#"{"type":"ack","room":"ROOM","cursor":"00000007.11"}"#), None, "nothing new");
}

#[test]
fn a_socket_belongs_to_the_device_that_named_itself_first() {
    let mut f = Fixture::joined();
    f.send(r#"{"type":"device","id":"till-9","can_ring":true}"#);
    f.send(r#"{"type":"device","id":"till-9","can_ring":false}"#);
    assert_eq!(f.written().join("").matches("alive").count(), 2);
    f.send(r#"{"type":"device","id":"till-10","can_ring":true}"#);
    f.send(r#"{"type":"device","id":"","can_ring":true}"#);
    assert_eq!(f.written().join("").matches("bad_device").count(), 2);
    assert_eq!(f.state.device(), "till-9");
}

#[test]
fn a_clients_own_close_code_goes_back_to_it() {
    for (code, expected) in [(Some(1000u16), 1000u16), (Some(4321), 4321), (None, 1000)] {
        let mut f = Fixture::joined();
        f.state.client_closed(code);
        assert_eq!(f.state.closing, Some(CloseReason::ClientGone));
        let mut slices = [std::io::IoSlice::new(&[]); crate::actors::session::outbox::FRAMES_A_WRITE];
        f.state.outbox.slices(&mut slices);
        assert_eq!(slices[0][2..4], expected.to_be_bytes());
    }
}

#[test]
fn marks_name_an_event_that_was_sent_and_only_so_many_are_on_their_way() {
    let mut f = Fixture::joined();
    f.deliver(11);
    assert_eq!(f.send(r#"{"type":"shown","room":"ROOM","cursor":"00000007.12"}"#), None);
    let acted = |seq: u64| format!(r#"{{"type":"acted","room":"ROOM","cursor":"{}"}}"#, at(seq));
    for seq in 11..11 + u64::from(MAX_MARKS) {
        f.deliver(seq + 1);
        assert!(matches!(f.send(&acted(seq)), Some(SessionEffect::Mark(_))));
    }
    let shown = r#"{"type":"shown","room":"ROOM","cursor":"00000007.11"}"#;
    assert_eq!(f.send(shown), None);
    f.state.mark_stored((f.room, at(11), MarkKind::Acted), Ok(()));
    assert!(f.send(shown).is_some());
}

#[test]
fn a_mark_that_is_stored_or_on_its_way_is_not_stored_again() {
    let mut f = Fixture::joined();
    f.deliver(11);
    f.deliver(12);
    f.written();
    let (shown, acted) = (
        r#"{"type":"shown","room":"ROOM","cursor":"00000007.11"}"#,
        r#"{"type":"acted","room":"ROOM","cursor":"00000007.11"}"#,
    );
    let mark = (f.room, at(11), MarkKind::Shown);
    assert!(f.send(shown).is_some());
    assert_eq!(f.send(shown), None, "it is on its way");
    f.state.mark_stored(mark, Ok(()));
    assert_eq!((f.send(shown), f.written().len()), (None, 0), "it is stored");
    assert!(f.send(acted).is_some(), "another kind");
    assert!(f.send(&shown.replace(".11", ".12")).is_some(), "another event");
    f.state.mark_stored((f.room, at(11), MarkKind::Acted), Err(()));
    assert!(f.send(acted).is_some(), "it could not be stored");
    f.send(r#"{"type":"device","id":"till-9","can_ring":true}"#);
    assert!(f.send(shown).is_some(), "another device");
}

#[test]
fn what_was_answered_before_the_client_said_goodbye_still_goes_out() {
    let mut f = Fixture::joined();
    f.send(r#"{"type":"ping"}"#);
    f.state.client_closed(Some(1000));
    let mut slices = [std::io::IoSlice::new(&[]); crate::actors::session::outbox::FRAMES_A_WRITE];
    assert_eq!(f.state.outbox.slices(&mut slices), 2);
    let alive = String::from_utf8_lossy(&slices[0]);
    assert!(alive.contains(r#"{"type":"alive","now":"1970-01-12T13:46:40.000000Z"}"#), "{alive}");
    assert_eq!(slices[1][2..4], 1000u16.to_be_bytes());
}

#[test]
fn a_client_may_send_a_burst_and_so_many_frames_a_second_whatever_the_wall_clock_does() {
    let mut f = Fixture::joined();
    (f.limits.frames_per_s, f.limits.frames_burst) = (10, 3);
    let ping = |f: &mut Fixture, wall, ms| {
        let now = f.now + Duration::from_millis(ms);
        f.state.on_message(r#"{"type":"ping"}"#, wall, now, &f.limits);
        f.written();
        f.state.closing
    };
    let long_ago = Timestamp::from_unix_seconds(0);
    let frames = [(WALL, 0), (WALL, 0), (long_ago, 0), (long_ago, 100), (WALL, 200)];
    assert_eq!(frames.map(|(wall, ms)| ping(&mut f, wall, ms)), [None; 5]);
    assert_eq!(ping(&mut f, WALL, 299), Some(CloseReason::TooMany));
}

#[test]
fn an_acknowledgement_of_something_new_is_no_frame_too_many_and_any_other_is() {
    let mut f = Fixture::joined();
    (f.limits.frames_per_s, f.limits.frames_burst) = (1, 1);
    let ack = |seq: u64| format!(r#"{{"type":"ack","room":"ROOM","cursor":"{}"}}"#, at(seq));
    for seq in 11..111 {
        f.deliver(seq);
        assert!(f.send(&ack(seq)).is_some());
    }
    assert_eq!((f.send(&ack(110)), f.state.closing), (None, None));
    assert_eq!((f.send(&ack(110)), f.state.closing), (None, Some(CloseReason::TooMany)));
}

#[test]
fn a_frame_that_its_user_has_no_quota_for_leaves_no_trace_and_is_told_when_to_come_again() {
    let mut f = Fixture::joined();
    f.deliver(11);
    f.written();
    let wait = Duration::from_millis(1200);
    for _ in 0..=MAX_MARKS {
        let mark =
            f.send(r#"{"type":"shown","room":"ROOM","cursor":"00000007.11"}"#).expect("it has a place");
        f.state.refuse_effect(&mark, wait);
        let told = f.written().join("");
        assert!(told.contains("too_many_requests") && told.contains(r#""retry_after_ms":1200"#), "{told}");
    }
    let other = r#"{"type":"subscribe","room":"order:ord_0190f3c1a2b37d4e8f00112233445566"}"#;
    for _ in 0..2 {
        let subscribe = f.send(other).expect("it is not subscribed");
        f.state.refuse_effect(&subscribe, wait);
    }
    assert_eq!(f.state.rooms().count(), 1);
}

#[test]
fn a_silent_peer_is_asked_out_of_turn_and_one_that_was_just_heard_is_not() {
    let mut f = Fixture::joined();
    f.state.probe(f.now);
    assert!(f.written().is_empty());
    f.state.probe(f.after(2));
    f.state.probe(f.after(3));
    assert_eq!(f.written().len(), 1, "asked once");
    f.state.tick(f.after(13), &f.limits);
    assert_eq!(f.state.closing, Some(CloseReason::HeartbeatMissed));
}
