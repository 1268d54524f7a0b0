//! Readers: long polls and event streams. A reader follows one room as a session does, but its events are taken from it
//! when its client has room for more, and not pushed.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::actors::room::{History, Published, RoomError};
use crate::actors::settings::SessionSettings;
use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::close::CloseReason;
use crate::protocol::frames::JoinedRoom;

use super::access::{RoomAccess, room_access};
use super::board::{SessionKey, Switchboard};
use super::clock::{EXPIRY_GRACE, instant_of};
use super::effect::Delivery;
use super::follow::{Follow, Heard, Start};
use super::memory::QueuedBytes;

/// Why a reader ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The reason; its advice is the same as on a socket.
    pub reason: CloseReason,
    /// The client should stay away this long.
    pub after: Duration,
}

impl Ending {
    pub(super) const fn now(reason: CloseReason) -> Self {
        Self { reason, after: Duration::ZERO }
    }

    pub(super) const fn restart(after: Duration) -> Self {
        Self { reason: CloseReason::Restart, after }
    }
}

/// What a reader has for its client.
#[derive(Debug)]
pub enum Step {
    /// The next events, in order without holes, at least one.
    Events(Vec<Published>),
    /// The position asked for is gone: go on from this one.
    Resync(Cursor),
    /// Nothing more will come.
    Ended(Ending),
}

/// How much of what is there a client takes at once.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    /// Most events; also how many are read from the log at once.
    pub events: usize,
    /// Most bytes; one event that is larger comes alone.
    pub bytes: usize,
}

/// What waits for a reader: bounded like a session's outbox. Beyond the bound it reads from the log again.
#[derive(Debug)]
struct Inbox {
    follow: Follow,
    /// Up to here everything was taken.
    taken: Cursor,
    events: VecDeque<Published>,
    bytes: QueuedBytes,
}

impl Inbox {
    fn joining(room: RoomId) -> Self {
        let follow = Follow::joining(room);
        Self { taken: follow.sent(), follow, events: VecDeque::new(), bytes: QueuedBytes::default() }
    }

    fn joined(&mut self, head: Cursor, wanted: Option<Option<Cursor>>) -> Start {
        let start = self.follow.joined(head, wanted);
        self.taken = self.follow.sent();
        start
    }

    fn has_room(&self, published: &Published, limits: &SessionSettings) -> bool {
        let len = published.event.frame().len();
        let thread = self.events.is_empty() || QueuedBytes::of_thread() + len <= limits.memory_bytes;
        thread && self.events.len() < limits.outbox_frames && self.bytes.get() + len <= limits.outbox_bytes
    }

    fn push(&mut self, published: &Published) {
        self.bytes.add(published.event.frame().len());
        self.events.push_back(published.clone());
        self.follow.sent_event(published.event.cursor, None);
    }

    fn deliver(&mut self, published: &Published, limits: &SessionSettings) -> Delivery {
        let cursor = published.event.cursor;
        match self.follow.hear(cursor) {
            Heard::Wait => Delivery::Nothing,
            Heard::CatchUp => Delivery::Wake,
            Heard::Send if self.has_room(published, limits) => {
                self.push(published);
                Delivery::Queued
            }
            Heard::Send => {
                self.follow.fall_behind(cursor.seq);
                Delivery::Wake
            }
        }
    }

    /// A page of history; the answer is how much of it fitted. An event larger than the bound is taken alone.
    fn history_read(&mut self, page: &[Published], limits: &SessionSettings) -> u64 {
        let mut kept = 0;
        for published in page {
            let (cursor, sent) = (published.event.cursor, self.follow.sent());
            let follows = cursor.epoch == sent.epoch && cursor.seq == sent.seq + 1;
            if !follows || !(self.events.is_empty() || self.has_room(published, limits)) {
                break;
            }
            self.push(published);
            kept += 1;
        }
        self.follow.page_sent();
        kept
    }

