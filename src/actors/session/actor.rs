//! The actor of a session: reads its connection when there is something, writes its outbox, holds no buffer while idle.
//! Events are mostly written by the worker, which shares the connection.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::any::Any;
use std::cell::RefCell;
use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{self, Poll, ready};
use std::time::{Duration, Instant};

use actix::fut::ActorFuture;
use actix::prelude::{Actor, ActorContext, AsyncContext, Context};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::actors::reachability::RingSource;
use crate::actors::worker::subscriber::SubscriberKey;
use crate::actors::worker::thread::Worker;
use crate::domain::ids::ConnectionId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::close::CloseReason;
use crate::protocol::websocket::{Decoder, Incoming, pong_frame};

use super::connection::{Connection, WakeReason, reason_of};
use super::messages::ConnectParams;
use super::state::SessionState;

/// Bytes read at once, into a buffer that all sessions of a thread share.
const READ_BUFFER: usize = 64 * 1024;

/// Reads of one session before others get their turn.
const READS_A_TURN: usize = 4;

/// How long a closing socket may take for its last bytes and the peer's close frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BUFFER].into_boxed_slice());
}

pub(super) struct SessionActor {
    /// Bytes that came right behind the handshake, until `hello` is out.
    read_ahead: Bytes,
    decoder: Decoder,
    pub(super) connection: Rc<Connection>,
    pub(super) key: SubscriberKey,
    /// A page of history is being read: one at a time.
    pub(super) reading_history: bool,
    /// The reason of its end; [`CloseReason::Error`] while it is open, for a session that panics.
    reason: CloseReason,
    /// Counts the socket towards its user's and address's limits.
    _permit: Box<dyn Any>,
}

/// Opens a session on a socket whose handshake has been answered. `read_ahead` has the bytes that the client sent right
/// behind it. `permit` is held until the socket is closed.
pub fn open(
    worker: &Rc<Worker>,
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    read_ahead: Bytes,
    params: ConnectParams,
    permit: impl Sized + 'static,
) {
    let now = Instant::now();
    let (state, first) = SessionState::open(ConnectionId::generate(), params, Timestamp::now(), now);
    let login_session = state.principal.session;
    let connection = Rc::new(Connection::new(worker.clone(), state, stream, now));
    let key = worker.add(connection.clone());
    let connection: Rc<Connection> = connection;
    // Who lost the room between the check of the request and here was not told: the socket was not on the worker.
    connection.wake_reason.set(WakeReason::RecheckAccess);
    if worker.deps.authenticator.has_ended(login_session) {
        connection.state.borrow_mut().close(CloseReason::SessionEnded);
    }
    worker.deps.metrics.websocket_connections_active.inc();
    worker.deps.open_sockets.fetch_add(1, Ordering::Relaxed);
    let mut session = SessionActor {
        read_ahead,
        decoder: Decoder::new(worker.deps.settings.frame_bytes),
        connection,
        key,
        reading_history: false,
        reason: CloseReason::Error,
        _permit: Box::new(permit),
    };
    SessionActor::create(|ctx| {
        if let Some(effect) = first {
            session.perform(effect, ctx);
        }
        ctx.spawn(Driver { closing: None });
        session
    });
}

impl Actor for SessionActor {
    type Context = Context<Self>;
}

impl Drop for SessionActor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.connection.try_send_close(self.reason);
        }
        let worker = &self.connection.worker;
        let rooms: Vec<RoomId> = self.connection.state.borrow().rooms().collect();
        worker.remove(self.key, rooms.into_iter());
        let state = self.connection.state.borrow();
        if state.rings_since.is_some() {
            worker.deps.reachability.silent(&RingSource::Socket(state.id));
        }
        let metrics = &worker.deps.metrics;
        metrics.websocket_connections_active.dec();
        metrics.websocket_closes_total.with_label_values(&[self.reason.as_str()]).inc();
        worker.deps.open_sockets.fetch_sub(1, Ordering::Relaxed);
        tracing::debug!(socket = %state.id, user = %state.principal.user, reason = %self.reason, "socket closed");
    }
}

impl SessionActor {
    pub(super) fn state<T>(&self, act: impl FnOnce(&mut SessionState) -> T) -> T {
        act(&mut self.connection.state.borrow_mut())
    }

