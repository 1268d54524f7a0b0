//! A WebSocket client that costs little, so that what is measured is the server.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::tally::Tally;

/// Read at once, into a buffer that all sockets of a thread share.
const SCRATCH: usize = 64 * 1024;

/// The largest frame a server may send here.
const MAX_FRAME: usize = 1 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// Whether the server speaks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// A frame comes before the socket counts as open.
    Hello,
    /// The handshake is all.
    None,
}

/// An open socket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    /// Bytes of a frame that is not complete.
    rest: Vec<u8>,
}

impl Socket {
    /// Connects, shakes hands, and waits for the greeting. `receive_buffer` bounds what the kernel takes in for a
    /// reader that stops reading.
    pub(crate) async fn open(
        address: SocketAddr,
        request: &str,
        greeting: Greeting,
        receive_buffer: Option<u32>,
    ) -> Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let mut stream = socket.connect(address).await.context("no connection")?;
        stream.set_nodelay(true)?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(512);
        let head = loop {
            if let Some(end) = memchr::memmem::find(&answer, b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(answer.len() < 16 * 1024, "the answer to the handshake is too long");
            ensure!(stream.read_buf(&mut answer).await? > 0, "closed during the handshake");
        };
        let status = String::from_utf8_lossy(&answer[..head.min(64)]).into_owned();
        ensure!(answer.starts_with(b"HTTP/1.1 101"), "refused: {status}");
        let mut socket = Self { stream, rest: answer.split_off(head) };
        if greeting == Greeting::Hello {
            while !socket.frames(|_| ())? {
                let mut more = Vec::with_capacity(1024);
                ensure!(socket.stream.read_buf(&mut more).await? > 0, "closed before its greeting");
                socket.rest.extend_from_slice(&more);
            }
        }
        socket.rest.shrink_to_fit();
        Ok(socket)
    }

    /// Its own port and the server's.
    pub(crate) fn ports(&self) -> Result<(u16, u16)> {
        Ok((self.stream.local_addr()?.port(), self.stream.peer_addr()?.port()))
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Reads to the end; the code of the close frame, if one came.
    pub(crate) async fn close_code(mut self) -> Option<u16> {
        while let Ok(1..) = self.stream.read_buf(&mut self.rest).await {}
        let mut at = 0;
        while let Ok(Some((header, len))) = header(&self.rest[at..]) {
            let payload = self.rest.get(at + header..at + header + len)?;
            if let (8, [high, low, ..]) = (self.rest[at] & 0x0f, payload) {
                return Some(u16::from_be_bytes([*high, *low]));
            }
            at += header + len;
        }
        None
    }

    /// Takes in everything until told to stop or closed by the server.
    pub(crate) async fn listen(
        mut self,
        mut tally: Tally,
        received: Arc<AtomicU64>,
        mut stop: watch::Receiver<()>,
    ) -> Tally {
        loop {
            let ready = tokio::select! {
                ready = self.stream.readable() => ready.is_ok(),
                _ = stop.changed() => false,
            };
            if !ready || !matches!(self.read(&mut tally, &received), Ok(true)) {
                return tally;
            }
        }
    }

    /// Reads what is there; false when the server has closed.
    fn read(&mut self, tally: &mut Tally, received: &AtomicU64) -> Result<bool> {
        BUFFER.with(|buffer| {
            let mut buffer = buffer.borrow_mut();
            let mut fresh = 0;
            let open = loop {
                match self.stream.try_read(&mut buffer) {
                    Ok(0) => break false,
                    Ok(read) => {
                        self.rest.extend_from_slice(&buffer[..read]);
                        self.frames(|payload| fresh += u64::from(tally.take(payload)))?;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break true,
                    Err(error) => return Err(error.into()),
                }
            };
            received.fetch_add(fresh, Ordering::Relaxed);
            Ok(open)
        })
    }

    /// Gives every complete text frame to `each`; says whether there was one. Answers pings.
    fn frames(&mut self, mut each: impl FnMut(&[u8])) -> Result<bool> {
        let (mut at, mut any) = (0, false);
        while let Some((header, len)) = header(&self.rest[at..])? {
            let Some(payload) = self.rest.get(at + header..at + header + len) else { break };
            match self.rest[at] & 0x0f {
                1 => {
                    each(payload);
                    any = true;
                }
                // At most 125 bytes, so that the length stays as it is; the mask is zero. Whoever has no room for so
                // few bytes is not read, and will hear of it.
                9 => {
                    let mut pong = vec![0x8a, 0x80 | self.rest[at + 1], 0, 0, 0, 0];
                    pong.extend_from_slice(payload);
                    let _ = self.stream.try_write(&pong);
                }
                _ => {}
            }
            at += header + len;
        }
        self.rest.drain(..at);
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
        Ok(any)
    }
}

/// The lengths of a server frame's header and payload, once its header is complete.
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let (header, len) = match bytes {
        [_, len @ 0..=125, ..] => (2, usize::from(*len)),
        [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
        [_, 127, a, b, c, d, e, f, g, h, ..] => {
            (10, usize::try_from(u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))?)
        }
        [_, len, ..] if *len >= 128 => bail!("a server frame may not be masked"),
        _ => return Ok(None),
    };
    ensure!(len <= MAX_FRAME, "a frame of {len} bytes");
    Ok(Some((header, len)))
}
