//! The switchboard of one worker thread: which of its sessions and readers hear which room, and the acknowledgements
//! that wait for the next flush. Lives and dies on its thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;

use crate::actors::room::Published;
use crate::domain::cursor::Cursor;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::room::RoomId;
use crate::storage::commands::{Reach, ReceivedAck};

use super::effect::Delivery;
use super::line::{Errand, Line};
use super::postman::Post;
use super::reader::{Ending, Slot};
use super::state::SessionState;
use super::{Postbox, SessionDeps};

/// Acknowledgements that may wait on one thread: 10,000 sockets in a few rooms each.
const MAX_ACKS: usize = 65_536;

/// Sockets written to before other threads may have the core: about a millisecond's work. A large room would otherwise
/// keep the store's writer, and whoever reads on the same machine, waiting for a whole slice of the scheduler.
const WRITES_A_TURN: usize = 128;

/// A key of a session or a reader on its switchboard.
pub(super) type SessionKey = u64;

/// See the module's words.
pub struct Switchboard {
    pub(super) postbox: Postbox,
    pub(super) deps: SessionDeps,
    inner: RefCell<Inner>,
    /// The postman has been asked for a flush that has not begun.
    flushes_soon: Cell<bool>,
    /// Observations of this thread, handed to the shared histogram by the tick.
    pub(super) delivery_seconds: RefCell<prometheus::local::LocalHistogram>,
}

#[derive(Default)]
struct Inner {
    next_key: SessionKey,
    sessions: HashMap<SessionKey, Rc<Line>>,
    readers: HashMap<SessionKey, Rc<Slot>>,
    rooms: HashMap<RoomId, Members>,
    acks: HashMap<(RoomId, String, Reach), ReceivedAck>,
    service: Service,
}

/// Who hears a room on this thread.
#[derive(Default)]
struct Members {
    sessions: Vec<(SessionKey, Rc<Line>)>,
    readers: Vec<(SessionKey, Rc<Slot>)>,
}

/// Whether clients are told to come back later.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Service {
    #[default]
    Open,
    Restarting,
}

