//! The switchboard of one worker thread: which of its sessions and readers hear which room, and the acknowledgements
//! that wait for the next flush. Lives and dies on its thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::actors::room::Published;
use crate::domain::cursor::Cursor;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::room::RoomId;
use crate::storage::command::DeviceAck;

use super::effect::Delivery;
use super::reader::{Ending, Slot};
use super::state::SessionState;
use super::{Postbox, SessionDeps};

/// What a session shares with the switchboard of its thread.
pub(super) struct Shared {
    pub(super) state: RefCell<SessionState>,
    waker: RefCell<Option<Waker>>,
    /// When its next tick is worth anything.
    pub(super) next_tick: Cell<Instant>,
    /// What the switchboard asked of it since it last ran.
    pub(super) errand: Cell<Errand>,
}

/// What a session is woken for besides its outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// Nothing.
    None,
    /// Look at the clock.
    Tick,
    /// Ask again whether its user may be in its rooms.
    CheckRooms,
}

impl Shared {
    pub(super) fn new(state: SessionState, now: Instant) -> Self {
        Self {
            state: RefCell::new(state),
            waker: RefCell::new(None),
            next_tick: Cell::new(now),
            errand: Cell::new(Errand::None),
        }
    }

    pub(super) fn remember(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

/// Acknowledgements that may wait on one thread: 10,000 sockets in a few rooms each.
const MAX_ACKS: usize = 65_536;

/// A key of a session or a reader on its switchboard.
pub(super) type SessionKey = u64;

/// See the module's words.
pub struct Switchboard {
    pub(super) postbox: Postbox,
    pub(super) deps: SessionDeps,
    inner: RefCell<Inner>,
    /// Observations of this thread, handed to the shared histogram by the tick.
    pub(super) delivery_seconds: RefCell<prometheus::local::LocalHistogram>,
}

#[derive(Default)]
struct Inner {
    next_key: SessionKey,
    sessions: HashMap<SessionKey, Rc<Shared>>,
    readers: HashMap<SessionKey, Rc<Slot>>,
    rooms: HashMap<RoomId, Members>,
    acks: HashMap<(RoomId, String), DeviceAck>,
    service: Service,
}

/// Who hears a room on this thread.
#[derive(Default)]
struct Members {
    sessions: Vec<(SessionKey, Rc<Shared>)>,
    readers: Vec<(SessionKey, Rc<Slot>)>,
}

/// Whether clients are told to come back later.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Service {
    #[default]
    Open,
    Restarting,
}

/// Whether a worker's part in a room has just begun or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    /// The worker had members before, or still has.
    Unchanged,
    /// The first came, or the last went.
    Changed,
}

impl Switchboard {
    pub(super) fn new(postbox: Postbox, deps: SessionDeps) -> Self {
        let delivery_seconds = RefCell::new(deps.metrics.event_delivery_seconds.local());
        Self { postbox, deps, inner: RefCell::default(), delivery_seconds }
    }

    pub(super) fn add(&self, session: Rc<Shared>) -> SessionKey {
        let mut inner = self.inner.borrow_mut();
        let key = inner.next_key;
        inner.next_key += 1;
        inner.sessions.insert(key, session);
        key
    }

    /// Takes a reader on; one that comes while the node goes down is ended at once.
    pub(super) fn add_reader(&self, reader: Rc<Slot>) -> SessionKey {
        let mut inner = self.inner.borrow_mut();
        let key = inner.next_key;
        inner.next_key += 1;
        if inner.service == Service::Restarting {
            reader.end(Ending::restart(Duration::ZERO));
        }
        inner.readers.insert(key, reader);
        key
    }

    /// Lets a session or a reader hear a room.
    pub(super) fn enter(&self, room: RoomId, key: SessionKey) {
        let mut inner = self.inner.borrow_mut();
        if let Some(session) = inner.sessions.get(&key).cloned() {
            let sessions = &mut inner.rooms.entry(room).or_default().sessions;
            if !sessions.iter().any(|(k, _)| *k == key) {
                sessions.push((key, session));
            }
        } else if let Some(reader) = inner.readers.get(&key).cloned() {
            inner.rooms.entry(room).or_default().readers.push((key, reader));
        }
    }

    pub(super) fn leave(&self, room: RoomId, key: SessionKey) -> Membership {
        let mut inner = self.inner.borrow_mut();
        let Some(members) = inner.rooms.get_mut(&room) else { return Membership::Unchanged };
        if let Some(index) = members.sessions.iter().position(|(k, _)| *k == key) {
            members.sessions.swap_remove(index);
        } else if let Some(index) = members.readers.iter().position(|(k, _)| *k == key) {
            members.readers.swap_remove(index);
        }
        if members.sessions.is_empty() && members.readers.is_empty() {
            inner.rooms.remove(&room);
            return Membership::Changed;
        }
        Membership::Unchanged
    }

    /// Takes a session or a reader off the board and out of its rooms; gives the rooms that have nobody here any more.
    pub(super) fn remove(&self, key: SessionKey, rooms: impl Iterator<Item = RoomId>) -> Vec<RoomId> {
        let emptied = rooms.filter(|room| self.leave(*room, key) == Membership::Changed).collect();
        let mut inner = self.inner.borrow_mut();
        inner.sessions.remove(&key);
        inner.readers.remove(&key);
        emptied
    }