    fn history_gone(&mut self, head: Cursor) {
        self.follow.skip_to(head);
        self.taken = head;
    }

    fn take(&mut self, portion: Portion) -> Vec<Published> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.events.front() {
            let len = next.event.frame().len();
            if taken.len() >= portion.events || (bytes + len > portion.bytes && !taken.is_empty()) {
                break;
            }
            bytes += len;
            taken.extend(self.events.pop_front());
        }
        if let Some(last) = taken.last() {
            self.taken = last.event.cursor;
            self.bytes.sub(bytes);
        }
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        taken
    }
}

/// What a reader shares with the switchboard of its thread.
pub(super) struct Slot {
    pub(super) who: Principal,
    inbox: RefCell<Option<Inbox>>,
    news: Notify,
    ending: Cell<Option<Ending>>,
    /// How often it was asked whether its user may be in the room.
    access_asked: Cell<u64>,
}

impl Slot {
    /// Keeps an event for the client, or remembers that it has to be read.
    pub(super) fn deliver(&self, published: &Published, limits: &SessionSettings) -> Delivery {
        let mut inbox = self.inbox.borrow_mut();
        let delivery = inbox.as_mut().map_or(Delivery::Nothing, |inbox| inbox.deliver(published, limits));
        if delivery != Delivery::Nothing {
            self.news.notify_one();
        }
        delivery
    }

    /// Where the room stands.
    pub(super) fn position(&self, head: Cursor) {
        if let Some(inbox) = self.inbox.borrow_mut().as_mut()
            && inbox.follow.hear_position(head) == Heard::CatchUp
        {
            self.news.notify_one();
        }
    }

    /// Ends the reader; only the first reason counts.
    pub(super) fn end(&self, ending: Ending) {
        self.ending.set(self.ending.get().or(Some(ending)));
        self.news.notify_one();
    }

    /// Lets the reader ask again whether its user may be in the room.
    pub(super) fn ask_access(&self) {
        self.access_asked.set(self.access_asked.get() + 1);
        self.news.notify_one();
    }
}

/// One long poll or event stream, on the worker thread that serves it. It hears of the end of its sign-in from the
/// moment it is there, so whatever is checked after that cannot be out of date. What waits for it is bounded as for a
/// session; a client that does not take it goes on from the log.
pub struct Reader {
    board: Rc<Switchboard>,
    slot: Rc<Slot>,
    key: SessionKey,
    room: Option<RoomId>,
    resync: Option<Cursor>,
    access_answered: u64,
    expires: Instant,
    /// Counts the reader towards its user's and address's limits.
    _permit: Box<dyn Any>,
}

impl Reader {
    /// A reader that hears no room yet. It ends 30 s after its token, as a socket does. `permit` is held until it is
    /// dropped.
    pub fn new(
        board: &Rc<Switchboard>,
        who: Principal,
        token_expires_at: Timestamp,
        permit: impl Sized + 'static,
    ) -> Self {
        let slot = Rc::new(Slot {
            who,
            inbox: RefCell::default(),
            news: Notify::new(),
            ending: Cell::new(None),
            access_asked: Cell::new(0),
        });
        board.deps.readers.fetch_add(1, Ordering::Relaxed);
        Self {
            key: board.add_reader(slot.clone()),
            board: board.clone(),
            slot,
            room: None,
            resync: None,
            access_answered: 0,
            expires: instant_of(token_expires_at, Timestamp::now(), Instant::now()) + EXPIRY_GRACE,
            _permit: Box::new(permit),
        }
    }

