//! The pure state of a long poll or event stream: the events that wait for its client.

use std::collections::VecDeque;

use crate::actors::room::live_event::LiveEvent;
use crate::actors::session::settings::SessionSettings;
use crate::actors::subscription::{Disposition, JoinResult, Requested, Subscription};
use crate::actors::worker::queued_bytes::QueuedBytes;
use crate::actors::worker::subscriber::Delivered;
use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;

use super::messages::PageLimits;

/// Events that wait for a client, bounded like the outbox of a socket. Beyond the bound it catches up from the log.
#[derive(Debug)]
pub(super) struct EventBuffer {
    subscription: Subscription,
    /// The position up to which the client has taken everything.
    taken: Cursor,
    events: VecDeque<LiveEvent>,
    bytes: QueuedBytes,
}

impl EventBuffer {
    pub(super) fn joining(room: RoomId) -> Self {
        let subscription = Subscription::joining(room);
        let taken = subscription.sent();
        Self { taken, subscription, events: VecDeque::new(), bytes: QueuedBytes::default() }
    }

    pub(super) fn joined(&mut self, head: Cursor, requested: Requested) -> JoinResult {
        let result = self.subscription.joined(head, requested);
        self.taken = self.subscription.sent();
        result
    }

    /// The position up to which the client has taken everything.
    pub(super) fn taken(&self) -> Cursor {
        self.taken
    }

    pub(super) fn is_catching_up(&self) -> bool {
        self.subscription.is_catching_up()
    }

    fn has_room(&self, event: &LiveEvent, limits: &SessionSettings) -> bool {
        let len = event.event.frame().len();
        let thread = self.events.is_empty() || QueuedBytes::of_thread() + len <= limits.memory_bytes;
        thread && self.events.len() < limits.outbox_frames && self.bytes.get() + len <= limits.outbox_bytes
    }

    fn push(&mut self, event: &LiveEvent) {
        self.bytes.add(event.event.frame().len());
        self.events.push_back(event.clone());
        self.subscription.on_sent(event.event.cursor, None);
    }

    pub(super) fn on_event(&mut self, event: &LiveEvent, limits: &SessionSettings) -> Delivered {
        let cursor = event.event.cursor;
        match self.subscription.on_event(cursor) {
            Disposition::Ignore => Delivered::Ignored,
            Disposition::CatchUp => Delivered::NeedsWake,
            Disposition::Deliver if self.has_room(event, limits) => {
                self.push(event);
                Delivered::Queued
            }
            Disposition::Deliver => {
                self.subscription.start_catch_up(cursor.seq);
                Delivered::NeedsWake
            }
        }
    }

    pub(super) fn on_head(&mut self, head: Cursor) -> Disposition {
        self.subscription.on_head(head)
    }

    /// A page of history; returns how many of its events are queued. An event larger than the bound is queued alone.
    pub(super) fn history_read(&mut self, page: &[LiveEvent], limits: &SessionSettings) -> u64 {
        let mut queued = 0;
        for event in page {
            let (cursor, sent) = (event.event.cursor, self.subscription.sent());
            let is_next = cursor.epoch == sent.epoch && cursor.seq == sent.seq + 1;
            if !is_next || !(self.events.is_empty() || self.has_room(event, limits)) {
                break;
            }
            self.push(event);
            queued += 1;
        }
        self.subscription.finish_page();
        queued
    }

    pub(super) fn history_gone(&mut self, head: Cursor) {
        self.subscription.reset_to(head);
        self.taken = head;
    }

