//! The pure state of a room: its position, its last events, the events that arrived too early, and the signs that the
//! store is an older copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::cursor::{Cursor, Head};
use crate::domain::ids::EventId;

use super::live_event::{History, LiveEvent};
use super::memory::{BudgetedRing, Reserved, RoomMemory};
use super::ring_buffer::{Lookup, cost};
use super::settings::RoomSettings;

/// Most events that wait for those before them; beyond this many the store is asked at once.
const MAX_REORDERED: usize = 64;

/// Work for the actor after a change of the state.
#[derive(Debug, Default)]
pub(super) struct RoomEffects {
    /// Events for every listener, in order.
    pub(super) deliver: Vec<LiveEvent>,
    /// The events after the head have to be read from the store.
    pub(super) repair: Option<Repair>,
    /// The store may be an older copy, or is one.
    pub(super) identity: Option<Identity>,
}

/// Urgency of a read from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// The missing events may be on their way: look again in a moment.
    Soon,
    /// The missing events will not come by themselves.
    Now,
}

/// Suspicion that the store is an older copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Two looks in a row showed less than was known before: read the head once more, and answer with
    /// [`RoomState::on_compared`].
    Doubted,
    /// It is an older copy: the room needs a new epoch. No event of this epoch is delivered any more.
    Lost(Loss),
}

/// Evidence that the store is an older copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It ends before what was committed.
    StoreBehind,
    /// Another event has the same position.
    OtherEvent,
}

impl Loss {
    /// The label value in the metric.
    pub(super) const fn cause(self) -> &'static str {
        match self {
            Self::StoreBehind => "store_behind",
            Self::OtherEvent => "other_event",
        }
    }
}

/// A room's position with the event at it, its ring, and the events that arrived too early.
#[derive(Debug)]
pub(super) struct RoomState {
    head: Head,
    ring: BudgetedRing,
    reorder_buffer: BTreeMap<u64, (LiveEvent, Reserved)>,
    memory: Arc<RoomMemory>,
    /// The number of the store's last event as of the last look.
    store_head: u64,
    /// The head when the store was first seen to end before it.
    doubted: Option<u64>,
    /// The store turned out to be an older copy, until the room has its new epoch.
    lost: Option<Loss>,
}

impl RoomState {
    pub(super) fn new(head: Head, settings: &RoomSettings, memory: Arc<RoomMemory>) -> Self {
        Self {
            head,
            ring: BudgetedRing::new(settings.ring_events, settings.ring_bytes, memory.clone()),
            reorder_buffer: BTreeMap::new(),
            memory,
            store_head: head.cursor.seq,
            doubted: None,
            lost: None,
        }
    }

    pub(super) const fn head(&self) -> Cursor {
        self.head.cursor
    }

    /// The evidence, from its finding until the room has its new epoch.
    pub(super) const fn lost(&self) -> Option<Loss> {
        self.lost
    }

    /// The number after which a repair reads. The last known event is read again, so that the two can be compared, where
    /// its id is known.
    pub(super) fn repair_after(&self) -> u64 {
        self.head.cursor.seq - u64::from(self.head.last.is_some() && self.head.cursor.seq > 0)
    }

    /// Takes an event from a writer of this node, from the bus or from the store. Known events change nothing.
    pub(super) fn on_event(&mut self, live: LiveEvent) -> RoomEffects {
        let (cursor, id) = (live.event.cursor, live.event.id);
        if cursor.epoch != self.head.cursor.epoch {
            let before = Head { cursor: Cursor::new(cursor.epoch, cursor.seq - 1), last: None };
            return self.change_epoch(before, Some(live));
        }
        if self.lost.is_some() {
            return RoomEffects::default();
        }
        let known = match self.reorder_buffer.get(&cursor.seq) {
            Some((early, _)) => Some(early.event.id),
            None if cursor.seq <= self.head.cursor.seq => self.id_at(cursor.seq),
            None => None,
        };
        if known.is_some_and(|known| known != id) {
            return self.lose(Loss::OtherEvent);
        }
        let mut effects = RoomEffects::default();
        if cursor.seq <= self.head.cursor.seq {
            return effects;
        }
        if cursor.seq == self.head.cursor.seq + 1 {
            self.append(live, &mut effects);
            while let Some((next, _)) = self.reorder_buffer.remove(&(self.head.cursor.seq + 1)) {
                self.append(next, &mut effects);
            }
        } else if known.is_none() {
            self.keep_early(live, &mut effects);
        }
        if self.reorder_buffer.len() > MAX_REORDERED {
            // The newest are the cheapest to read again.
            self.reorder_buffer.pop_last();
            effects.repair = Some(Repair::Now);
        } else if !self.reorder_buffer.is_empty() {
            effects.repair = effects.repair.or(Some(Repair::Soon));
        }
        effects
    }

