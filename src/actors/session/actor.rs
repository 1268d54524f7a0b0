//! The session's shell: reads its line when there is something, writes what waits, holds no buffer while idle. Events
//! are mostly written by the switchboard, which shares the line.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll, ready};
use std::time::{Duration, Instant};

use actix::fut::ActorFuture;
use actix::prelude::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::time::Sleep;

use crate::actors::room::{History, RoomError};
use crate::domain::cursor::Cursor;
use crate::domain::ids::SocketId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::close::CloseReason;
use crate::protocol::websocket::{Decoder, Incoming, pong_frame};

use super::access::{RoomAccess, room_access};
use super::board::{Membership, SessionKey, Switchboard};
use super::effect::{Effect, Opening, Price};
use super::line::{Errand, Line, Stream, reason_of};
use super::state::SessionState;

/// Bytes read at once, into a buffer that all sessions of a thread share.
const SCRATCH: usize = 64 * 1024;

/// Reads of one session before others get their turn.
const READS_A_TURN: usize = 4;

/// Events of history read at once.
const HISTORY_PAGE: usize = 128;

/// How long a closing socket may take for its last bytes and the peer's good-bye.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// How long a session waits before it asks a room again that did not answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);

thread_local! {
    static SCRATCH_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

struct Session {
    /// What came right behind the handshake, until `hello` is out.
    early: Bytes,
    decoder: Decoder,
    line: Rc<Line>,
    key: SessionKey,
    board: Rc<Switchboard>,
    reading_history: ReadingHistory,
    /// Why it ended; a session that panics ends as it began.
    reason: CloseReason,
    /// Counts the socket towards its user's and address's limits.
    _permit: Box<dyn Any>,
}

#[derive(PartialEq, Eq)]
enum ReadingHistory {
    No,
    Yes,
}

pub(super) fn open(
    board: &Rc<Switchboard>,
    stream: impl Stream + 'static,
    early: Bytes,
    opening: Opening,
    permit: Box<dyn Any>,
) {
    let now = Instant::now();
    let (state, first) = SessionState::open(SocketId::generate(), opening, Timestamp::now(), now);
    let line: Rc<Line> = Rc::new(Line::new(state, stream, now));
    let key = board.add(line.clone());
    // Whoever lost the room between the look at their rights and here was not told: they were not on the board.
    line.errand.set(Errand::CheckRooms);
    let sign_in = line.state.borrow().principal.session;
    if board.deps.credentials.has_ended(sign_in) {
        line.state.borrow_mut().close(CloseReason::SessionEnded);
    }
    board.deps.metrics.websocket_connections_active.inc();
    board.deps.open.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let session = Session {
        early,
        decoder: Decoder::new(board.deps.settings.frame_bytes),
        line,
        key,
        board: board.clone(),
        reading_history: ReadingHistory::No,
        reason: CloseReason::Error,
        _permit: permit,
    };
    Session::create(|ctx| {
        let mut session = session;
        if let Some(effect) = first {
            session.perform(effect, ctx);
        }
        ctx.spawn(Driver { closing: None });
        session
    });
}

impl Actor for Session {
    type Context = Context<Self>;
}

impl Drop for Session {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.line.try_send_close(self.reason);
        }
        let rooms: Vec<RoomId> = self.line.state.borrow().rooms().collect();
        for room in self.board.remove(self.key, rooms.into_iter()) {
            self.board.deps.rooms.leave(room, self.board.postbox.worker());
        }
        let state = self.line.state.borrow();
        let metrics = &self.board.deps.metrics;
        metrics.websocket_connections_active.dec();
        metrics.websocket_closes_total.with_label_values(&[self.reason.as_str()]).inc();
        self.board.deps.open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        tracing::debug!(socket = %state.id, user = %state.principal.user, reason = %self.reason, "socket closed");
    }
}

impl Session {
    fn state<T>(&self, act: impl FnOnce(&mut SessionState) -> T) -> T {
        act(&mut self.line.state.borrow_mut())
    }