    /// Begins to follow a room that the client may be in, once: from `cursor` as the client wrote it, or from the head.
    ///
    /// # Errors
    /// When the room does not answer; the reader is of no use then.
    pub async fn join(&mut self, room: RoomId, cursor: Option<&str>) -> Result<JoinedRoom, RoomError> {
        *self.slot.inbox.borrow_mut() = Some(Inbox::joining(room));
        self.room = Some(room);
        self.board.enter(room, self.key);
        let head = self.board.deps.rooms.join(room, self.board.postbox.clone()).await?;
        let start = self.inbox(|inbox| inbox.joined(head, cursor.map(|text| text.parse().ok())));
        self.resync = (start == Start::Lost).then_some(head);
        Ok(JoinedRoom { room, cursor: self.position(), recovered: start == Start::Resumed })
    }

    /// Everything up to here was taken.
    pub fn position(&self) -> Cursor {
        self.inbox(|inbox| inbox.taken)
    }

    fn inbox<T>(&self, act: impl FnOnce(&mut Inbox) -> T) -> T {
        act(self.slot.inbox.borrow_mut().as_mut().expect("a reader joins a room before it is read from"))
    }

    /// What is there now, read from the log if need be; nothing when the client has everything. Dropping the future
    /// loses nothing.
    ///
    /// # Errors
    /// When the room or the store does not answer; asking again later is fine.
    pub async fn ready(&mut self, portion: Portion) -> Result<Option<Step>, RoomError> {
        let room = self.room.expect("a reader joins a room before it is read from");
        loop {
            if let Some(ending) = self.slot.ending.get() {
                return Ok(Some(Step::Ended(ending)));
            }
            if Instant::now() >= self.expires {
                return Ok(Some(Step::Ended(Ending::now(CloseReason::TokenExpired))));
            }
            let asked = self.slot.access_asked.get();
            if asked > self.access_answered {
                if room_access(&self.board.deps.reads, self.slot.who, room).await? == RoomAccess::NoSuchRoom {
                    self.slot.end(Ending::now(CloseReason::AccessDenied));
                }
                self.access_answered = asked;
                continue;
            }
            if let Some(head) = self.resync.take() {
                return Ok(Some(Step::Resync(head)));
            }
            let events = self.inbox(|inbox| inbox.take(portion));
            if !events.is_empty() {
                return Ok(Some(Step::Events(events)));
            }
            if !self.inbox(|inbox| inbox.follow.is_catching_up()) {
                return Ok(None);
            }
            let deps = &self.board.deps;
            let after = self.position();
            match deps.rooms.history(room, after, portion.events).await? {
                History::Events(page) => {
                    let kept = self.inbox(|inbox| inbox.history_read(&page, &deps.settings));
                    deps.history_deliveries.inc_by(kept);
                }
                History::Gone(head) | History::InStore(head) => {
                    self.inbox(|inbox| inbox.history_gone(head));
                    return Ok(Some(Step::Resync(head)));
                }
            }
        }
    }

