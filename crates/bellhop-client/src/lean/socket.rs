//! WebSockets that read every frame where it arrived, in a buffer that all sockets of a thread share.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::LeanError;

/// Bytes read at once.
const READ_BUFFER: usize = 64 * 1024;

/// Bytes of the largest frame that is read.
const MAX_FRAME: usize = 1 << 20;

/// Bytes of the longest answer to a handshake.
const MAX_ANSWER: usize = 16 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BUFFER]);
}

/// The first frame of a connection, if the server speaks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// A frame comes before the socket counts as open.
    Hello,
    /// The handshake is all.
    None,
}

/// The request that opens a WebSocket at `path`; an empty `token` is left out.
pub fn handshake(address: SocketAddr, path: &str, token: &str) -> String {
    let authorization =
        if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{authorization}\r\n"
    )
}

/// A text frame of a client, with a mask of zeros; of fewer than 64 KiB.
pub fn masked(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(length @ 0..=125) => frame.push(0x80 | length),
        _ => {
            // Longer than what a hub takes would be cut by its own check.
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

/// An open socket. Pings are answered while it is read.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    /// Bytes of a frame that is not complete.
    rest: Vec<u8>,
}

impl Socket {
    /// Connects, shakes hands, and waits for the greeting. `receive_buffer` bounds what the kernel takes in for a
    /// reader that stops reading.
    ///
    /// # Errors
    /// When there is no connection, or the upgrade is refused.
    pub async fn open(
        address: SocketAddr,
        request: &str,
        greeting: Greeting,
        receive_buffer: Option<u32>,
    ) -> Result<Self, LeanError> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        Self::shake_hands(socket.connect(address).await?, request, greeting).await
    }

    /// As [`Socket::open`], from an address of this machine: clients of one address are bounded.
    ///
    /// # Errors
    /// As [`Socket::open`], and when the address is not of this machine.
    pub async fn open_from(
        source: Ipv4Addr,
        address: SocketAddr,
        request: &str,
        greeting: Greeting,
    ) -> Result<Self, LeanError> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((source, 0)))?;
        Self::shake_hands(socket.connect(address).await?, request, greeting).await
    }

    async fn shake_hands(
        mut stream: TcpStream,
        request: &str,
        greeting: Greeting,
    ) -> Result<Self, LeanError> {
        stream.set_nodelay(true)?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(512);
        let head = loop {
            if let Some(end) = memchr::memmem::find(&answer, b"\r\n\r\n") {
                break end + 4;
            }
            if answer.len() >= MAX_ANSWER {
                return Err(LeanError::Unexpected("an answer to the handshake that is too long".to_owned()));
            }
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(LeanError::Closed("the handshake was over"));
            }
        };
        if !answer.starts_with(b"HTTP/1.1 101") {
            return Err(LeanError::Refused(String::from_utf8_lossy(&answer[..head.min(64)]).into_owned()));
        }
        let mut socket = Self { stream, rest: answer.split_off(head) };
        if greeting == Greeting::Hello {
            while !socket.frames(|_| ())? {
                let mut more = Vec::with_capacity(1024);
                if socket.stream.read_buf(&mut more).await? == 0 {
                    return Err(LeanError::Closed("the greeting"));
                }
                socket.rest.extend_from_slice(&more);
            }
        }
        socket.rest.shrink_to_fit();
        Ok(socket)
    }

    /// Its own port and the server's.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn ports(&self) -> Result<(u16, u16), LeanError> {
        Ok((self.stream.local_addr()?.port(), self.stream.peer_addr()?.port()))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), LeanError> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Reads to the end; the code of the close frame, if one came.
    pub async fn close_code(mut self) -> Option<u16> {
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

    /// Waits until there is something to read.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn readable(&self) -> Result<(), LeanError> {
        Ok(self.stream.readable().await?)
    }

    /// Reads what is there and gives every complete text frame to `each`. False when the server has closed.
    ///
    /// # Errors
    /// When the connection is broken, or a frame is none.
    pub fn read(&mut self, mut each: impl FnMut(&[u8])) -> Result<bool, LeanError> {
        BUFFER.with(|buffer| {
            let mut buffer = buffer.borrow_mut();
            loop {
                match self.stream.try_read(&mut buffer) {
                    Ok(0) => return Ok(false),
                    Ok(read) => {
                        self.rest.extend_from_slice(&buffer[..read]);
                        self.frames(&mut each)?;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(true),
                    Err(error) => return Err(error.into()),
                }
            }
        })
    }

    /// Gives every complete text frame to `each`; says whether there was one. Answers pings.
    fn frames(&mut self, mut each: impl FnMut(&[u8])) -> Result<bool, LeanError> {
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
#[inline]
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, LeanError> {
    let (header, len) = match bytes {
        [_, len @ 0..=125, ..] => (2, usize::from(*len)),
        [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
        [_, 127, a, b, c, d, e, f, g, h, ..] => {
            let len = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            (10, usize::try_from(len).unwrap_or(usize::MAX))
        }
        [_, len, ..] if *len >= 128 => {
            return Err(LeanError::Unexpected("a frame of a server that is masked".to_owned()));
        }
        _ => return Ok(None),
    };
    if len > MAX_FRAME {
        return Err(LeanError::Unexpected(format!("a frame of {len} bytes")));
    }
    Ok(Some((header, len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_frame_tells_its_lengths_once_it_is_complete() {
        for (bytes, expected) in [
            (&[0x81][..], None),
            (&[0x81, 5], Some((2, 5))),
            (&[0x81, 126, 1], None),
            (&[0x81, 126, 1, 0], Some((4, 256))),
            (&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0], Some((10, 65_536))),
        ] {
            assert_eq!(header(bytes).unwrap(), expected, "{bytes:?}");
        }
        assert!(header(&[0x81, 0x85]).is_err(), "masked");
        assert!(header(&[0x81, 127, 0, 0, 0, 0, 1, 0, 0, 0]).is_err(), "16 MiB");
    }
}
