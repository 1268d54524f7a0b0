//! The postman of one worker thread: takes what rooms send and gives it to the switchboard; keeps the thread's
//! clock.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::{
    Actor, ActorFutureExt, AsyncContext, Context, ContextFutureSpawner, Handler, Message, WrapFuture,
};
use tokio::sync::oneshot;

use crate::actors::fatal::FatalGuard;
use crate::actors::mailbox::{Mailbox, NotTaken};
use crate::actors::persistence::SubmitError;
use crate::actors::room::Published;
use crate::domain::cursor::Cursor;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::room::RoomId;
use crate::storage::commands::ReceivedAck;

use super::SessionDeps;
use super::board::{Behind, Switchboard};
use super::changes::{Change, Missed};

/// Messages waiting for one worker thread before rooms are told that it is behind.
const MAILBOX: usize = 8192;

/// Room beyond that for what only [`Postbox::tell`] may send: a count of who is there and a stop, which are rare, so that
/// so many never come together.
const KEPT_FREE: usize = 1024;

/// The thread's clock: heartbeats and expiries are this exact.
const TICK: Duration = Duration::from_secs(1);

/// Events given to members before others on the thread get their turn.
const GIVEN_A_TURN: u64 = 1024;

/// Most acknowledgements in one command.
const ACKS_A_COMMAND: usize = 256;

/// How long acknowledgements of new orders wait for others to share a command with.
const MERGE_WITHIN: Duration = Duration::from_millis(10);

/// The handle to a worker thread's postman. Cheap to clone, safe to use from any thread.
#[derive(Clone)]
pub struct Postbox {
    mailbox: Mailbox<Postman>,
    worker: usize,
    waiting: Arc<AtomicUsize>,
}

impl Postbox {
    /// Which worker thread it belongs to.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Whether the thread still runs.
    pub fn is_open(&self) -> bool {
        self.mailbox.is_open()
    }

    /// Sends an event to the members of a room on this thread; refused when too much waits there.
    pub(in crate::actors) fn deliver(&self, room: RoomId, published: Published) -> Result<(), NotTaken> {
        self.offer(Post::Event(room, published))
    }

    /// Tells the members of a room on this thread where it stands.
    pub(in crate::actors) fn position(&self, room: RoomId, head: Cursor) -> Result<(), NotTaken> {
        self.offer(Post::Position(room, head))
    }

    /// Lets the thread look at what has changed. One that has no room for this looks by itself: before the next message it
    /// handles, and once a second.
    pub(super) fn nudge(&self) {
        let _ = self.offer(Post::Look);
    }

    /// Tells what is not repeated, however many events wait there: room is kept for it ([`KEPT_FREE`]). Refused when that
    /// is taken too or the thread is gone.
    pub(super) fn tell(&self, post: Post) -> Result<(), NotTaken> {
        self.send(post, MAILBOX + KEPT_FREE)
    }

    /// Tells what is asked again if it gets lost; refused when too much waits there.
    pub(super) fn offer(&self, post: Post) -> Result<(), NotTaken> {
        self.send(post, MAILBOX)
    }

    /// Sends while fewer than `most` wait.
    fn send(&self, post: Post, most: usize) -> Result<(), NotTaken> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= most {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(NotTaken::Full);
        }
        self.mailbox.offer(post).inspect_err(|_| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        })
    }
}

/// What a worker thread is told.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) enum Post {
    /// An event of a room.
    Event(RoomId, Published),
    /// Where a room stands.
    Position(RoomId, Cursor),
    /// Store what devices acknowledge now, and not only at the next flush: a new order is among it.
    FlushSoon,
    /// Look at what has changed.
    Look,
    /// A user has no place for one more socket: are the others there?
    Probe(UserId),
    /// Who has a socket open?
    Census(oneshot::Sender<Vec<SessionId>>),
    /// The node goes down: tell clients to come back within this time, flush, and say when that is done.
    Restart(Duration, oneshot::Sender<()>),
}

pub(super) struct Postman {
    board: Rc<Switchboard>,
    waiting: Arc<AtomicUsize>,
    flushing: Flushing,
    last_flush: Instant,
    /// Events given to members since others had their turn.
    given: u64,
    /// Changes acted on.
    seen: u64,
    /// Without its postman a thread's devices would be deaf and be told that they are alive.
    guard: Option<FatalGuard>,
}

#[derive(PartialEq, Eq)]
enum Flushing {
    Idle,
    Under,
}

