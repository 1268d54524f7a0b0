use uuid::Uuid;

use super::super::frames::MAX_MARKS;
use super::*;
use crate::domain::access::Role;
use crate::domain::cursor::Epoch;
use crate::domain::ids::{BusinessId, EventId, SessionId};
use crate::protocol::event::{EncodedEvent, RoomEvent};
use crate::protocol::websocket::text_header_len;

const WALL: Timestamp = Timestamp::from_unix_seconds(1_000_000);
const EPOCH: Epoch = Epoch::new(7);

struct Fixture {
    state: SessionState,
    limits: SessionSettings,
    now: Instant,
    room: RoomId,
}

fn at(seq: u64) -> Cursor {
    Cursor::new(EPOCH, seq)
}

fn event(room: RoomId, seq: u64, kind: EventType) -> Published {
    let event = RoomEvent {
        room,
        cursor: at(seq),
        id: EventId::from_uuid(Uuid::nil()),
        kind,
        at: WALL,
        data: serde_json::value::RawValue::from_string("{}".to_owned()).unwrap(),
    };
    Published { event: EncodedEvent::new(&event), committed_at: Some(Instant::now()) }
}

impl Fixture {
    /// A session that has joined its room at sequence 10 and whose hello is out.
    fn joined() -> Self {
        let mut fixture = Self::opened(Some("biz"));
        fixture.state.joined(fixture.room, at(10), None, 25);
        fixture.written();
        fixture
    }

    fn opened(room: Option<&str>) -> Self {
        let name = RoomId::Business(BusinessId::from_uuid(Uuid::nil()));
        let now = Instant::now();
        let principal = Principal {
            user: UserId::from_uuid(Uuid::nil()),
            session: SessionId::from_uuid(Uuid::nil()),
            role: Role::Merchant,
        };
        let opening = Opening {
            principal,
            token_expires_at: WALL.plus(Duration::from_secs(3600)),
            device: Some("till-1".into()),
            room: room.map(|_| name),
            cursor: None,
        };
        let (state, _) = SessionState::open(SocketId::from_uuid(Uuid::nil()), opening, WALL, now);
        Self { state, limits: SessionSettings::default(), now, room: name }
    }

    /// Everything in the outbox, as if it had been written.
    fn written(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let mut slices = [std::io::IoSlice::new(&[]); super::super::outbox::FRAMES_A_WRITE];
            let count = self.state.outbox.slices(&mut slices);
            let mut bytes = 0;
            for slice in &slices[..count] {
                bytes += slice.len();
                let text = String::from_utf8_lossy(slice).into_owned();
                texts.push(text);
            }
            self.state.outbox.advance(bytes, |_| ());
            if count == 0 {
                return texts;
            }
        }
    }

    fn say(&mut self, frame: &str) -> Option<Effect> {
        let frame = frame.replace("ROOM", &self.room.to_string());
        self.state.message(&frame, WALL, self.now, &self.limits)
    }

    fn deliver(&mut self, seq: u64) -> Delivery {
        let event = event(self.room, seq, EventType::OrderCreated);
        self.state.deliver(&event, self.room, &self.limits, self.now)
    }

    fn after(&self, seconds: u64) -> Instant {
        self.now + Duration::from_secs(seconds)
    }
}

#[test]
fn an_absent_room_is_closed_with_4004() {
    let mut f = Fixture::opened(None);
    assert_eq!(f.state.closing, Some(CloseReason::NoSuchRoom));
    assert_eq!(f.written().len(), 1);
}

