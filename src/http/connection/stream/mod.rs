//! The stream between the socket and the web server.

mod closing;
mod reading;

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::exchange::Exchange;
use super::head::Body;
use super::refusal::{Reason, Refused};
use super::shared::{Permission, Shared};

/// Bytes read at once. Those behind the present request are held for the next.
const READ_BYTES: usize = 8 * 1024;

/// A client that takes nothing of its answer for this long is cut off. The kernel's send buffer makes steps of some
/// 20 KiB of it, so this asks for about a kilobyte a second.
const WRITE_STALL: Duration = Duration::from_secs(30);

/// A TCP connection that lets the web server see one request at a time.
///
/// The next head is not passed on, nor read beyond 8 KiB, before the answer to the one before was written: the kernel
/// holds the rest and slows the client down. A body is read once somebody asks for it. Each state has a deadline. A head
/// that cannot be read, is too large or too late is refused here.
#[derive(Debug)]
pub struct Connection {
    io: TcpStream,
    permission: Permission,
    shared: Rc<Shared>,
    exchange: Rc<Exchange>,
    phase: Phase,
    /// Bytes that were read and not passed on, from `at` on.
    held: Vec<u8>,
    at: usize,
    /// Held bytes that were searched for the end of a head.
    searched: usize,
    /// A head that grows to this size is parsed though its end is not in sight, to find nonsense early.
    parse_at: usize,
    body: Body,
    expects: bool,
    /// The web server was woken to read the rest of a body that was answered already.
    nudged: bool,
    /// Bytes of `100 Continue` that are still to be written.
    interim: &'static [u8],
    read_by: Option<Instant>,
    write_by: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes that were dropped: what came behind a request that waits, or after an answer.
    dropped: usize,
    /// The client has had its time to read the last answer.
    lingered: bool,
    refusal: Vec<u8>,
    shut: bool,
}

/// The phase of the one exchange of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before and in a head.
    Head,
    /// A head that is held is passed on; so many bytes are left of it.
    Passing { left: usize, socket: bool },
    /// In a body.
    Body,
    /// All of the request was passed on.
    Answering,
    /// Handed over to a socket; no more HTTP.
    Socket,
    /// Refused: the answer is written and what comes is dropped.
    Refusing,
    /// The web server is told that nothing more comes.
    Ended,
}

impl Connection {
    pub(super) fn new(io: TcpStream, permission: Permission, shared: Rc<Shared>) -> Self {
        let first = Instant::now() + shared.deadlines.head;
        Self {
            io,
            permission,
            shared,
            exchange: Rc::default(),
            phase: Phase::Head,
            held: Vec::new(),
            at: 0,
            searched: 0,
            parse_at: 0,
            body: Body::Length(0),
            expects: false,
            nudged: false,
            interim: &[],
            read_by: Some(first),
            write_by: None,
            timer: None,
            dropped: 0,
            lingered: false,
            refusal: Vec::new(),
            shut: false,
        }
    }

    /// The exchange of this connection, which handlers see.
    pub fn exchange(&self) -> Rc<Exchange> {
        self.exchange.clone()
    }

    /// The bare stream, for a socket, and what came behind the request for it. The connection's place is given back:
    /// sockets are counted by themselves.
    pub fn into_socket(self) -> (TcpStream, Vec<u8>) {
        drop(self.permission);
        let mut early = self.held;
        early.drain(..self.at);
        (self.io, early)
    }

    fn has_held(&self) -> bool {
        self.at < self.held.len()
    }

    /// Drops what was passed on; the memory as well once nothing is left.
    fn release(&mut self) {
        if !self.has_held() {
            self.held = Vec::new();
            self.at = 0;
        }
    }

    /// Holds more, in the place of what was passed on.
    fn hold(&mut self, bytes: &[u8]) {
        self.held.drain(..self.at);
        self.at = 0;
        self.held.extend_from_slice(bytes);
    }

    /// Polls the timer of the nearest deadline; whether it has passed. The timer may be set for something earlier and is
    /// then set anew when it fires, so that a request does not move it.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let deadline = match (self.read_by, self.write_by) {
            (Some(read), Some(write)) => read.min(write),
            (Some(by), None) | (None, Some(by)) => by,
            (None, None) => return false,
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= deadline {
                return true;
            }
            timer.as_mut().reset(deadline);
        }
        false
    }

    /// The answer was written: the next request may come.
    fn next(&mut self, context: &mut Context<'_>) {
        if self.dropped > 0 {
            self.phase = Phase::Ended;
            context.waker().wake_by_ref();
            return;
        }
        self.phase = Phase::Head;
        (self.searched, self.parse_at) = (0, 0);
        let now = Instant::now();
        if self.has_held() {
            self.read_by = Some(now + self.shared.deadlines.head);
            context.waker().wake_by_ref();
            return;
        }
        self.read_by = Some(now + self.shared.deadlines.idle);
        // The web server does not read again before it is woken.
        if self.is_late(context) || self.io.poll_read_ready(context).is_ready() {
            context.waker().wake_by_ref();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let done = match this.phase {
                Phase::Head => ready!(this.poll_head(context, buffer))?,
                Phase::Passing { left, socket } => {
                    this.pass_held(left, socket, buffer);
                    true
                }
                // What waits for something to happen does not wait for a body, which nobody would ever read.
                Phase::Body if this.exchange.is_watched() => {
                    this.dropped = this.dropped.max(1);
                    this.read_by = None;
                    this.phase = Phase::Answering;
                    false
                }
                Phase::Body => ready!(this.poll_body(context, buffer))?,
                Phase::Answering => return this.poll_client(context),
                Phase::Refusing => {
                    ready!(this.poll_refused(context))?;
                    false
                }
                // What comes is for whoever takes the stream over.
                Phase::Socket => return Poll::Pending,
                Phase::Ended => true,
            };
            if done {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.phase {
            // The web server would answer by itself what it could not read and this stream could.
            Phase::Body | Phase::Answering | Phase::Ended if !this.exchange.is_reached() => {
                this.refuse(Refused::new(Reason::Malformed, "The request could not be read."));
                let _ = this.poll_refused(context)?;
                return Poll::Ready(Ok(bytes.len()));
            }
            Phase::Refusing => return Poll::Ready(Ok(bytes.len())),
            _ => {}
        }
        ready!(this.poll_interim(context))?;
        match Pin::new(&mut this.io).poll_write(context, bytes) {
            Poll::Ready(written) => {
                this.write_by = None;
                Poll::Ready(written)
            }
            Poll::Pending => {
                let by = *this.write_by.get_or_insert_with(|| Instant::now() + WRITE_STALL);
                if this.is_late(context) {
                    if Instant::now() >= by {
                        this.shared.refusals.count(Reason::WriteStalled, "", "");
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                    // The body is late, which does not matter to an answer that is being written.
                    this.read_by = None;
                    context.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    /// Called by the web server when all it had to write was taken.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.exchange.is_answered() {
            match this.phase {
                Phase::Answering => this.next(context),
                // The rest of the body is read and dropped.
                Phase::Body if !std::mem::replace(&mut this.nudged, true) => context.waker().wake_by_ref(),
                _ => {}
            }
        }
        Pin::new(&mut this.io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_close(context)
    }
}

#[cfg(test)]
mod tests;