    /// Puts an event into the outboxes and slots of a room's members here.
    pub(super) fn deliver(&self, room: RoomId, published: &Published) {
        let now = Instant::now();
        let inner = self.inner.borrow();
        let Some(members) = inner.rooms.get(&room) else { return };
        let mut queued = 0u64;
        for (_, session) in &members.sessions {
            let delivery = session.state.borrow_mut().deliver(published, room, &self.deps.settings, now);
            match delivery {
                Delivery::Queued => {
                    queued += 1;
                    session.wake();
                }
                Delivery::Wake => session.wake(),
                Delivery::Nothing => {}
            }
        }
        for (_, reader) in &members.readers {
            if reader.deliver(published, &self.deps.settings) == Delivery::Queued {
                queued += 1;
            }
        }
        self.deps.live_deliveries.inc_by(queued);
    }

    /// Tells a room's members here where it stands.
    pub(super) fn position(&self, room: RoomId, head: Cursor) {
        let inner = self.inner.borrow();
        let Some(members) = inner.rooms.get(&room) else { return };
        for (_, session) in &members.sessions {
            let delivery = session.state.borrow_mut().position(room, head);
            if delivery != Delivery::Nothing {
                session.wake();
            }
        }
        for (_, reader) in &members.readers {
            reader.position(head);
        }
    }

    /// Wakes sessions whose next tick has come.
    pub(super) fn tick(&self, now: Instant) {
        for session in self.inner.borrow().sessions.values() {
            if session.next_tick.get() <= now {
                if session.errand.get() == Errand::None {
                    session.errand.set(Errand::Tick);
                }
                session.wake();
            }
        }
        self.delivery_seconds.borrow_mut().flush();
    }

    /// Does something to every session that `wanted` picks, and wakes it.
    fn each(&self, wanted: impl Fn(&SessionState) -> bool, mut act: impl FnMut(&Shared)) {
        for session in self.inner.borrow().sessions.values() {
            if wanted(&session.state.borrow()) {
                act(session);
                session.wake();
            }
        }
    }

    /// Ends the sockets and readers of a sign-in that has ended.
    pub(super) fn end_session(&self, ended: SessionId) {
        use crate::protocol::close::CloseReason::SessionEnded;
        self.each(|s| s.principal.session == ended, |s| s.state.borrow_mut().close(SessionEnded));
        for reader in self.inner.borrow().readers.values() {
            if reader.who.session == ended {
                reader.end(Ending::now(SessionEnded));
            }
        }
    }

    /// Lets the sockets and readers of a user ask again whether they may be where they are.
    pub(super) fn check_rooms(&self, user: UserId) {
        self.each(|s| s.is_of(user), |s| s.errand.set(Errand::CheckRooms));
        for reader in self.inner.borrow().readers.values() {
            if reader.who.user == user {
                reader.ask_access();
            }
        }
    }

    /// Tells every client to come back, spread over `spread`, and closes.
    pub(super) fn restart(&self, spread: Duration) {
        self.inner.borrow_mut().service = Service::Restarting;
        let clients = self.inner.borrow().sessions.len() + self.inner.borrow().readers.len();
        let count = u32::try_from(clients.max(1)).unwrap_or(u32::MAX);
        let mut index = 0u32;
        let mut next = || {
            // The middle of each one's share, so that even a single client does not come back at once.
            let after = spread * (2 * index + 1) / (2 * count);
            index += 1;
            after
        };
        self.each(|_| true, |session| session.state.borrow_mut().restart(next()));
        for reader in self.inner.borrow().readers.values() {
            reader.end(Ending::restart(next()));
        }
    }

    /// The sign-ins that have a socket or a stream open here, one for each.
    pub(super) fn signed_in(&self) -> Vec<SessionId> {
        let inner = self.inner.borrow();
        let sockets = inner.sessions.values().map(|s| s.state.borrow().principal.session);
        sockets.chain(inner.readers.values().map(|r| r.who.session)).collect()
    }

    /// Rooms with members here.
    pub(super) fn rooms(&self) -> Vec<RoomId> {
        self.inner.borrow().rooms.keys().copied().collect()
    }

    /// Keeps an acknowledgement for the next flush; a newer one of the same device and room replaces it.
    pub(super) fn keep_ack(&self, ack: DeviceAck) {
        let mut inner = self.inner.borrow_mut();
        // With the store away for long; the device's next acknowledgement says the same and more.
        if inner.acks.len() >= MAX_ACKS {
            return;
        }
        match inner.acks.entry((ack.room, ack.device.clone())) {
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(ack);
            }
            std::collections::hash_map::Entry::Occupied(mut slot) => {
                let known = slot.get().cursor;
                if known.epoch != ack.cursor.epoch || known.seq < ack.cursor.seq {
                    slot.insert(ack);
                }
            }
        }
    }

    /// Takes at most `max` of the acknowledgements that wait.
    pub(super) fn take_acks(&self, max: usize) -> Vec<DeviceAck> {
        let mut inner = self.inner.borrow_mut();
        if inner.acks.len() <= max {
            return std::mem::take(&mut inner.acks).into_values().collect();
        }
        let keys: Vec<_> = inner.acks.keys().take(max).cloned().collect();
        keys.iter().filter_map(|key| inner.acks.remove(key)).collect()
    }
}