    /// Returns when [`Reader::ready`] may have something new to say. Dropping the future loses nothing.
    pub async fn changed(&self) {
        // Whether something came or the token ran out: it is looked at next.
        let _ = tokio::time::timeout_at(self.expires.into(), self.slot.news.notified()).await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for room in self.board.remove(self.key, self.room.into_iter()) {
            self.board.deps.rooms.leave(room, self.board.postbox.worker());
        }
        self.board.deps.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::cursor::Epoch;
    use crate::domain::event::EventType;
    use crate::domain::ids::{BusinessId, EventId};
    use crate::protocol::event::{EncodedEvent, EventData, RoomEvent};

    fn room() -> RoomId {
        RoomId::Business(BusinessId::from_uuid(uuid::Uuid::nil()))
    }

    fn event(seq: u64) -> Published {
        let event = RoomEvent {
            room: room(),
            cursor: Cursor::new(Epoch::new(1), seq),
            id: EventId::from_uuid(uuid::Uuid::nil()),
            kind: EventType::Notification.into(),
            at: Timestamp::from_micros(0),
            data: EventData::empty(),
        };
        Published { event: EncodedEvent::new(&event), committed_at: None }
    }

    fn inbox(head: u64, from: u64) -> Inbox {
        let mut inbox = Inbox::joining(room());
        let at = |seq| Cursor::new(Epoch::new(1), seq);
        inbox.joined(at(head), Some(Some(at(from))));
        inbox
    }

    fn seqs(events: &[Published]) -> Vec<u64> {
        events.iter().map(|e| e.event.cursor.seq).collect()
    }

    const ALL: Portion = Portion { events: usize::MAX, bytes: usize::MAX };

    #[test]
    fn a_client_takes_no_more_than_its_portion_and_an_event_beyond_it_alone() {
        let limits = SessionSettings::default();
        let mut inbox = inbox(5, 0);
        inbox.history_read(&(1..=5).map(event).collect::<Vec<_>>(), &limits);
        let len = event(1).event.frame().len();
        assert_eq!(seqs(&inbox.take(Portion { events: 1, bytes: usize::MAX })), [1]);
        assert_eq!(seqs(&inbox.take(Portion { events: 9, bytes: 2 * len })), [2, 3]);
        assert_eq!(seqs(&inbox.take(Portion { events: 9, bytes: 1 })), [4]);
        assert_eq!((inbox.taken.seq, inbox.bytes.get()), (4, len));
        assert_eq!(seqs(&inbox.take(ALL)), [5]);
        assert_eq!((inbox.take(ALL).len(), inbox.bytes.get()), (0, 0));
    }

    #[test]
    fn what_waits_is_bounded_and_the_rest_is_read_from_the_log() {
        let limits = SessionSettings { outbox_frames: 2, ..Default::default() };
        let mut inbox = inbox(0, 0);
        let deliveries: Vec<_> = (1..=4).map(|seq| inbox.deliver(&event(seq), &limits)).collect();
        assert_eq!(deliveries, [Delivery::Queued, Delivery::Queued, Delivery::Wake, Delivery::Nothing]);
        assert_eq!(inbox.history_read(&[event(3)], &limits), 0, "nothing is read before there is room");
        assert_eq!(seqs(&inbox.take(ALL)), [1, 2]);
        assert_eq!(inbox.history_read(&[event(3), event(4)], &limits), 2);
        assert!(!inbox.follow.is_catching_up());
        let small = SessionSettings { outbox_bytes: 1, ..Default::default() };
        assert_eq!(seqs(&inbox.take(ALL)), [3, 4]);
        assert_eq!(inbox.deliver(&event(5), &small), Delivery::Wake);
        assert_eq!(inbox.history_read(&[event(5), event(6)], &small), 1, "larger than the bound: alone");
    }

    proptest! {
        /// Events come in order but any may be missed, and the client takes what it likes when it likes.
        #[test]
        fn every_event_is_taken_once_and_in_order_however_slow_the_client_is(
            from in 0u64..20, steps in prop::collection::vec((any::<bool>(), 0usize..6, 1usize..5), 0..60),
        ) {
            let limits = SessionSettings { outbox_frames: 4, ..Default::default() };
            let (mut inbox, mut head, mut taken) = (inbox(20, from), 20, Vec::new());
            let mut read = |inbox: &mut Inbox, head: u64, portion: Portion| {
                if inbox.events.is_empty() && inbox.follow.is_catching_up() {
                    let page: Vec<_> = (inbox.taken.seq + 1..=head).take(3).map(event).collect();
                    inbox.history_read(&page, &limits);
                }
                taken.extend(seqs(&inbox.take(portion)));
                assert!(inbox.events.len() <= 4);
            };
            for (missed, events, bytes) in steps {
                head += 1;
                if !missed { inbox.deliver(&event(head), &limits); }
                if events > 0 { read(&mut inbox, head, Portion { events, bytes: bytes * 300 }); }
            }
            inbox.follow.hear_position(Cursor::new(Epoch::new(1), head));
            while inbox.taken.seq < head { read(&mut inbox, head, ALL); }
            prop_assert_eq!(taken, (from + 1..=head).collect::<Vec<_>>());
        }
    }
}