    /// Keeps an event until those before it have arrived; without memory for it they are read from the store.
    fn keep_early(&mut self, live: LiveEvent, effects: &mut RoomEffects) {
        match self.memory.reserve(cost(&live)) {
            Some(reserved) => {
                self.reorder_buffer.insert(live.event.cursor.seq, (live, reserved));
            }
            None => effects.repair = Some(Repair::Now),
        }
    }

    fn append(&mut self, next: LiveEvent, effects: &mut RoomEffects) {
        self.head = Head { cursor: next.event.cursor, last: Some(next.event.id) };
        self.ring.push(next.clone());
        effects.deliver.push(next);
    }

    fn id_at(&self, seq: u64) -> Option<EventId> {
        if seq == self.head.cursor.seq { self.head.last } else { self.ring.id_at(seq) }
    }

    /// Takes the store's head of this room. A room that is behind it for a second look in a row has missed an event; a head
    /// that is behind the room for a second look means that the store may be an older copy.
    pub(super) fn on_watermark(&mut self, store: Head) -> RoomEffects {
        if store.cursor.epoch != self.head.cursor.epoch {
            return self.change_epoch(store, None);
        }
        if self.lost.is_some() {
            return RoomEffects::default();
        }
        let (seq, ours) = (store.cursor.seq, self.head.cursor.seq);
        if let (Some(theirs), Some(known)) = (store.last, self.id_at(seq))
            && theirs != known
        {
            return self.lose(Loss::OtherEvent);
        }
        let missed = ours < self.store_head.min(seq);
        self.store_head = seq;
        let mut effects = RoomEffects { repair: missed.then_some(Repair::Now), ..RoomEffects::default() };
        if seq >= ours {
            self.doubted = None;
        } else if self.doubted.is_some_and(|doubted| seq < doubted) {
            effects.identity = Some(Identity::Doubted);
        } else {
            // What was committed since the look began is above it.
            self.doubted = Some(ours);
        }
        effects
    }

    /// Takes the store's head after messages were lost: one look is enough to know that the room has missed an event.
    pub(super) fn on_loss(&mut self, store: Head) -> RoomEffects {
        if store.cursor.epoch == self.head.cursor.epoch {
            self.store_head = self.store_head.max(store.cursor.seq);
        }
        self.on_watermark(store)
    }

    /// Takes the store's head, read after this room stood at `before`: a store that ends earlier has lost events.
    pub(super) fn on_compared(&mut self, before: Cursor, store: Head) -> RoomEffects {
        let same_epoch = before.epoch == self.head.cursor.epoch && store.cursor.epoch == before.epoch;
        if same_epoch && self.lost.is_none() && store.cursor.seq < before.seq {
            return self.lose(Loss::StoreBehind);
        }
        self.on_watermark(store)
    }

    fn lose(&mut self, loss: Loss) -> RoomEffects {
        self.lost = Some(loss);
        RoomEffects { identity: Some(Identity::Lost(loss)), ..RoomEffects::default() }
    }

    /// Whether an event before the last known one is still missing.
    pub(super) fn is_behind(&self) -> bool {
        self.lost.is_none() && (!self.reorder_buffer.is_empty() || self.head.cursor.seq < self.store_head)
    }

    /// At most `limit` events after `after`, or where to find them.
    pub(super) fn history(&self, after: Cursor, limit: usize) -> History {
        let head = self.head.cursor;
        if after.epoch != head.epoch || after.seq > head.seq {
            return History::Gone(head);
        }
        if after.seq == head.seq {
            return History::Events(Vec::new());
        }
        match self.ring.after(after.seq, limit) {
            Lookup::Events(events) => History::Events(events),
            Lookup::TooOld => History::InStore(head),
        }
    }

    /// The store goes on in another epoch: nothing known holds any more.
    fn change_epoch(&mut self, head: Head, next: Option<LiveEvent>) -> RoomEffects {
        self.head = head;
        self.store_head = head.cursor.seq;
        self.doubted = None;
        self.lost = None;
        self.ring.clear();
        self.reorder_buffer.clear();
        match next {
            Some(live) => self.on_event(live),
            None => RoomEffects::default(),
        }
    }
}

#[cfg(test)]
mod tests;