    /// Reads what is there, a bounded number of times.
    fn read(&mut self, ctx: &mut Context<Self>, cx: &mut task::Context<'_>) {
        for _ in 0..READS_A_TURN {
            let settings = &self.board.deps.settings;
            if !self.state(|s| s.listens(settings)) {
                return;
            }
            if !self.early.is_empty() {
                let early = std::mem::take(&mut self.early);
                self.decode(&early, ctx);
                continue;
            }
            let read = SCRATCH_BUFFER.with(|scratch| {
                let mut scratch = scratch.borrow_mut();
                let mut buffer = ReadBuf::new(&mut scratch);
                match self.line.poll_read(cx, &mut buffer) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Ready(Ok(())) => {
                        let filled = buffer.filled();
                        let len = filled.len();
                        if len > 0 {
                            self.state(|s| s.heard(Instant::now()));
                            self.decode(filled, ctx);
                        }
                        Poll::Ready(Ok(len))
                    }
                }
            });
            match read {
                Poll::Pending => return,
                Poll::Ready(Ok(0)) => return self.state(|s| s.gone(CloseReason::ClientGone)),
                Poll::Ready(Err(error)) => return self.state(|s| s.gone(reason_of(&error))),
                Poll::Ready(Ok(_)) => {}
            }
        }
        // There may be more, but it is the others' turn.
        cx.waker().wake_by_ref();
    }

    fn decode(&mut self, mut input: &[u8], ctx: &mut Context<Self>) {
        let settings = self.board.deps.settings.clone();
        while self.state(|s| s.closing.is_none()) {
            let incoming = match self.decoder.decode(&mut input) {
                Ok(None) => return,
                Ok(Some(incoming)) => incoming,
                Err(error) => return self.state(|s| s.broken(&error)),
            };
            let now = Instant::now();
            match incoming {
                Incoming::Text(text) => {
                    let effect = self.state(|s| s.message(&text, Timestamp::now(), now, &settings));
                    if let Some(effect) = effect {
                        self.perform_for_client(effect, now, ctx);
                    }
                }
                Incoming::Ping(payload) => self.state(|s| {
                    s.count_frame(now, &settings);
                    if s.closing.is_none() {
                        s.outbox.push_answer(pong_frame(&payload));
                    }
                }),
                Incoming::Pong => self.state(|s| s.count_frame(now, &settings)),
                Incoming::Close(close) => self.state(|s| s.client_closed(close.map(|(code, _)| code))),
            }
        }
    }

    fn leave(&self, room: RoomId) {
        if self.board.leave(room, self.key) == Membership::Changed {
            self.board.deps.rooms.leave(room, self.board.postbox.worker());
        }
    }

    /// Takes one of the frames that the user has over all their sockets.
    fn spend_frame(&self, now: Instant) -> Result<(), Duration> {
        self.board.deps.frame_quota.spend(self.state(|s| s.principal.user), now)
    }

    /// Performs what a frame asked for, if its user has a frame left for it.
    fn perform_for_client(&mut self, effect: Effect, now: Instant, ctx: &mut Context<Self>) {
        let price = effect.price();
        if price != Price::Free
            && let Err(wait) = self.spend_frame(now)
            && price == Price::Frame
        {
            return self.state(|s| s.refuse(&effect, wait));
        }
        self.perform(effect, ctx);
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        let deps = self.board.deps.clone();
        match effect {
            Effect::Authorize(room, cursor) => {
                let who = self.state(|s| s.principal);
                let asked = async move { room_access(&deps.reads, who, room).await };
                self.later(ctx, asked, move |session, access, ctx| match access {
                    Ok(RoomAccess::Granted) => {
                        if let Some(effect) = session.state(|s| s.admitted(room, cursor)) {
                            session.perform(effect, ctx);
                        }
                    }
                    Ok(RoomAccess::NoSuchRoom) => session.state(|s| s.refused(room)),
                    Err(error) => {
                        tracing::warn!(%room, %error, "a socket could not be given one more room");
                        session.state(|s| s.not_now(room));
                    }
                });
            }
            Effect::Join(room, cursor) => {
                self.board.enter(room, self.key);
                let postbox = self.board.postbox.clone();
                let joined = async move { deps.rooms.join(room, postbox).await };
                self.later(ctx, joined, move |session, joined, ctx| match joined {
                    Ok(head) => {
                        let ping_s = session.board.deps.settings.ping_s;
                        let effect = session.state(|s| s.joined(room, head, cursor, ping_s));
                        if let Some(effect) = effect {
                            session.perform(effect, ctx);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%room, %error, "a socket could not join");
                        session.leave(room);
                        let ours = matches!(&error, RoomError::Store(error) if !error.is_transient());
                        let reason = if ours { CloseReason::Internal } else { CloseReason::Overloaded };
                        session.state(|s| s.could_not_join(room, reason));
                    }
                });
            }
            Effect::ReadHistory(room, after) => self.read_history(room, after, ctx),
            Effect::Leave(room) => self.leave(room),
            Effect::Ack(ack, rings) => {
                for committed_at in rings.iter().flatten() {
                    deps.metrics.event_ack_seconds.observe(committed_at.elapsed().as_secs_f64());
                }
                // Without a frame left it waits for the flush, like those that cover no order.
                if rings.is_empty() || self.spend_frame(Instant::now()).is_err() {
                    self.board.keep_ack(ack);
                } else {
                    self.board.store_ack_soon(ack);
                }
            }
            Effect::Mark(mark) => {
                let of = (mark.room, mark.cursor, mark.kind);
                let stored = async move { deps.persistence.store_mark(mark).await };
                self.later(ctx, stored, move |session, stored, _| {
                    session.state(|s| s.mark_stored(of, stored.map_err(drop)));
                });
            }
            Effect::CheckToken(token) => {
                let now = Timestamp::now();
                let checked = deps.credentials.check(&token.0, now);
                self.state(|s| s.token_checked(checked, now, Instant::now()));
            }
        }
    }

    /// Runs `work` beside the driver and then `act` on its outcome; the driver is woken to write what came of it.
    fn later<T: 'static>(
        &self,
        ctx: &mut Context<Self>,
        work: impl Future<Output = T> + 'static,
        act: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
    ) {
        ctx.spawn(work.into_actor(self).map(move |outcome, session: &mut Self, ctx| {
            act(session, outcome, ctx);
            session.line.wake();
        }));
    }

    fn store_failed(&self, error: &crate::storage::StoreError) {
        tracing::warn!(%error, "a socket could not be given its room");
        let reason = if error.is_transient() { CloseReason::Overloaded } else { CloseReason::Internal };
        self.state(|s| s.close(reason));
    }

    fn read_history(&mut self, room: RoomId, after: Cursor, ctx: &mut Context<Self>) {
        if self.reading_history == ReadingHistory::Yes {
            return;
        }
        self.reading_history = ReadingHistory::Yes;
        let rooms = self.board.deps.rooms.clone();
        let read = async move {
            match rooms.history(room, after, HISTORY_PAGE).await {
                Err(error) => {
                    tokio::time::sleep(ASK_AGAIN).await;
                    Err(error)
                }
                read => read,
            }
        };
        ctx.spawn(read.into_actor(self).map(
            move |read: Result<History, RoomError>, session: &mut Self, _| {
                session.reading_history = ReadingHistory::No;
                let settings = session.board.deps.settings.clone();
                match read {
                    Ok(History::Events(events)) => {
                        let sent = session.state(|s| s.history_read(room, &events, &settings));
                        session.board.deps.history_deliveries.inc_by(sent as u64);
                    }
                    Ok(History::Gone(head) | History::InStore(head)) => {
                        session.state(|s| s.history_gone(room, after, head));
                    }
                    Err(error) => tracing::warn!(%room, %error, "history could not be read; asking again"),
                }
                session.line.wake();
            },
        ));
    }

    /// Asks again whether the user may be in each room of this session.
    fn check_rooms(&mut self, ctx: &mut Context<Self>) {
        let (who, rooms) = self.state(|s| (s.principal, s.rooms().collect::<Vec<_>>()));
        let reads = self.board.deps.reads.clone();
        let checked = async move {
            let mut denied = Vec::new();
            for room in rooms {
                if room_access(&reads, who, room).await? == RoomAccess::NoSuchRoom {
                    denied.push(room);
                }
            }
            Ok(denied)
        };
        self.later(ctx, checked, |session, denied: Result<_, crate::storage::StoreError>, _| match denied {
            Ok(denied) => denied.into_iter().for_each(|room| session.state(|s| s.denied(room))),
            Err(error) => session.store_failed(&error),
        });
    }

    fn write(&self, cx: &mut task::Context<'_>) -> Poll<()> {
        self.line.write(cx, &self.board.delivery_seconds)
    }

    /// After the close frame: says good-bye, then listens for the peer's, so that the frame is not lost to a reset.
    fn say_goodbye(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        if ready!(self.line.poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        loop {
            let ended = SCRATCH_BUFFER.with(|scratch| {
                let mut scratch = scratch.borrow_mut();
                let mut buffer = ReadBuf::new(&mut scratch);
                self.line.poll_read(cx, &mut buffer).map(|read| read.is_err() || buffer.filled().is_empty())
            });
            if ready!(ended) {
                return Poll::Ready(());
            }
        }
    }
}

