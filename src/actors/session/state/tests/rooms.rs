//! The rooms of a session, and the positions it starts from.

use super::*;

#[test]
fn an_absent_room_is_closed_with_4004() {
    let mut f = Fixture::opened(None);
    assert_eq!(f.state.closing, Some(CloseReason::NoSuchRoom));
    assert_eq!(f.written().len(), 1);
}

#[test]
fn hello_comes_before_history_and_says_where_the_client_stands() {
    let mut f = Fixture::opened(Some("biz"));
    f.state.joined(f.room, at(10), Some("00000007.8".to_owned()), WALL, &SessionSettings::default());
    let written = f.written();
    assert!(
        written[0].contains(r#""type":"hello""#)
            && written[0].contains(r#""cursor":"00000007.8","recovered":true"#)
    );
    assert_eq!(f.state.next_history(), Some(SessionEffect::ReadHistory(f.room, at(8))));
    let page = [event(f.room, 9, EventType::OrderUpdated), event(f.room, 10, EventType::OrderUpdated)];
    assert_eq!(f.state.history_read(f.room, &page, &f.limits), 2);
    assert_eq!(f.written().len(), 2);
    assert_eq!(f.state.next_history(), None, "it is live now");
    assert_eq!(f.deliver(11), Delivered::Queued);
}

#[test]
fn a_cursor_that_means_nothing_here_is_told_to_resync() {
    for cursor in ["00000007.11", "00000008.1", "nonsense", ""] {
        let mut f = Fixture::opened(Some("biz"));
        f.state.joined(f.room, at(10), Some(cursor.to_owned()), WALL, &SessionSettings::default());
        let written = f.written().join("\n");
        assert!(
            written.contains(r#""recovered":false"#) && written.contains(r#""type":"resync""#),
            "{cursor}: {written}"
        );
        assert!(written.contains(r#""cursor":"00000007.10""#));
    }
}

#[test]
fn history_that_is_gone_is_a_resync_and_the_session_goes_on_from_the_head() {
    let mut f = Fixture::opened(Some("biz"));
    f.state.joined(f.room, at(10), Some("00000007.2".to_owned()), WALL, &SessionSettings::default());
    f.written();
    f.state.history_gone(f.room, at(1), at(12));
    assert!(f.state.next_history().is_some(), "an answer to another question changes nothing");
    f.state.history_gone(f.room, at(2), at(12));
    assert!(f.written().join("").contains(r#""type":"resync""#));
    assert_eq!(f.deliver(13), Delivered::Queued);
}

#[test]
fn rooms_are_subscribed_once_up_to_the_bound_and_can_be_left() {
    let mut f = Fixture::joined();
    f.limits.max_rooms = 2;
    let other = RoomId::Business(BusinessId::generate());
    let subscribe = format!(r#"{{"type":"subscribe","room":"{other}"}}"#);
    assert_eq!(f.send(&subscribe), Some(SessionEffect::Authorize(other, None)));
    assert_eq!(f.send(&subscribe), None);
    assert_eq!(
        f.send(&format!(r#"{{"type":"subscribe","room":"{}"}}"#, RoomId::Business(BusinessId::generate()))),
        None
    );
    let written = f.written().join("");
    assert!(written.contains("already_subscribed") && written.contains("too_many_rooms"));
    f.state.deny_join(other);
    assert_eq!(f.state.rooms().count(), 1);
    assert_eq!(f.send(r#"{"type":"unsubscribe","room":"ROOM"}"#), Some(SessionEffect::Leave(f.room)));
    assert_eq!(f.deliver(11), Delivered::Ignored);
}

#[test]
fn a_room_that_is_left_before_it_has_answered_is_left_for_good_whenever_the_answer_comes() {
    let other = RoomId::Business(BusinessId::generate());
    let [subscribe, unsubscribe] =
        ["subscribe", "unsubscribe"].map(|verb| format!(r#"{{"type":"{verb}","room":"{other}"}}"#));
    let left = || {
        let mut f = Fixture::joined();
        assert_eq!(f.send(&subscribe), Some(SessionEffect::Authorize(other, None)));
        assert_eq!(f.send(&unsubscribe), None);
        assert!(f.written().join("").contains("\"left\""));
        assert_eq!(f.send(&unsubscribe), None);
        assert!(f.written().join("").contains("not_subscribed"));
        f
    };
    let mut admitted_late = left();
    assert_eq!(admitted_late.state.admitted(other, None), None);
    let mut refused_late = left();
    refused_late.state.deny_join(other);
    let mut unknown = left();
    unknown.state.room_unavailable(other);
    let mut joined_late = Fixture::joined();
    joined_late.send(&subscribe);
    assert_eq!(joined_late.state.admitted(other, None), Some(SessionEffect::Join(other, None)));
    joined_late.send(&unsubscribe);
    joined_late.written();
    assert_eq!(
        joined_late.state.joined(other, at(3), None, WALL, &SessionSettings::default()),
        Some(SessionEffect::Leave(other))
    );
    for mut f in [admitted_late, refused_late, unknown, joined_late] {
        assert_eq!((f.written().len(), f.state.rooms().collect::<Vec<_>>()), (0, vec![f.room]));
        assert_eq!(f.send(&subscribe), Some(SessionEffect::Authorize(other, None)), "it may come again");
    }
}

#[test]
fn who_leaves_and_comes_back_before_the_answer_joins_once_with_the_newer_cursor() {
    let other = RoomId::Business(BusinessId::generate());
    let ask = |f: &mut Fixture, verb: &str, cursor: u64| {
        f.send(&format!(
            r#"{{"type":"{verb}","room":"{other}"{}}}"#,
            match verb {
                "subscribe" => format!(r#","cursor":"{}""#, at(cursor)),
                _ => String::new(),
            }
        ))
    };
    let mut f = Fixture::joined();
    assert_eq!(ask(&mut f, "subscribe", 1), Some(SessionEffect::Authorize(other, Some(at(1).to_string()))));
    assert_eq!((ask(&mut f, "unsubscribe", 0), ask(&mut f, "subscribe", 2)), (None, None));
    let joins = f.state.admitted(other, Some(at(1).to_string()));
    assert_eq!(joins, Some(SessionEffect::Join(other, Some(at(2).to_string()))));
    assert_eq!((ask(&mut f, "unsubscribe", 0), ask(&mut f, "subscribe", 3)), (None, None));
    f.written();
    assert_eq!(
        f.state.joined(other, at(5), Some(at(2).to_string()), WALL, &SessionSettings::default()),
        None
    );
    let hello = f.written().join("");
    assert!(hello.contains(&format!(r#""cursor":"{}""#, at(3))), "{hello}");
}

#[test]
fn losing_a_room_ends_the_socket_unless_it_only_asked_for_it_or_has_left() {
    let other = RoomId::Business(BusinessId::generate());
    let subscribe = format!(r#"{{"type":"subscribe","room":"{other}"}}"#);
    let mut asked = Fixture::joined();
    asked.send(&subscribe);
    asked.state.deny(other);
    assert!(asked.written().join("").contains("no_such_room"));
    assert_eq!(asked.send(&subscribe), None);
    assert!(asked.written().join("").contains("unavailable"), "the answer on its way is older than the loss");
    assert_eq!((asked.state.admitted(other, None), asked.state.closing), (None, None));
    asked.state.deny(other);
    assert_eq!(asked.state.closing, None, "it is not there any more");
    asked.state.deny(asked.room);
    assert_eq!(asked.state.closing, Some(CloseReason::AccessDenied));
    asked.state.deny_join(other);
    assert_eq!(asked.written().len(), 1, "nothing subscriptions the close frame");
}

#[test]
fn a_store_that_is_away_refuses_one_more_room_and_ends_nothing() {
    let mut f = Fixture::joined();
    let other = RoomId::Business(BusinessId::generate());
    let subscribe = format!(r#"{{"type":"subscribe","room":"{other}"}}"#);
    assert_eq!(f.send(&subscribe), Some(SessionEffect::Authorize(other, None)));
    f.state.room_unavailable(other);
    assert!(f.written().join("").contains("\"unavailable\""));
    assert_eq!((f.state.closing, f.state.rooms().count()), (None, 1));
    assert_eq!(f.send(&subscribe), Some(SessionEffect::Authorize(other, None)), "it may ask again");
}

#[test]
fn a_room_that_does_not_answer_ends_a_socket_that_has_nothing_yet_and_no_other() {
    let mut first = Fixture::opened(Some("biz"));
    first.state.could_not_join(first.room, CloseReason::Overloaded);
    assert_eq!(first.state.closing, Some(CloseReason::Overloaded));
    let mut later = Fixture::joined();
    let room = RoomId::Order(crate::domain::ids::OrderId::from_uuid(Uuid::nil()));
    later.send(&format!(r#"{{"type":"subscribe","room":"{room}"}}"#));
    later.state.could_not_join(room, CloseReason::Overloaded);
    assert!(later.written().join("").contains("\"unavailable\""));
    assert_eq!((later.state.closing, later.state.rooms().count()), (None, 1));
}
