//! Heads and bodies on their way from the socket to the web server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;

use super::{Connection, Phase, READ_BYTES};
use crate::http::connection::chunks::BadChunk;
use crate::http::connection::head::{Body, Head, Judged, judge, rewrite};
use crate::http::connection::refusal::{Reason, Refused};

/// Largest head; browsers and proxies stay far below.
const HEAD_BYTES: usize = 32 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Connection {
    /// Takes what a head says.
    fn begin(&mut self, head: &Head) {
        self.exchange.begin(head.expects);
        self.body = head.body;
        self.expects = head.expects;
        self.nudged = false;
        self.interim = &[];
        self.read_by = match head.body {
            Body::Length(0) => None,
            Body::Length(_) | Body::Chunked(_) => Some(Instant::now() + self.shared.deadlines.body),
        };
    }

    /// Counts bytes of the body; how many of them belong to it.
    fn take_body(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        match &mut self.body {
            Body::Length(left) => {
                let here = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= here as u64;
                Ok(here)
            }
            Body::Chunked(chunks) => chunks.take(bytes),
        }
    }

    /// Goes on after bytes of the body, or its absence.
    fn after_body(&mut self) {
        let whole = match self.body {
            Body::Length(left) => left == 0,
            Body::Chunked(chunks) => chunks.is_done(),
        };
        if whole {
            self.exchange.set_body_whole();
            self.read_by = None;
            self.phase = Phase::Answering;
        } else {
            self.phase = Phase::Body;
        }
    }

    /// Reads up to 8 KiB into `buffer`; how many there were, 0 at the end.
    fn poll_some(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        if buffer.remaining() <= READ_BYTES {
            ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        } else {
            let mut some = ReadBuf::new(buffer.initialize_unfilled_to(READ_BYTES));
            ready!(Pin::new(&mut self.io).poll_read(context, &mut some))?;
            let read = some.filled().len();
            buffer.advance(read);
        }
        Poll::Ready(Ok(buffer.filled().len() - before))
    }

    /// Reads for a head. True once something is in `buffer` or the end was reached, false to look at the phase again.
    pub(super) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        if self.has_held() {
            return self.poll_held_head(context);
        }
        let before = buffer.filled().len();
        let read = match self.poll_some(context, buffer)? {
            Poll::Pending => return self.wait_for_head(context),
            Poll::Ready(0) => return Poll::Ready(Ok(true)),
            Poll::Ready(read) => read,
        };
        if self.take_whole_head(buffer, before, read) {
            return Poll::Ready(Ok(true));
        }
        self.held.extend_from_slice(&buffer.filled()[before..]);
        buffer.set_filled(before);
        self.read_by = Some(Instant::now() + self.shared.deadlines.head);
        self.look_at_held();
        Poll::Ready(Ok(false))
    }

    /// Reads on for a head of which a part is held.
    fn poll_held_head(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.searched == self.held.len() - self.at {
            let mut some = [0; READ_BYTES / 2];
            let mut some = ReadBuf::new(&mut some);
            match Pin::new(&mut self.io).poll_read(context, &mut some)? {
                Poll::Pending => return self.wait_for_head(context),
                Poll::Ready(()) if some.filled().is_empty() => {
                    self.phase = Phase::Ended;
                    return Poll::Ready(Ok(false));
                }
                Poll::Ready(()) => self.hold(some.filled()),
            }
        }
        self.look_at_held();
        Poll::Ready(Ok(false))
    }

    /// Passes on a request whose head has come at once, as nearly always, and needs no change.
    fn take_whole_head(&mut self, buffer: &mut ReadBuf<'_>, before: usize, read: usize) -> bool {
        let bytes = &buffer.filled()[before..];
        let Judged::Whole(head) = judge(bytes, self.shared.sockets) else { return false };
        if head.to_rewrite {
            return false;
        }
        self.begin(&head);
        let Ok(of_body) = self.take_body(&bytes[head.length..]) else { return false };
        let passed = head.length + of_body;
        if passed < read {
            self.held.extend_from_slice(&bytes[passed..]);
            buffer.set_filled(before + passed);
        }
        if head.socket {
            self.phase = Phase::Socket;
        } else {
            self.after_body();
        }
        true
    }

    fn wait_for_head(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.is_late(context) {
            return Poll::Pending;
        }
        if self.has_held() {
            let detail = "The head of the request took too long to arrive.";
            self.refuse(Refused::new(Reason::HeadTimeout, detail));
        } else {
            self.phase = Phase::Ended;
        }
        Poll::Ready(Ok(false))
    }

    /// Looks whether a whole head is held.
    fn look_at_held(&mut self) {
        let bytes = &self.held[self.at..];
        let ends = has_end(&bytes[self.searched.saturating_sub(3)..]);
        let judged = if ends || bytes.len() >= self.parse_at {
            judge(bytes, self.shared.sockets)
        } else {
            Judged::Partial
        };
        match judged {
            Judged::Partial if bytes.len() > HEAD_BYTES => {
                self.refuse(Refused::new(Reason::HeadTooLarge, "A head has 32 KiB at most."));
            }
            Judged::Partial => {
                self.searched = bytes.len();
                self.parse_at = self.parse_at.max(2 * bytes.len());
            }
            Judged::Refused(refused) => self.refuse(refused),
            Judged::Whole(head) if head.length > HEAD_BYTES => {
                self.refuse(Refused::new(Reason::HeadTooLarge, "A head has 32 KiB at most."));
            }
            Judged::Whole(head) => {
                let mut left = head.length;
                if head.to_rewrite {
                    let written = rewrite(&bytes[..head.length], head.socket);
                    left = written.len();
                    self.held.splice(self.at..self.at + head.length, written);
                }
                self.begin(&head);
                self.phase = Phase::Passing { left, socket: head.socket };
            }
        }
    }

    /// Passes on what is held of a head and of the body behind it.
    pub(super) fn pass_held(&mut self, left: usize, socket: bool, buffer: &mut ReadBuf<'_>) {
        let now = left.min(buffer.remaining());
        buffer.put_slice(&self.held[self.at..self.at + now]);
        self.at += now;
        if now < left {
            self.phase = Phase::Passing { left: left - now, socket };
            return;
        }
        if socket {
            self.phase = Phase::Socket;
        } else {
            self.after_body();
            self.pass_held_body(buffer);
        }
        self.release();
    }

    /// Passes on what is held of a body.
    fn pass_held_body(&mut self, buffer: &mut ReadBuf<'_>) {
        if self.phase != Phase::Body || !self.has_held() {
            return;
        }
        let held = std::mem::take(&mut self.held);
        let here = &held[self.at..(self.at + buffer.remaining()).min(held.len())];
        match self.take_body(here) {
            Ok(of_body) => {
                buffer.put_slice(&here[..of_body]);
                self.at += of_body;
                self.held = held;
                self.release();
                self.after_body();
            }
            Err(BadChunk) => {
                self.at = 0;
                self.phase = Phase::Ended;
            }
        }
    }

    /// Reads the body. True once something is in `buffer` or the end was reached, false to look at the phase again.
    pub(super) fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = buffer.filled().len();
        self.pass_held_body(buffer);
        if buffer.filled().len() > before || self.phase != Phase::Body {
            return Poll::Ready(Ok(buffer.filled().len() > before));
        }
        let (wanted, answered) = (self.exchange.is_body_wanted(), self.exchange.is_answered());
        if answered {
            return self.poll_dropped(context).map_ok(|()| false);
        }
        if wanted && let Poll::Ready(done) = self.poll_wanted_body(context, buffer)? {
            return Poll::Ready(Ok(done));
        }
        if self.is_late(context) {
            self.read_by = None;
            self.phase = Phase::Ended;
            return Poll::Ready(Ok(false));
        }
        Poll::Pending
    }

    /// Reads the body for a handler that waits for it.
    fn poll_wanted_body(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        if std::mem::take(&mut self.expects) {
            self.interim = CONTINUE;
        }
        let _ = self.poll_interim(context)?;
        let before = buffer.filled().len();
        if ready!(self.poll_some(context, buffer))? == 0 {
            return Poll::Ready(Ok(true));
        }
        let bytes = &buffer.filled()[before..];
        match self.take_body(bytes) {
            Ok(of_body) => {
                self.held.extend_from_slice(&bytes[of_body..]);
                buffer.set_filled(before + of_body);
                self.after_body();
            }
            // The bytes behind a bad chunk could be anything. The application is told that the body broke off.
            Err(BadChunk) => {
                buffer.set_filled(before);
                self.phase = Phase::Ended;
            }
        }
        Poll::Ready(Ok(buffer.filled().len() > before))
    }

    pub(super) fn poll_interim(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.interim.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(context, self.interim))?;
            self.interim = &self.interim[written..];
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether an empty line ends in these bytes.
fn has_end(bytes: &[u8]) -> bool {
    let ends = |(at, byte): (usize, &u8)| {
        *byte == b'\n' && (bytes[..at].ends_with(b"\n") || bytes[..at].ends_with(b"\n\r"))
    };
    bytes.iter().enumerate().any(ends)
}