impl Postman {
    /// Starts the postman of the thread this is called on, with its switchboard.
    pub(super) fn start_here(worker: usize, deps: SessionDeps) -> Rc<Switchboard> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let guard = deps.fatal.guard("the postman of a worker thread");
        let mut board = None;
        Self::create(|ctx| {
            // The count is the bound, not this.
            ctx.set_mailbox_capacity(MAILBOX + KEPT_FREE + 2);
            let postbox = Postbox { mailbox: Mailbox::new(ctx.address()), worker, waiting: waiting.clone() };
            let switchboard = Rc::new(Switchboard::new(postbox, deps));
            board = Some(switchboard.clone());
            let seen = switchboard.deps.changes.count();
            Self {
                board: switchboard,
                waiting,
                seen,
                flushing: Flushing::Idle,
                last_flush: Instant::now(),
                given: 0,
                guard: Some(guard),
            }
        });
        board.expect("create runs its closure before it returns")
    }

    /// Acts on what has changed since it last looked: a comparison of two numbers when nothing has.
    fn look(&mut self) {
        let changes = &self.board.deps.changes;
        if changes.count() == self.seen {
            return;
        }
        let (missed, seen) = changes.since(self.seen);
        self.seen = seen;
        match missed {
            Missed::Changes(changes) => changes.into_iter().for_each(|change| match change {
                Change::SessionEnded(session) => self.board.end_session(session),
                Change::RoomsOf(user) => self.board.check_rooms(user),
            }),
            Missed::Everything => self.board.check_everybody(),
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.look();
        self.board.tick(now);
        let depth = i64::try_from(self.waiting.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        let worker = self.board.postbox.worker().to_string();
        self.board.deps.metrics.mailbox_depth.with_label_values(&[&format!("postman_{worker}")]).set(depth);
        if now.duration_since(self.last_flush) >= Duration::from_millis(self.board.deps.settings.ack_flush_ms)
        {
            self.last_flush = now;
            self.flush(ctx);
        }
        self.rejoin(ctx);
    }

    /// Stores what devices have acknowledged, merged. What could not be stored waits for the next flush.
    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.flushing == Flushing::Under {
            return;
        }
        let acks = self.board.take_acks(ACKS_A_COMMAND);
        if acks.is_empty() {
            return;
        }
        self.flushing = Flushing::Under;
        let persistence = self.board.deps.persistence.clone();
        let acks: Arc<[ReceivedAck]> = acks.into();
        async move { (persistence.store_acks(acks.clone()).await, acks) }
            .into_actor(self)
            .map(|(stored, acks), postman: &mut Self, ctx| {
                postman.flushing = Flushing::Idle;
                match stored {
                    Ok(()) => postman.flush(ctx),
                    // They would be refused again, or take as long again. What a device says next says the same and more.
                    Err(SubmitError::Refused | SubmitError::TooSlow) => {}
                    Err(SubmitError::Overloaded | SubmitError::Unavailable | SubmitError::OutcomeUnknown) => {
                        acks.iter().for_each(|ack| postman.board.keep_ack(ack.clone()));
                    }
                }
            })
            .spawn(ctx);
    }

    /// A room whose actor has ended is begun again from the store, and its members here compare positions.
    fn rejoin(&self, ctx: &mut Context<Self>) {
        for room in self.board.rooms() {
            let deps = &self.board.deps;
            if deps.rooms.is_running(&room) {
                continue;
            }
            let (rooms, postbox) = (deps.rooms.clone(), self.board.postbox.clone());
            async move { rooms.join(room, postbox).await }
                .into_actor(self)
                .map(move |joined, postman: &mut Self, _| match joined {
                    Ok(head) => postman.board.position(room, head),
                    Err(error) => tracing::warn!(%room, %error, "a room could not be begun again"),
                })
                .spawn(ctx);
        }
    }
}

impl Actor for Postman {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TICK, Self::tick);
    }
}

impl Handler<Post> for Postman {
    type Result = ();

    fn handle(&mut self, post: Post, ctx: &mut Self::Context) {
        let more = self.waiting.fetch_sub(1, Ordering::Relaxed) > 1;
        self.look();
        match post {
            Post::Event(room, published) => {
                let behind = if more { Behind::More } else { Behind::Nothing };
                self.given += self.board.deliver(room, &published, behind);
                if self.given >= GIVEN_A_TURN {
                    self.given = 0;
                    // The mailbox would go on until it is empty: now the sessions write, and everybody else gets a turn.
                    tokio::task::yield_now().into_actor(self).wait(ctx);
                }
            }
            Post::Position(room, head) => self.board.position(room, head),
            Post::FlushSoon => {
                ctx.run_later(MERGE_WITHIN, |postman, ctx| {
                    postman.board.flushes_now();
                    postman.flush(ctx);
                });
            }
            // It has looked.
            Post::Look => {}
            Post::Probe(user) => self.board.probe(user),
            Post::Census(answer) => {
                let _ = answer.send(self.board.signed_in());
            }
            Post::Restart(spread, done) => {
                if let Some(guard) = self.guard.take() {
                    guard.disarm();
                }
                self.board.restart(spread);
                self.flush(ctx);
                let _ = done.send(());
            }
        }
    }
}