    /// Takes the next events within the limits; at least one if there is any.
    pub(super) fn take(&mut self, limits: PageLimits) -> Vec<LiveEvent> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.events.front() {
            let len = next.event.frame().len();
            if taken.len() >= limits.events || (bytes + len > limits.bytes && !taken.is_empty()) {
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
            // An idle reader keeps no buffer.
            self.events = VecDeque::new();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::cursor::Epoch;
    use crate::domain::event::EventType;
    use crate::domain::ids::{BusinessId, EventId};
    use crate::domain::time::Timestamp;
    use crate::protocol::event::{EncodedEvent, EventData, RoomEvent};

    fn room() -> RoomId {
        RoomId::Business(BusinessId::from_uuid(uuid::Uuid::nil()))
    }

    fn event(seq: u64) -> LiveEvent {
        let event = RoomEvent {
            room: room(),
            cursor: Cursor::new(Epoch::new(1), seq),
            id: EventId::from_uuid(uuid::Uuid::nil()),
            kind: EventType::Notification.into(),
            at: Timestamp::from_micros(0),
            data: EventData::empty(),
        };
        LiveEvent { event: EncodedEvent::new(&event), committed_at: None }
    }

    fn buffer(head: u64, from: u64) -> EventBuffer {
        let mut buffer = EventBuffer::joining(room());
        let at = |seq| Cursor::new(Epoch::new(1), seq);
        buffer.joined(at(head), Requested::From(at(from)));
        buffer
    }

    fn seqs(events: &[LiveEvent]) -> Vec<u64> {
        events.iter().map(|e| e.event.cursor.seq).collect()
    }

    const ALL: PageLimits = PageLimits { events: usize::MAX, bytes: usize::MAX };

    #[test]
    fn a_client_takes_no_more_than_its_portion_and_an_event_beyond_it_alone() {
        let limits = SessionSettings::default();
        let mut buffer = buffer(5, 0);
        buffer.history_read(&(1..=5).map(event).collect::<Vec<_>>(), &limits);
        let len = event(1).event.frame().len();
        assert_eq!(seqs(&buffer.take(PageLimits { events: 1, bytes: usize::MAX })), [1]);
        assert_eq!(seqs(&buffer.take(PageLimits { events: 9, bytes: 2 * len })), [2, 3]);
        assert_eq!(seqs(&buffer.take(PageLimits { events: 9, bytes: 1 })), [4]);
        assert_eq!((buffer.taken.seq, buffer.bytes.get()), (4, len));
        assert_eq!(seqs(&buffer.take(ALL)), [5]);
        assert_eq!((buffer.take(ALL).len(), buffer.bytes.get()), (0, 0));
    }

    #[test]
    fn what_waits_is_bounded_and_the_rest_is_read_from_the_log() {
        let limits = SessionSettings { outbox_frames: 2, ..Default::default() };
        let mut buffer = buffer(0, 0);
        let deliveries: Vec<_> = (1..=4).map(|seq| buffer.on_event(&event(seq), &limits)).collect();
        assert_eq!(
            deliveries,
            [Delivered::Queued, Delivered::Queued, Delivered::NeedsWake, Delivered::Ignored]
        );
        assert_eq!(buffer.history_read(&[event(3)], &limits), 0, "nothing is read before there is room");
        assert_eq!(seqs(&buffer.take(ALL)), [1, 2]);
        assert_eq!(buffer.history_read(&[event(3), event(4)], &limits), 2);
        assert!(!buffer.subscription.is_catching_up());
        let small = SessionSettings { outbox_bytes: 1, ..Default::default() };
        assert_eq!(seqs(&buffer.take(ALL)), [3, 4]);
        assert_eq!(buffer.on_event(&event(5), &small), Delivered::NeedsWake);
        assert_eq!(buffer.history_read(&[event(5), event(6)], &small), 1, "larger than the bound: alone");
    }

    proptest! {
        /// Events come in order but any may be missed, and the client takes what it likes when it likes.
        #[test]
        fn every_event_is_taken_once_and_in_order_however_slow_the_client_is(
            from in 0u64..20, steps in prop::collection::vec((any::<bool>(), 0usize..6, 1usize..5), 0..60),
        ) {
            let limits = SessionSettings { outbox_frames: 4, ..Default::default() };
            let (mut buffer, mut head, mut taken) = (buffer(20, from), 20, Vec::new());
            let mut read = |buffer: &mut EventBuffer, head: u64, limits_of_page: PageLimits| {
                if buffer.events.is_empty() && buffer.subscription.is_catching_up() {
                    let page: Vec<_> = (buffer.taken.seq + 1..=head).take(3).map(event).collect();
                    buffer.history_read(&page, &limits);
                }
                taken.extend(seqs(&buffer.take(limits_of_page)));
                assert!(buffer.events.len() <= 4);
            };
            for (missed, events, bytes) in steps {
                head += 1;
                if !missed { buffer.on_event(&event(head), &limits); }
                if events > 0 { read(&mut buffer, head, PageLimits { events, bytes: bytes * 300 }); }
            }
            buffer.subscription.on_head(Cursor::new(Epoch::new(1), head));
            while buffer.taken.seq < head { read(&mut buffer, head, ALL); }
            prop_assert_eq!(taken, (from + 1..=head).collect::<Vec<_>>());
        }
    }
}
