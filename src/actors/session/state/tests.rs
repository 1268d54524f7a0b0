use uuid::Uuid;

use super::*;
use crate::domain::access::Role;
use crate::domain::cursor::Epoch;
use crate::domain::ids::{BusinessId, EventId, LoginSessionId, UserId};
use crate::protocol::event::{EncodedEvent, RoomEvent};
use crate::protocol::websocket::text_header_len;

mod ephemerals;
mod frames;
mod ringing;
mod rooms;

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

fn event(room: RoomId, seq: u64, kind: EventType) -> LiveEvent {
    let event = RoomEvent {
        room,
        cursor: at(seq),
        id: EventId::from_uuid(Uuid::nil()),
        kind: kind.into(),
        at: WALL,
        data: crate::protocol::event::EventData::empty(),
    };
    LiveEvent { event: EncodedEvent::new(&event), committed_at: Some(Instant::now()) }
}

impl Fixture {
    /// A session that has joined its room at sequence 10 and whose hello is out.
    fn joined() -> Self {
        let mut fixture = Self::opened(Some("biz"));
        fixture.state.joined(fixture.room, at(10), None, WALL, &SessionSettings::default());
        fixture.written();
        fixture
    }

    fn opened(room: Option<&str>) -> Self {
        let name = RoomId::Business(BusinessId::from_uuid(Uuid::nil()));
        let now = Instant::now();
        let principal = Principal {
            user: UserId::from_uuid(Uuid::nil()),
            session: LoginSessionId::from_uuid(Uuid::nil()),
            role: Role::Merchant,
        };
        let opening = ConnectParams {
            principal,
            token_expires_at: WALL.plus(Duration::from_secs(3600)),
            device: Some("till-1".into()),
            room: room.map(|_| name),
            cursor: None,
        };
        let (state, _) = SessionState::open(ConnectionId::from_uuid(Uuid::nil()), opening, WALL, now);
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

    fn send(&mut self, frame: &str) -> Option<SessionEffect> {
        let frame = frame.replace("ROOM", &self.room.to_string());
        self.state.on_message(&frame, WALL, self.now, &self.limits)
    }

    fn deliver(&mut self, seq: u64) -> Delivered {
        let event = event(self.room, seq, EventType::OrderCreated);
        self.state.deliver(&event, self.room, &self.limits, self.now)
    }

    fn after(&self, seconds: u64) -> Instant {
        self.now + Duration::from_secs(seconds)
    }
}

#[test]
fn nothing_is_read_before_hello_nor_while_answers_wait() {
    let mut f = Fixture::opened(Some("biz"));
    assert!(!f.state.is_readable(&f.limits));
    f.state.joined(f.room, at(10), None, WALL, &SessionSettings::default());
    assert!(f.state.is_readable(&f.limits));
    f.limits.outbox_frames = 1;
    assert!(!f.state.is_readable(&f.limits), "hello waits and fills more than half");
    f.written();
    assert!(f.state.is_readable(&f.limits));
}

#[test]
fn a_full_outbox_makes_the_session_lag_and_catch_up_once_it_has_drained() {
    let mut f = Fixture::joined();
    f.limits.outbox_frames = 2;
    assert_eq!(
        [11, 12, 13, 14].map(|seq| f.deliver(seq)),
        [Delivered::Queued, Delivered::Queued, Delivered::NeedsWake, Delivered::Ignored]
    );
    assert_eq!(f.state.next_history(), None, "not before it has drained");
    f.written();
    assert_eq!(f.state.next_history(), Some(SessionEffect::ReadHistory(f.room, at(12))));
    let page = [event(f.room, 13, EventType::OrderUpdated), event(f.room, 14, EventType::OrderUpdated)];
    f.state.history_read(f.room, &page, &f.limits);
    assert_eq!(f.written().len(), 2);
    assert_eq!(f.deliver(15), Delivered::Queued);
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
    assert_eq!(f.deliver(13), Delivered::NeedsWake, "the outbox still holds event 12");
    assert_eq!(f.state.closing, Some(CloseReason::TooSlow));
}

#[test]
fn an_event_larger_than_the_whole_bound_is_sent_alone() {
    let mut f = Fixture::joined();
    f.limits.outbox_bytes = 10;
    assert_eq!(f.deliver(11), Delivered::NeedsWake);
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
    f.state.on_received(f.after(30));
    f.state.tick(f.after(40), &f.limits);
    assert_eq!(f.state.closing, None);
    assert_eq!(f.state.next_tick(&f.limits), f.after(55));
}

#[test]
fn a_stalled_write_is_too_slow_after_ten_seconds_and_the_pong_clock_rests_meanwhile() {
    let mut f = Fixture::joined();
    f.state.tick(f.after(25), &f.limits);
    f.state.on_write(WriteProgress::Blocked, f.after(26));
    f.state.tick(f.after(35), &f.limits);
    assert_eq!(f.state.closing, None, "no pong can be expected");
    f.state.tick(f.after(36), &f.limits);
    assert_eq!(f.state.closing, Some(CloseReason::TooSlow));
}

#[test]
fn a_token_is_announced_sixty_seconds_before_and_closed_thirty_after() {
    let mut f = Fixture::joined();
    f.limits.ping_s = 100_000;
    f.state.on_received(f.after(3539));
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
fn closing_drops_what_waits_and_only_the_first_reason_counts() {
    let mut f = Fixture::joined();
    f.deliver(11);
    f.state.close(CloseReason::SessionEnded);
    f.state.close(CloseReason::TooSlow);
    assert_eq!(f.state.closing, Some(CloseReason::SessionEnded));
    let written = f.written();
    assert_eq!(written.len(), 1);
    assert!(written[0].contains("session_ended"));
    assert_eq!(f.deliver(12), Delivered::Ignored);
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
