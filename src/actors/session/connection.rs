//! One socket with the state of its session, shared by the session's own task and the worker of its thread.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll, Waker};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::actors::room::live_event::LiveEvent;
use crate::actors::worker::subscriber::{CloseNotice, Delivered, Subscriber};
use crate::actors::worker::thread::Worker;
use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::protocol::close::CloseReason;
use crate::protocol::ephemeral::EncodedEphemeral;

use super::messages::WriteProgress;
use super::outbox::FRAMES_A_WRITE;
use super::state::SessionState;

/// The transport of a session.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// See the module's words.
pub(super) struct Connection<S: ?Sized = dyn Stream> {
    pub(super) state: RefCell<SessionState>,
    pub(super) worker: Rc<Worker>,
    waker: RefCell<Option<Waker>>,
    /// The earliest time at which a tick can have an effect.
    pub(super) next_tick: Cell<Instant>,
    /// Work the worker asked for since the session last ran.
    pub(super) wake_reason: Cell<WakeReason>,
    stream: RefCell<S>,
}

/// Work of a woken session besides its outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WakeReason {
    None,
    Tick,
    /// Check again whether the user may be in the session's rooms; includes no tick.
    RecheckAccess,
}

impl<S> Connection<S> {
    pub(super) fn new(worker: Rc<Worker>, state: SessionState, stream: S, now: Instant) -> Self {
        Self {
            state: RefCell::new(state),
            worker,
            waker: RefCell::new(None),
            next_tick: Cell::new(now),
            wake_reason: Cell::new(WakeReason::None),
            stream: RefCell::new(stream),
        }
    }
}

impl<S: Stream + ?Sized> Connection<S> {
    /// Remembers the waker of the session's task.
    pub(super) fn register_waker(&self, waker: &Waker) {
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

    pub(super) fn poll_read(
        &self,
        cx: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, buffer)
    }

    pub(super) fn poll_shutdown(&self, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }

    /// Writes until the outbox is empty or the socket is full; ends the session when the socket is broken. Observes how long
    /// each event took from its commit.
    pub(super) fn write(&self, cx: &mut task::Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        let mut stream = self.stream.borrow_mut();
        while !state.outbox.is_empty() || state.release_ephemerals() {
            let stream = Pin::new(&mut *stream);
            // Nearly every write has one frame, and to send it costs the kernel less than a list of one.
            let written = if let Some(only) = state.outbox.only() {
                stream.poll_write(cx, only)
            } else {
                let mut slices = [IoSlice::new(&[]); FRAMES_A_WRITE];
                let count = state.outbox.slices(&mut slices);
                stream.poll_write_vectored(cx, &slices[..count])
            };
            let now = Instant::now();
            match written {
                Poll::Pending => {
                    state.on_write(WriteProgress::Blocked, now);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => state.gone(CloseReason::ClientGone),
                Poll::Ready(Ok(written)) => {
                    let histogram = self.worker.delivery_seconds.borrow_mut();
                    state.outbox.advance(written, |committed_at| {
                        histogram.observe(now.duration_since(committed_at).as_secs_f64());
                    });
                    drop(histogram);
                    state.on_write(WriteProgress::Moved, now);
                }
                Poll::Ready(Err(error)) => state.gone(reason_of(&error)),
            }
        }
        Poll::Ready(())
    }

    /// Sends a close frame from a session that panics, as far as the socket takes it at once. Nothing here may panic.
    pub(super) fn try_send_close(&self, reason: CloseReason) {
        let Ok(mut state) = self.state.try_borrow_mut() else { return };
        let Ok(mut stream) = self.stream.try_borrow_mut() else { return };
        if state.closing.is_some() {
            return;
        }
        state.close(reason);
        let mut slices = [IoSlice::new(&[]); FRAMES_A_WRITE];
        let count = state.outbox.slices(&mut slices);
        let mut no_task = task::Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut *stream).poll_write_vectored(&mut no_task, &slices[..count]);
    }

    /// Writes as much of the outbox as the socket takes, from outside of the session's task, which is woken.
    fn flush(&self) {
        let _ = self.write(&mut task::Context::from_waker(Waker::noop()));
        self.wake();
    }

    /// Writes the only frame of the outbox, from outside of the session's task. The task is woken where there are more
    /// frames, where the socket does not take all of it, and where the socket is broken.
    fn try_write_single(&self) {
        let single = self.state.borrow().outbox.only().is_some();
        // The socket keeps one waker: that of a task which waits for room must not be replaced by this one, which wakes nothing.
        let written = single && self.write(&mut task::Context::from_waker(Waker::noop())).is_ready();
        if !written || self.state.borrow().closing.is_some() {
            self.wake();
        }
    }
}

impl<S: Stream> Subscriber for Connection<S> {
    fn principal(&self) -> Principal {
        self.state.borrow().principal
    }

    fn deliver(&self, room: RoomId, event: &LiveEvent, more_queued: bool) -> Delivered {
        let settings = &self.worker.deps.settings;
        // Before it counts as slow: perhaps only this thread was.
        if self.state.borrow().outbox.is_half_full(settings) {
            self.flush();
        }
        let delivered = self.state.borrow_mut().deliver(event, room, settings, Instant::now());
        match delivered {
            Delivered::Queued if !more_queued => self.try_write_single(),
            Delivered::Queued | Delivered::NeedsWake => self.wake(),
            Delivered::Ignored => {}
        }
        delivered
    }

    fn deliver_ephemeral(&self, room: RoomId, event: &EncodedEphemeral, more_queued: bool) {
        let delivered = self.state.borrow_mut().deliver_ephemeral(room, event);
        match delivered {
            Delivered::Queued if !more_queued => self.try_write_single(),
            Delivered::Queued => self.wake(),
            Delivered::NeedsWake | Delivered::Ignored => {}
        }
    }

    fn set_head(&self, room: RoomId, head: Cursor) {
        let delivered = self.state.borrow_mut().on_head(room, head);
        if delivered != Delivered::Ignored {
            self.wake();
        }
    }

    fn close(&self, notice: CloseNotice) {
        match notice.reason {
            CloseReason::Restart => self.state.borrow_mut().restart(notice.after),
            reason => self.state.borrow_mut().close(reason),
        }
        self.wake();
    }

    fn recheck_access(&self) {
        self.wake_reason.set(WakeReason::RecheckAccess);
        self.wake();
    }

    fn tick(&self, now: Instant) {
        if self.next_tick.get() <= now {
            if self.wake_reason.get() == WakeReason::None {
                self.wake_reason.set(WakeReason::Tick);
            }
            self.wake();
        }
    }

    fn probe(&self, now: Instant) {
        self.state.borrow_mut().probe(now);
        self.wake();
    }
}

/// The reason for the end of a socket: a peer that the kernel gave up (TCP_USER_TIMEOUT) missed its heartbeat; any other
/// end is the client's own.
pub(super) fn reason_of(error: &io::Error) -> CloseReason {
    if error.kind() == io::ErrorKind::TimedOut {
        CloseReason::HeartbeatMissed
    } else {
        CloseReason::ClientGone
    }
}