#[test]
fn hello_comes_before_history_and_says_where_the_client_stands() {
    let mut f = Fixture::opened(Some("biz"));
    f.state.joined(f.room, at(10), Some("00000007.8".to_owned()), 25);
    let written = f.written();
    assert!(
        written[0].contains(r#""type":"hello""#)
            && written[0].contains(r#""cursor":"00000007.8","recovered":true"#)
    );
    assert_eq!(f.state.next_history(), Some(Effect::ReadHistory(f.room, at(8))));
    let page = [event(f.room, 9, EventType::OrderUpdated), event(f.room, 10, EventType::OrderUpdated)];
    assert_eq!(f.state.history_read(f.room, &page, &f.limits), 2);
    assert_eq!(f.written().len(), 2);
    assert_eq!(f.state.next_history(), None, "it is live now");
    assert_eq!(f.deliver(11), Delivery::Queued);
}

#[test]
fn nothing_is_read_before_hello_nor_while_answers_wait() {
    let mut f = Fixture::opened(Some("biz"));
    assert!(!f.state.listens(&f.limits));
    f.state.joined(f.room, at(10), None, 25);
    assert!(f.state.listens(&f.limits));
    f.limits.outbox_frames = 1;
    assert!(!f.state.listens(&f.limits), "hello waits and fills more than half");
    f.written();
    assert!(f.state.listens(&f.limits));
}

#[test]
fn a_cursor_that_means_nothing_here_is_told_to_resync() {
    for cursor in ["00000007.11", "00000008.1", "nonsense", ""] {
        let mut f = Fixture::opened(Some("biz"));
        f.state.joined(f.room, at(10), Some(cursor.to_owned()), 25);
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
    f.state.joined(f.room, at(10), Some("00000007.2".to_owned()), 25);
    f.written();
    f.state.history_gone(f.room, at(1), at(12));
    assert!(f.state.next_history().is_some(), "an answer to another question changes nothing");
    f.state.history_gone(f.room, at(2), at(12));
    assert!(f.written().join("").contains(r#""type":"resync""#));
    assert_eq!(f.deliver(13), Delivery::Queued);
}

#[test]
fn a_full_outbox_makes_the_session_lag_and_catch_up_once_it_has_drained() {
    let mut f = Fixture::joined();
    f.limits.outbox_frames = 2;
    assert_eq!(
        [11, 12, 13, 14].map(|seq| f.deliver(seq)),
        [Delivery::Queued, Delivery::Queued, Delivery::Wake, Delivery::Nothing]
    );
    assert_eq!(f.state.next_history(), None, "not before it has drained");
    f.written();
    assert_eq!(f.state.next_history(), Some(Effect::ReadHistory(f.room, at(12))));
    let page = [event(f.room, 13, EventType::OrderUpdated), event(f.room, 14, EventType::OrderUpdated)];
    f.state.history_read(f.room, &page, &f.limits);
    assert_eq!(f.written().len(), 2);
    assert_eq!(f.deliver(15), Delivery::Queued);
    assert_eq!(f.state.closing, None);
}

#[test]
fn lagging_twice_in_a_minute_is_too_slow() {
    let mut f = Fixture::joined();
    f.limits.outbox_frames = 1;
    f.deliver(11);
    f.deliver(12);
    f.written();
    f.state.history_read(f.room, &[event(f.room, 12, EventType::OrderUpdated)], &f.limits);
    assert_eq!(f.state.closing, None);
    assert_eq!(f.deliver(13), Delivery::Wake, "the outbox still holds event 12");
    assert_eq!(f.state.closing, Some(CloseReason::TooSlow));
}

#[test]
fn an_event_larger_than_the_whole_bound_is_sent_alone() {
    let mut f = Fixture::joined();
    f.limits.outbox_bytes = 10;
    assert_eq!(f.deliver(11), Delivery::Wake);
    assert_eq!(f.state.history_read(f.room, &[event(f.room, 11, EventType::OrderUpdated)], &f.limits), 1);
    assert_eq!(f.written().len(), 1);
}

#[test]
fn a_ping_after_silence_and_4009_when_no_pong_comes() {
    let mut f = Fixture::joined();
    f.state.tick(f.after(24), &f.limits);
    assert!(f.written().is_empty());
    f.state.tick(f.after(25), &f.limits);
    assert_eq!(f.written().len(), 1);
    assert_eq!(f.state.next_tick(&f.limits), f.after(35));
    f.state.tick(f.after(34), &f.limits);
    assert_eq!(f.state.closing, None);
    f.state.tick(f.after(35), &f.limits);
    assert_eq!(f.state.closing, Some(CloseReason::HeartbeatMissed));
}

#[test]
fn anything_from_the_peer_is_a_sign_of_life() {
    let mut f = Fixture::joined();
    f.state.tick(f.after(25), &f.limits);
    f.state.heard(f.after(30));
    f.state.tick(f.after(40), &f.limits);
    assert_eq!(f.state.closing, None);
    assert_eq!(f.state.next_tick(&f.limits), f.after(55));
}

#[test]
fn a_stalled_write_is_too_slow_after_ten_seconds_and_the_pong_clock_rests_meanwhile() {
    let mut f = Fixture::joined();
    f.state.tick(f.after(25), &f.limits);
    f.state.write_progress(Progress::Blocked, f.after(26));
    f.state.tick(f.after(35), &f.limits);
    assert_eq!(f.state.closing, None, "no pong can be expected");
    f.state.tick(f.after(36), &f.limits);
    assert_eq!(f.state.closing, Some(CloseReason::TooSlow));
}

#[test]
fn a_token_is_announced_sixty_seconds_before_and_closed_thirty_after() {
    let mut f = Fixture::joined();
    f.limits.ping_s = 100_000;
    f.state.heard(f.after(3539));
    f.state.tick(f.after(3539), &f.limits);
    assert!(f.written().is_empty());
    f.state.tick(f.after(3540), &f.limits);
    assert!(f.written().join("").contains(r#"{"type":"token_expiring","in_s":60}"#));
    f.state.tick(f.after(3629), &f.limits);
    assert_eq!(f.state.closing, None);
    f.state.tick(f.after(3630), &f.limits);
    assert_eq!(f.state.closing, Some(CloseReason::TokenExpired));
}

#[test]
fn a_new_token_of_the_same_user_keeps_the_socket_and_anothers_does_not_count() {
    let mut f = Fixture::joined();
    let own = f.state.principal;
    let stranger = Principal { user: UserId::generate(), ..own };
    assert_eq!(f.say(r#"{"type":"refresh","token":"t"}"#), Some(Effect::CheckToken("t".to_owned())));
    f.state.token_checked(Some((stranger, WALL.plus(Duration::from_secs(9999)))), WALL, f.now);
    assert!(f.written().join("").contains("token_refused"));
    f.state.token_checked(Some((own, WALL.plus(Duration::from_secs(7200)))), WALL, f.now);
    assert!(f.written().join("").contains(r#""type":"refreshed""#));
    f.state.heard(f.after(4000));
    f.state.tick(f.after(4000), &f.limits);
    assert_eq!(f.state.closing, None);
}

#[test]
fn three_bad_frames_in_a_row_close_and_a_good_one_between_forgives() {
    let mut f = Fixture::joined();
    for frame in ["nonsense", "{}", r#"{"type":"ping"}"#, "nonsense", r#"{"type":"dance"}"#] {
        f.say(frame);
    }
    assert_eq!(f.state.closing, None);
    f.say("[1]");
    assert_eq!(f.state.closing, Some(CloseReason::BadFrames));
}

#[test]
fn an_ack_is_stored_with_its_device_and_refused_beyond_what_was_sent() {
    let mut f = Fixture::joined();
    f.deliver(11);
    f.written();
    assert_eq!(f.say(r#"{"type":"ack","room":"ROOM","cursor":"00000007.12"}"#), None);
    assert!(f.written().join("").contains("ack_refused"));
    let Some(Effect::Ack(ack, rings)) = f.say(r#"{"type":"ack","room":"ROOM","cursor":"00000007.11"}"#)
    else {
        panic!("it is stored")
    };
    assert_eq!((ack.device.as_str(), ack.cursor, rings.len()), ("till-1", at(11), 1));
    assert_eq!(f.say(r#"{"type":"ack","room":"ROOM","cursor":"00000007.11"}"#), None, "nothing new");
}

#[test]
fn a_socket_belongs_to_the_device_that_named_itself_first() {
    let mut f = Fixture::joined();
    f.say(r#"{"type":"device","id":"till-9","can_ring":true}"#);
    f.say(r#"{"type":"device","id":"till-9","can_ring":false}"#);
    assert_eq!(f.written().join("").matches("alive").count(), 2);
    f.say(r#"{"type":"device","id":"till-10","can_ring":true}"#);
    f.say(r#"{"type":"device","id":"","can_ring":true}"#);
    assert_eq!(f.written().join("").matches("bad_device").count(), 2);
    assert_eq!(f.state.device(), "till-9");
}

#[test]
fn a_clients_own_close_code_goes_back_to_it() {
    for (code, expected) in [(Some(1000u16), 1000u16), (Some(4321), 4321), (None, 1000)] {
        let mut f = Fixture::joined();
        f.state.client_closed(code);
        assert_eq!(f.state.closing, Some(CloseReason::ClientGone));
        let mut slices = [std::io::IoSlice::new(&[]); super::super::outbox::FRAMES_A_WRITE];
        f.state.outbox.slices(&mut slices);
        assert_eq!(slices[0][2..4], expected.to_be_bytes());
    }
}

#[test]
fn marks_name_an_event_that_was_sent_and_only_so_many_are_on_their_way() {
    let mut f = Fixture::joined();
    f.deliver(11);
    assert_eq!(f.say(r#"{"type":"shown","room":"ROOM","cursor":"00000007.12"}"#), None);
    for _ in 0..MAX_MARKS {
        assert!(matches!(
            f.say(r#"{"type":"acted","room":"ROOM","cursor":"00000007.11"}"#),
            Some(Effect::Mark(_))
        ));
    }
    assert_eq!(f.say(r#"{"type":"shown","room":"ROOM","cursor":"00000007.11"}"#), None);
    f.state.mark_stored(Ok(()));
    assert!(f.say(r#"{"type":"shown","room":"ROOM","cursor":"00000007.11"}"#).is_some());
}

#[test]
fn rooms_are_subscribed_once_up_to_the_bound_and_can_be_left() {
    let mut f = Fixture::joined();
    f.limits.max_rooms = 2;
    let other = RoomId::Business(BusinessId::generate());
    let subscribe = format!(r#"{{"type":"subscribe","room":"{other}"}}"#);
    assert_eq!(f.say(&subscribe), Some(Effect::Authorize(other, None)));
    assert_eq!(f.say(&subscribe), None);
    assert_eq!(
        f.say(&format!(r#"{{"type":"subscribe","room":"{}"}}"#, RoomId::Business(BusinessId::generate()))),
        None
    );
    let written = f.written().join("");
    assert!(written.contains("already_subscribed") && written.contains("too_many_rooms"));
    f.state.refused(other);
    assert_eq!(f.state.rooms().count(), 1);
    assert_eq!(f.say(r#"{"type":"unsubscribe","room":"ROOM"}"#), Some(Effect::Leave(f.room)));
    assert_eq!(f.deliver(11), Delivery::Nothing);
}

#[test]
fn a_room_that_is_left_before_it_has_answered_is_left_for_good_whenever_the_answer_comes() {
    let other = RoomId::Business(BusinessId::generate());
    let [subscribe, unsubscribe] =
        ["subscribe", "unsubscribe"].map(|verb| format!(r#"{{"type":"{verb}","room":"{other}"}}"#));
    let left = || {
        let mut f = Fixture::joined();
        assert_eq!(f.say(&subscribe), Some(Effect::Authorize(other, None)));
        assert_eq!(f.say(&unsubscribe), None);
        assert!(f.written().join("").contains("\"left\""));
        assert_eq!(f.say(&unsubscribe), None);
        assert!(f.written().join("").contains("not_subscribed"));
        f
    };
    let mut admitted_late = left();
    assert_eq!(admitted_late.state.admitted(other, None), None);
    let mut refused_late = left();
    refused_late.state.refused(other);
    let mut unknown = left();
    unknown.state.not_now(other);
    let mut joined_late = Fixture::joined();
    joined_late.say(&subscribe);
    assert_eq!(joined_late.state.admitted(other, None), Some(Effect::Join(other, None)));
    joined_late.say(&unsubscribe);
    joined_late.written();
    assert_eq!(joined_late.state.joined(other, at(3), None, 25), Some(Effect::Leave(other)));
    for mut f in [admitted_late, refused_late, unknown, joined_late] {
        assert_eq!((f.written().len(), f.state.rooms().collect::<Vec<_>>()), (0, vec![f.room]));
        assert_eq!(f.say(&subscribe), Some(Effect::Authorize(other, None)), "it may come again");
    }
}

#[test]
fn who_leaves_and_comes_back_before_the_answer_joins_once_with_the_newer_cursor() {
    let other = RoomId::Business(BusinessId::generate());
    let ask = |f: &mut Fixture, verb: &str, cursor: u64| {
        f.say(&format!(
            r#"{{"type":"{verb}","room":"{other}"{}}}"#,
            match verb {
                "subscribe" => format!(r#","cursor":"{}""#, at(cursor)),
                _ => String::new(),
            }
        ))
    };
    let mut f = Fixture::joined();
    assert_eq!(ask(&mut f, "subscribe", 1), Some(Effect::Authorize(other, Some(at(1).to_string()))));
    assert_eq!((ask(&mut f, "unsubscribe", 0), ask(&mut f, "subscribe", 2)), (None, None));
    let joins = f.state.admitted(other, Some(at(1).to_string()));
    assert_eq!(joins, Some(Effect::Join(other, Some(at(2).to_string()))));
    assert_eq!((ask(&mut f, "unsubscribe", 0), ask(&mut f, "subscribe", 3)), (None, None));
    f.written();
    assert_eq!(f.state.joined(other, at(5), Some(at(2).to_string()), 25), None);
    let hello = f.written().join("");
    assert!(hello.contains(&format!(r#""cursor":"{}""#, at(3))), "{hello}");
}

#[test]
fn losing_a_room_ends_the_socket_unless_it_only_asked_for_it_or_has_left() {
    let other = RoomId::Business(BusinessId::generate());
    let subscribe = format!(r#"{{"type":"subscribe","room":"{other}"}}"#);
    let mut asked = Fixture::joined();
    asked.say(&subscribe);
    asked.state.denied(other);
    assert!(asked.written().join("").contains("no_such_room"));
    assert_eq!((asked.state.admitted(other, None), asked.state.closing), (None, None));
    asked.state.denied(other);
    assert_eq!(asked.state.closing, None, "it is not there any more");
    asked.state.denied(asked.room);
    assert_eq!(asked.state.closing, Some(CloseReason::AccessDenied));
    asked.state.refused(other);
    assert_eq!(asked.written().len(), 1, "nothing follows the close frame");
}

#[test]
fn a_client_may_send_a_burst_and_so_many_frames_a_second_whatever_the_wall_clock_does() {
    let mut f = Fixture::joined();
    (f.limits.frames_per_s, f.limits.frames_burst) = (10, 3);
    let ping = |f: &mut Fixture, wall, ms| {
        let now = f.now + Duration::from_millis(ms);
        f.state.message(r#"{"type":"ping"}"#, wall, now, &f.limits);
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
        assert!(f.say(&ack(seq)).is_some());
    }
    assert_eq!((f.say(&ack(110)), f.state.closing), (None, None));
    assert_eq!((f.say(&ack(110)), f.state.closing), (None, Some(CloseReason::TooMany)));
}

#[test]
fn a_store_that_is_away_refuses_one_more_room_and_ends_nothing() {
    let mut f = Fixture::joined();
    let other = RoomId::Business(BusinessId::generate());
    let subscribe = format!(r#"{{"type":"subscribe","room":"{other}"}}"#);
    assert_eq!(f.say(&subscribe), Some(Effect::Authorize(other, None)));
    f.state.not_now(other);
    assert!(f.written().join("").contains("\"unavailable\""));
    assert_eq!((f.state.closing, f.state.rooms().count()), (None, 1));
    assert_eq!(f.say(&subscribe), Some(Effect::Authorize(other, None)), "it may ask again");
}

#[test]
fn a_room_that_does_not_answer_ends_a_socket_that_has_nothing_yet_and_no_other() {
    let mut first = Fixture::opened(Some("biz"));
    first.state.could_not_join(first.room);
    assert_eq!(first.state.closing, Some(CloseReason::Overloaded));
    let mut later = Fixture::joined();
    let room = RoomId::Order(crate::domain::ids::OrderId::from_uuid(Uuid::nil()));
    later.say(&format!(r#"{{"type":"subscribe","room":"{room}"}}"#));
    later.state.could_not_join(room);
    assert!(later.written().join("").contains("\"unavailable\""));
    assert_eq!((later.state.closing, later.state.rooms().count()), (None, 1));
}

#[test]
fn closing_drops_what_waits_and_only_the_first_reason_counts() {
    let mut f = Fixture::joined();
    f.deliver(11);
    f.state.close(CloseReason::SessionEnded);
    f.state.close(CloseReason::TooSlow);
    assert_eq!(f.state.closing, Some(CloseReason::SessionEnded));
    let written = f.written();
    assert_eq!(written.len(), 1);
    assert!(written[0].contains("session_ended"));
    assert_eq!(f.deliver(12), Delivery::Nothing);
}

#[test]
fn an_event_goes_out_as_the_very_bytes_the_room_encoded() {
    let mut f = Fixture::joined();
    let event = event(f.room, 11, EventType::OrderCreated);
    f.state.deliver(&event, f.room, &f.limits, f.now);
    let mut slices = [std::io::IoSlice::new(&[]); super::super::outbox::FRAMES_A_WRITE];
    f.state.outbox.slices(&mut slices);
    assert_eq!(slices[0].as_ptr(), event.event.frame().as_ptr());
    let json = event.event.json();
    assert_eq!(event.event.frame().len(), json.len() + text_header_len(json.len()));
}