/// Reads and writes in turn until the socket is closed.
struct Driver {
    closing: Option<Pin<Box<Sleep>>>,
}

impl ActorFuture<Session> for Driver {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        session: &mut Session,
        ctx: &mut Context<Session>,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        session.line.remember(cx.waker());
        let settings = session.board.deps.settings.clone();
        // Before the clock is looked at: a pong that has come is heard, however late this thread is. What waits goes out
        // first, since a client that does not take it is not read from.
        let _ = session.write(cx);
        session.read(ctx, cx);
        match session.line.errand.replace(Errand::None) {
            Errand::None => {}
            Errand::Tick => session.state(|s| s.tick(Instant::now(), &settings)),
            Errand::CheckRooms => session.check_rooms(ctx),
        }
        let listened = session.state(|s| s.listens(&settings));
        let _ = session.write(cx);
        if !listened && session.state(|s| s.listens(&settings)) {
            // What the client sent while it did not take its answers is still unread, and the socket will not say so.
            cx.waker().wake_by_ref();
        }
        let next = session.state(|s| s.next_history());
        if let Some(effect) = next {
            session.perform(effect, ctx);
        }
        let now = Instant::now();
        session.line.next_tick.set(session.state(|s| s.next_tick(&settings)).max(now));
        let Some(reason) = session.state(|s| s.closing) else { return Poll::Pending };
        session.reason = reason;
        // Outlives its usefulness quickly: whatever the peer does, the descriptor is free soon.
        let deadline = self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_WITHIN)));
        let late = deadline.as_mut().poll(cx).is_ready();
        let done = session.write(cx).is_ready() && session.say_goodbye(cx).is_ready();
        if done || late {
            ctx.stop();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
