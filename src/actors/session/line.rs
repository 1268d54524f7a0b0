//! A session's line: its mind and its socket, where both its own task and the switchboard of its thread reach them.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{self, Poll, Waker};
use std::time::Instant;

use prometheus::local::LocalHistogram;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::protocol::close::CloseReason;

use super::effect::Progress;
use super::outbox::FRAMES_A_WRITE;
use super::state::SessionState;

/// What a session speaks over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// See the module's words.
pub(super) struct Line<S: ?Sized = dyn Stream> {
    pub(super) state: RefCell<SessionState>,
    waker: RefCell<Option<Waker>>,
    /// When its next tick is worth anything.
    pub(super) next_tick: Cell<Instant>,
    /// What the switchboard asked of it since it last ran.
    pub(super) errand: Cell<Errand>,
    stream: RefCell<S>,
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

impl<S> Line<S> {
    pub(super) fn new(state: SessionState, stream: S, now: Instant) -> Self {
        Self {
            state: RefCell::new(state),
            waker: RefCell::new(None),
            next_tick: Cell::new(now),
            errand: Cell::new(Errand::None),
            stream: RefCell::new(stream),
        }
    }
}

impl Line {
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

    /// Writes what waits until it is out or the socket is full; ends the session when the socket is broken. `sent`
    /// observes how long each event took from its commit.
    pub(super) fn write(&self, cx: &mut task::Context<'_>, sent: &RefCell<LocalHistogram>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        let mut stream = self.stream.borrow_mut();
        while !state.outbox.is_empty() {
            let stream = Pin::new(&mut *stream);
            // One frame is what nearly every write has, and to send it costs the kernel less than a list of one.
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
                    state.write_progress(Progress::Blocked, now);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => state.gone(CloseReason::ClientGone),
                Poll::Ready(Ok(written)) => {
                    let histogram = sent.borrow_mut();
                    state.outbox.advance(written, |committed_at| {
                        histogram.observe(now.duration_since(committed_at).as_secs_f64());
                    });
                    drop(histogram);
                    state.write_progress(Progress::Moved, now);
                }
                Poll::Ready(Err(error)) => state.gone(reason_of(&error)),
            }
        }
        Poll::Ready(())
    }

    /// Sends a close frame from a session that breaks, as far as the socket takes it at once. Nothing here may panic.
    pub(super) fn try_send_close(&self, reason: CloseReason) {
        let Ok(mut state) = self.state.try_borrow_mut() else { return };
        let Ok(mut stream) = self.stream.try_borrow_mut() else { return };
        if state.closing.is_some() {
            return;
        }
        state.close(reason);
        let mut slices = [IoSlice::new(&[]); FRAMES_A_WRITE];
        let count = state.outbox.slices(&mut slices);
        let mut nobody = task::Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut *stream).poll_write_vectored(&mut nobody, &slices[..count]);
    }

    /// Writes what the socket takes of all that waits, from outside of the session's task, which looks again then.
    pub(super) fn relieve(&self, sent: &RefCell<LocalHistogram>) {
        let _ = self.write(&mut task::Context::from_waker(Waker::noop()), sent);
        self.wake();
    }

    /// Writes the only frame that waits, from outside of the session's task. The task is woken where more waits, where
    /// the socket does not take all of it, and where the socket is broken.
    pub(super) fn write_now(&self, sent: &RefCell<LocalHistogram>) {
        let first = self.state.borrow().outbox.only().is_some();
        // The socket keeps one waker: that of a task which waits for room must not be replaced by this one of nobody.
        let written = first && self.write(&mut task::Context::from_waker(Waker::noop()), sent).is_ready();
        if !written || self.state.borrow().closing.is_some() {
            self.wake();
        }
    }
}

/// A peer that the kernel gave up (TCP_USER_TIMEOUT) missed its heartbeat; any other end is the client's own.
pub(super) fn reason_of(error: &io::Error) -> CloseReason {
    if error.kind() == io::ErrorKind::TimedOut {
        CloseReason::HeartbeatMissed
    } else {
        CloseReason::ClientGone
    }
}
