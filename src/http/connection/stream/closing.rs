//! The end of a connection: the client leaves, is refused, or has been answered for the last time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;

use super::{Connection, Phase, READ_BYTES};
use crate::http::connection::refusal::{Reason, Refused};

/// Bytes held of those that a client sends behind a request that waits. The rest is dropped, with its connection after the
/// answer: only who reads on sees the client leave.
const HELD_BYTES: usize = 8 * 1024;

/// Bytes that are dropped before the connection is cut.
const DROPPED_BYTES: usize = 1024 * 1024;

/// Time for which, and bytes of which, the rest of a request that was answered already is dropped before the
/// connection is closed: a client that is still writing then sees a reset instead of the answer. Less than the five
/// seconds of the web server, which would keep what it drops.
const LINGER: Duration = Duration::from_secs(4);
const LINGER_BYTES: usize = 8 * 1024 * 1024;

impl Connection {
    /// Answers by itself and closes.
    pub(in crate::http::connection) fn refuse(&mut self, refused: Refused) {
        self.refusal = self.shared.refusals.answer(refused, &self.held[self.at..]);
        self.phase = Phase::Refusing;
        self.held = Vec::new();
        self.at = 0;
        self.write_by = None;
        self.read_by = Some(Instant::now() + LINGER);
    }

    /// Drops what is left of a body whose request was answered, for a while, and is done with the connection then.
    pub(super) fn poll_dropped(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.lingered, true) {
            self.read_by = Some(Instant::now() + LINGER);
        }
        // Who waits to be asked for the body was told how the request ended, and does not send it.
        while !self.expects && self.dropped <= LINGER_BYTES {
            match self.poll_drop(context) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => break,
                Poll::Pending if self.is_late(context) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        self.read_by = None;
        self.phase = Phase::Ended;
        Poll::Ready(Ok(()))
    }

    /// Reads something and drops it; how much.
    fn poll_drop(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut some = [0; READ_BYTES / 4];
        let mut some = ReadBuf::new(&mut some);
        ready!(Pin::new(&mut self.io).poll_read(context, &mut some))?;
        self.dropped += some.filled().len();
        Poll::Ready(Ok(some.filled().len()))
    }

    /// While a request waits that ends with its client: sees the client leave, and holds a little of what it sends.
    pub(super) fn poll_client(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.exchange.is_watched() {
            return Poll::Pending;
        }
        loop {
            let mut some = [0; READ_BYTES / 4];
            let mut some = ReadBuf::new(&mut some);
            ready!(Pin::new(&mut self.io).poll_read(context, &mut some))?;
            let bytes = some.filled();
            if bytes.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            if self.dropped == 0 && self.held.len() - self.at + bytes.len() <= HELD_BYTES {
                self.hold(bytes);
                continue;
            }
            self.dropped += bytes.len();
            if self.dropped > DROPPED_BYTES {
                self.shared.refusals.count(Reason::TooFarAhead, "", "");
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
    }

    /// Writes a refusal, then drops what comes until the client has closed or its time is over.
    pub(super) fn poll_refused(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            match Pin::new(&mut self.io).poll_write(context, &self.refusal)? {
                Poll::Ready(written) => drop(self.refusal.drain(..written)),
                Poll::Pending => break,
            }
        }
        if self.refusal.is_empty() {
            ready!(self.poll_close(context))?;
        } else if !self.is_late(context) {
            return Poll::Pending;
        }
        self.lingered = true;
        self.phase = Phase::Ended;
        Poll::Ready(Ok(()))
    }

    /// Closes this side, and waits a moment for a client that has sent what was never read: it would see a reset
    /// instead of its answer.
    pub(super) fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.io).poll_shutdown(context))?;
            self.shut = true;
            self.write_by = None;
            self.read_by = None;
        }
        let unread = self.has_held() || self.dropped > 0 || self.phase == Phase::Refusing;
        while !self.lingered && self.dropped <= LINGER_BYTES {
            match self.poll_drop(context) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => break,
                Poll::Pending if self.read_by.is_none() && !unread && self.dropped == 0 => break,
                Poll::Pending => {
                    self.read_by.get_or_insert_with(|| Instant::now() + LINGER);
                    if !self.is_late(context) {
                        return Poll::Pending;
                    }
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