    /// Reads the bytes that have arrived, a bounded number of times.
    fn read(&mut self, ctx: &mut Context<Self>, cx: &mut task::Context<'_>) {
        for _ in 0..READS_A_TURN {
            if !self.is_readable() {
                return;
            }
            if !self.read_ahead.is_empty() {
                let read_ahead = std::mem::take(&mut self.read_ahead);
                self.decode(&read_ahead, ctx);
                continue;
            }
            let read = BUFFER.with_borrow_mut(|bytes| {
                let mut buffer = ReadBuf::new(bytes);
                ready!(self.connection.poll_read(cx, &mut buffer))?;
                let filled = buffer.filled();
                if !filled.is_empty() {
                    self.state(|s| s.on_received(Instant::now()));
                    self.decode(filled, ctx);
                }
                Poll::Ready(std::io::Result::Ok(filled.len()))
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

    fn is_readable(&self) -> bool {
        self.state(|s| s.is_readable(&self.connection.worker.deps.settings))
    }

    fn decode(&mut self, mut input: &[u8], ctx: &mut Context<Self>) {
        let settings = self.connection.worker.deps.settings.clone();
        while self.state(|s| s.closing.is_none()) {
            let incoming = match self.decoder.decode(&mut input) {
                Ok(None) => return,
                Ok(Some(incoming)) => incoming,
                Err(error) => return self.state(|s| s.on_protocol_error(&error)),
            };
            let now = Instant::now();
            match incoming {
                Incoming::Text(text) => {
                    let at = self.connection.worker.deps.reads.now();
                    let effect = self.state(|s| s.on_message(&text, at, now, &settings));
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

    /// Ends the writing side behind the close frame, then reads until the peer has closed too, so that a reset does not
    /// destroy the frame on its way.
    fn finish_close(&self, cx: &mut task::Context<'_>) -> Poll<()> {
        if ready!(self.connection.poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        loop {
            let ended = BUFFER.with_borrow_mut(|bytes| {
                let mut buffer = ReadBuf::new(bytes);
                self.connection
                    .poll_read(cx, &mut buffer)
                    .map(|read| read.is_err() || buffer.filled().is_empty())
            });
            if ready!(ended) {
                return Poll::Ready(());
            }
        }
    }
}

/// Reads and writes in turn until the socket is closed.
struct Driver {
    /// Upper bound on the close handshake, from its beginning; frees the descriptor even if the peer never answers.
    closing: Option<Pin<Box<Sleep>>>,
}

impl Driver {
    fn read_and_write(
        session: &mut SessionActor,
        ctx: &mut Context<SessionActor>,
        cx: &mut task::Context<'_>,
    ) {
        session.connection.register_waker(cx.waker());
        let settings = session.connection.worker.deps.settings.clone();
        // The outbox goes out first, since a client that does not take it is not read from. Reading comes before the timers:
        // a pong that has arrived counts, however late this thread is.
        let _ = session.connection.write(cx);
        session.read(ctx, cx);
        match session.connection.wake_reason.replace(WakeReason::None) {
            WakeReason::None => {}
            WakeReason::Tick => session.state(|s| s.tick(Instant::now(), &settings)),
            WakeReason::RecheckAccess => session.recheck_access(ctx),
        }
        let was_readable = session.is_readable();
        let _ = session.connection.write(cx);
        if !was_readable && session.is_readable() {
            // Bytes that arrived while the client did not take its answers are still unread, and the socket will not say so.
            cx.waker().wake_by_ref();
        }
        if let Some(effect) = session.state(|s| s.next_history()) {
            session.perform(effect, ctx);
        }
        let next_tick = session.state(|s| s.next_tick(&settings)).max(Instant::now());
        session.connection.next_tick.set(next_tick);
    }
}

impl ActorFuture<SessionActor> for Driver {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        session: &mut SessionActor,
        ctx: &mut Context<SessionActor>,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        Self::read_and_write(session, ctx, cx);
        let Some(reason) = session.state(|s| s.closing) else { return Poll::Pending };
        session.reason = reason;
        let deadline = self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_WITHIN)));
        let late = deadline.as_mut().poll(cx).is_ready();
        let done = session.connection.write(cx).is_ready() && session.finish_close(cx).is_ready();
        if done || late {
            ctx.stop();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
