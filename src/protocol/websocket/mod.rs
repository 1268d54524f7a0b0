//! The server's side of RFC 6455 as plain functions and one struct: no socket, no clock, no runtime.
//!
//! [`Decoder`] turns bytes into messages and owns memory only while a message is incomplete. The encoders build a whole frame with
//! one allocation, so that the same bytes can go to every subscriber of a room.

use bytes::{BufMut, Bytes, BytesMut};

use super::close::CloseReason;

mod decoder;

pub use decoder::{Decoder, Incoming};

/// Most bytes that a control frame may carry (RFC 6455 §5.5).
const MAX_CONTROL_PAYLOAD: usize = 125;

const FIN_TEXT: u8 = 0x81;
const FIN_CLOSE: u8 = 0x88;
const FIN_PING: u8 = 0x89;
const FIN_PONG: u8 = 0x8A;

/// A rule of RFC 6455 that the client violated, which ends the connection. The texts are for logs; the client gets
/// [`ProtocolError::close_code`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A client frame without a mask.
    #[error("the frame is not masked")]
    Unmasked,
    /// RSV1–3 are set although no extension was agreed on.
    #[error("the frame sets reserved bits")]
    ReservedBits,
    /// An opcode RFC 6455 leaves unassigned.
    #[error("the opcode {0:#x} is not assigned")]
    UnknownOpcode(u8),
    /// A binary message; the protocol on top is JSON text.
    #[error("the message is binary, expected text")]
    Binary,
    /// The length is not in its shortest form.
    #[error("the frame length {0} is not in its shortest form")]
    LongLengthForm(u64),
    /// A control frame over 125 bytes.
    #[error("the control frame claims {0} bytes, at most 125 are allowed")]
    LongControlFrame(u64),
    /// A control frame in fragments.
    #[error("the control frame is fragmented")]
    FragmentedControlFrame,
    /// A continuation frame without a message before it.
    #[error("the continuation follows no message")]
    StrayContinuation,
    /// A message in more fragments than the longest one needs.
    #[error("the message has more than {0} fragments")]
    TooManyFragments(u32),
    /// A new message before the previous one ended.
    #[error("the message begins before the previous one ended")]
    InterleavedMessage,
    /// A close frame of one byte, which is half a code.
    #[error("the close frame holds half a code")]
    HalfCloseCode,
    /// A close code no peer may send.
    #[error("the close code {0} may not be sent")]
    BadCloseCode(u16),
    /// A text message or a close reason that is not UTF-8.
    #[error("the text is not utf-8")]
    InvalidUtf8,
    /// A message over the limit. Known from the header, before any of the payload is kept.
    #[error("the message claims {claimed} bytes, at most {limit} are allowed")]
    TooBig {
        /// Bytes of the message so far and of the frame that exceeds the limit, saturating.
        claimed: u64,
        /// The limit of the decoder, in bytes.
        limit: usize,
    },
}

impl ProtocolError {
    /// The close reason for this error: protocol error, binary, not UTF-8, or too big.
    pub const fn close_reason(&self) -> CloseReason {
        match self {
            Self::Binary => CloseReason::UnsupportedData,
            Self::InvalidUtf8 => CloseReason::InvalidUtf8,
            Self::TooBig { .. } => CloseReason::TooBig,
            _ => CloseReason::ProtocolError,
        }
    }

    /// The close code for the client: 1002 protocol, 1003 binary, 1007 not UTF-8, 1009 too big.
    pub const fn close_code(&self) -> u16 {
        self.close_reason().code()
    }
}

/// The length of a server's frame header before a payload of `payload` bytes: 2, 4 or 10.
pub const fn text_header_len(payload: usize) -> usize {
    match payload {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}

/// A whole, unmasked text frame around `payload`, which has to be UTF-8. One allocation, shared by clones.
pub fn text_frame(payload: &[u8]) -> Bytes {
    frame(FIN_TEXT, payload)
}

/// An empty ping. Never allocates.
pub const fn ping_frame() -> Bytes {
    Bytes::from_static(&[FIN_PING, 0])
}

/// The pong that answers a ping with this `payload`, cut at 125 bytes ([`Decoder`] yields no longer ones).
pub fn pong_frame(payload: &[u8]) -> Bytes {
    frame(FIN_PONG, &payload[..payload.len().min(MAX_CONTROL_PAYLOAD)])
}

/// A close frame. A `reason` over 123 bytes is cut between characters; `code` has to be one that may be sent.
pub fn close_frame(code: u16, reason: &str) -> Bytes {
    let mut payload = [0; MAX_CONTROL_PAYLOAD];
    let reason = &reason.as_bytes()[..reason.floor_char_boundary(MAX_CONTROL_PAYLOAD - 2)];
    payload[..2].copy_from_slice(&code.to_be_bytes());
    payload[2..2 + reason.len()].copy_from_slice(reason);
    frame(FIN_CLOSE, &payload[..2 + reason.len()])
}

fn frame(first: u8, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(text_header_len(payload.len()) + payload.len());
    out.put_u8(first);
    if let Ok(short @ 0..=125) = u8::try_from(payload.len()) {
        out.put_u8(short);
    } else if let Ok(medium) = u16::try_from(payload.len()) {
        out.put_u8(126);
        out.put_u16(medium);
    } else {
        out.put_u8(127);
        out.put_u64(payload.len() as u64);
    }
    out.put_slice(payload);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tungstenite::protocol::{CloseFrame, Message, Role, WebSocket};

    use super::*;

    fn read_by_tungstenite(frames: &[u8]) -> Message {
        WebSocket::from_raw_socket(Cursor::new(frames.to_vec()), Role::Client, None).read().unwrap()
    }

    #[test]
    fn frames_of_every_length_form_are_read_by_another_implementation() {
        for n in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
            let text = "x".repeat(n);
            let frame = text_frame(text.as_bytes());
            assert_eq!(frame.len(), text_header_len(n) + n);
            assert_eq!(read_by_tungstenite(&frame), Message::text(text), "{n} bytes");
        }
    }

    #[test]
    fn control_frames_are_read_by_another_implementation() {
        assert_eq!(read_by_tungstenite(&ping_frame()), Message::Ping(Bytes::new()));
        assert_eq!(read_by_tungstenite(&pong_frame(b"abc")), Message::Pong(Bytes::from_static(b"abc")));
        let close = CloseFrame { code: 4008.into(), reason: "too_slow".into() };
        assert_eq!(read_by_tungstenite(&close_frame(4008, "too_slow")), Message::Close(Some(close)));
    }

    #[test]
    fn a_long_close_reason_is_cut_between_characters_and_a_long_pong_at_its_bound() {
        // 61 two-byte characters are 122 bytes; the 62nd would end at 124, over the 123 there are.
        let Message::Close(Some(close)) = read_by_tungstenite(&close_frame(1008, &"é".repeat(100))) else {
            panic!("expected a close frame");
        };
        assert_eq!(close.reason.as_str(), "é".repeat(61));
        assert_eq!(pong_frame(&[0; 200]).len(), 2 + 125);
    }

    #[test]
    fn each_error_has_its_close_code() {
        assert_eq!(ProtocolError::Unmasked.close_code(), 1002);
        assert_eq!(ProtocolError::Binary.close_code(), 1003);
        assert_eq!(ProtocolError::InvalidUtf8.close_code(), 1007);
        assert_eq!(ProtocolError::TooBig { claimed: 2, limit: 1 }.close_code(), 1009);
    }
}