/// What waits for this thread behind an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// Nothing: there is time to write to every socket.
    Nothing,
    /// More: sessions write what has come together, in turn with everybody else on the thread.
    More,
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
        Self { postbox, deps, inner: RefCell::default(), flushes_soon: Cell::new(false), delivery_seconds }
    }

    /// Takes a session on; one that comes while the node goes down is told to come back at once.
    pub(super) fn add(&self, session: Rc<Line>) -> SessionKey {
        let mut inner = self.inner.borrow_mut();
        let key = inner.next_key;
        inner.next_key += 1;
        if inner.service == Service::Restarting {
            session.state.borrow_mut().restart(Duration::ZERO);
        }
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

    /// Gives an event to a room's sockets and readers here. When nothing waits behind it, it is written to the sockets
    /// at once, since to wake each session for a write of its own costs more; else, and where a socket does not take it,
    /// it waits in outboxes. Says how many it was given to.
    pub(super) fn deliver(&self, room: RoomId, published: &Published, behind: Behind) -> u64 {
        let inner = self.inner.borrow();
        let Some(members) = inner.rooms.get(&room) else {
            self.is_deserted(room);
            return 0;
        };
        let mut queued = 0u64;
        let write_to_all = std::future::poll_fn(|_| {
            for sessions in members.sessions.chunks(WRITES_A_TURN) {
                queued += sessions.iter().map(|(_, s)| self.give(s, room, published, behind)).sum::<u64>();
                if sessions.len() == WRITES_A_TURN {
                    std::thread::yield_now();
                }
            }
            Poll::Ready(())
        });
        // The budget of the postman's task is that of one socket, and these are many.
        tokio::task::unconstrained(write_to_all).now_or_never();
        for (_, reader) in &members.readers {
            if reader.deliver(published, &self.deps.settings) == Delivery::Queued {
                queued += 1;
            }
        }
        self.deps.live_deliveries.inc_by(queued);
        queued
    }

    /// Nobody here hears the room any more, which its actor does not know: it was too busy when it was told.
    fn is_deserted(&self, room: RoomId) {
        self.deps.rooms.leave(room, self.postbox.worker());
    }

    /// Gives an event to one session; how many times it will be sent.
    fn give(&self, session: &Line, room: RoomId, published: &Published, behind: Behind) -> u64 {
        let settings = &self.deps.settings;
        // Before it counts as slow: perhaps only this thread was.
        if session.state.borrow().outbox.is_half_full(settings) {
            session.relieve(&self.delivery_seconds);
        }
        let delivery = session.state.borrow_mut().deliver(published, room, settings, Instant::now());
        match delivery {
            Delivery::Queued if behind == Behind::Nothing => session.write_now(&self.delivery_seconds),
            Delivery::Queued | Delivery::Wake => session.wake(),
            Delivery::Nothing => {}
        }
        u64::from(delivery == Delivery::Queued)
    }

    /// Tells a room's members here where it stands.
    pub(super) fn position(&self, room: RoomId, head: Cursor) {
        let inner = self.inner.borrow();
        let Some(members) = inner.rooms.get(&room) else { return self.is_deserted(room) };
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
    fn each(&self, wanted: impl Fn(&SessionState) -> bool, mut act: impl FnMut(&Line)) {
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

    /// Asks the silent sockets of a user whether they are there: those that are not end within `sessions.pong_s`.
    pub(super) fn probe(&self, user: UserId) {
        let now = Instant::now();
        self.each(|s| s.is_of(user), |s| s.state.borrow_mut().probe(now));
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

    /// Looks at everybody: whether their sign-ins have ended, and whether they may be where they are.
    pub(super) fn check_everybody(&self) {
        use crate::protocol::close::CloseReason::SessionEnded;
        let ended = |session| self.deps.credentials.has_ended(session);
        self.each(|s| ended(s.principal.session), |s| s.state.borrow_mut().close(SessionEnded));
        self.each(|_| true, |s| s.errand.set(Errand::CheckRooms));
        for reader in self.inner.borrow().readers.values() {
            if ended(reader.who.session) {
                reader.end(Ending::now(SessionEnded));
            }
            reader.ask_access();
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

    /// Keeps an acknowledgement for the next flush; a newer one of the same device and room replaces it. With too many
    /// waiting a new one is dropped: the store is away for long, and the device's next one says the same and more.
    pub(super) fn keep_ack(&self, received: ReceivedAck) {
        let mut inner = self.inner.borrow_mut();
        let full = inner.acks.len() >= MAX_ACKS;
        match inner.acks.entry((received.ack.room, received.ack.device.clone(), received.reach)) {
            std::collections::hash_map::Entry::Vacant(_) if full => {}
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(received);
            }
            std::collections::hash_map::Entry::Occupied(mut slot) => {
                let (known, cursor) = (slot.get().ack.cursor, received.ack.cursor);
                if known.epoch != cursor.epoch || known.seq < cursor.seq {
                    slot.insert(received);
                }
            }
        }
    }

    /// The same, and soon: what waits is stored within some ten milliseconds. A postman with too much to do stores it at the next
    /// flush.
    pub(super) fn store_ack_soon(&self, received: ReceivedAck) {
        self.keep_ack(received);
        if !self.flushes_soon.replace(true) && self.postbox.tell(Post::FlushSoon).is_err() {
            self.flushes_soon.set(false);
        }
    }

    /// The flush that was asked for begins.
    pub(super) fn flushes_now(&self) {
        self.flushes_soon.set(false);
    }

    /// Takes at most `max` of the acknowledgements that wait.
    pub(super) fn take_acks(&self, max: usize) -> Vec<ReceivedAck> {
        let mut inner = self.inner.borrow_mut();
        if inner.acks.len() <= max {
            return std::mem::take(&mut inner.acks).into_values().collect();
        }
        let keys: Vec<_> = inner.acks.keys().take(max).cloned().collect();
        keys.iter().filter_map(|key| inner.acks.remove(key)).collect()
    }
}
