//! The decoder of frames from a client.

use std::array;
use std::io::Cursor;
use std::mem;

use bytes::Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{MAX_CONTROL_PAYLOAD, ProtocolError};

/// Most fragments of one message. Each costs work without counting as a message, and more of them would be nearly empty.
const MAX_FRAGMENTS: u32 = 1024;

/// The longest frame header, in bytes: two, a length of eight, a mask of four.
const MAX_HEADER: usize = 14;

/// A complete and checked message or control frame of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text message, its fragments joined; no longer than the decoder's limit.
    Text(String),
    /// A ping with at most 125 bytes. Its pong has to carry the same bytes.
    Ping(Bytes),
    /// A pong, with or without a ping before it.
    Pong,
    /// A close frame with its code and reason, if it has one. Nothing is decoded after it.
    Close(Option<(u16, String)>),
}

/// The decoder of one client's frames. Between messages it is three words and owns no memory. While a frame or a fragmented message
/// is incomplete it keeps the bytes that have arrived: at most the limit, one control frame and one header.
#[derive(Debug)]
pub struct Decoder {
    max_message_bytes: usize,
    partial: Option<Box<Partial>>,
    ended: bool,
}

impl Decoder {
    /// A decoder that refuses messages of more than `max_message_bytes` of payload, summed over their fragments.
    pub const fn new(max_message_bytes: usize) -> Self {
        Self { max_message_bytes, partial: None, ended: false }
    }

    /// Takes bytes from the front of `input` until a message is complete. `None` means that all of `input` was taken; call it until
    /// then. After an error or a close, which end the connection, it takes and ignores everything.
    ///
    /// # Errors
    /// The first rule that the bytes violate, as soon as the frame header shows it; for UTF-8 at the end of the message.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, ProtocolError> {
        if self.ended {
            *input = &[];
            return Ok(None);
        }
        let mut partial = self.partial.take().map_or_else(Partial::default, |kept| *kept);
        let outcome = partial.advance(input, self.max_message_bytes);
        if matches!(outcome, Err(_) | Ok(Some(Incoming::Close(_)))) {
            self.ended = true;
        } else if !partial.is_empty() {
            self.partial = Some(Box::new(partial));
        }
        outcome
    }
}

/// The bytes that have arrived of an incomplete frame, and of the message it belongs to.
#[derive(Debug, Default)]
struct Partial {
    header: [u8; MAX_HEADER],
    header_len: usize,
    frame: Option<Frame>,
    control: Vec<u8>,
    message: Option<Vec<u8>>,
    /// The number of continuation frames of the message so far.
    fragments: u32,
}

/// A frame whose header was read and violates no rule.
#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: Kind,
    is_final: bool,
    mask: [u8; 4],
    length: usize,
    taken: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Continuation,
    Control(Control),
}

impl Partial {
    fn is_empty(&self) -> bool {
        self.header_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    fn advance(&mut self, input: &mut &[u8], limit: usize) -> Result<Option<Incoming>, ProtocolError> {
        loop {
            let mut frame = match self.frame {
                Some(frame) => frame,
                None => match self.read_header(input, limit)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            self.read_payload(&mut frame, input, limit);
            if frame.taken < frame.length {
                self.frame = Some(frame);
                return Ok(None);
            }
            self.frame = None;
            if let Some(incoming) = self.finish(frame)? {
                return Ok(Some(incoming));
            }
        }
    }

    fn read_header(&mut self, input: &mut &[u8], limit: usize) -> Result<Option<Frame>, ProtocolError> {
        let kept = self.header_len;
        let seen = MAX_HEADER.min(kept + input.len());
        self.header[kept..seen].copy_from_slice(&input[..seen - kept]);
        let mut cursor = Cursor::new(&self.header[..seen]);
        let parsed = FrameHeader::parse(&mut cursor)
            .map_err(|_| ProtocolError::UnknownOpcode(self.header[0] & 0x0F))?;
        let Some((header, length)) = parsed else {
            self.header_len = seen;
            *input = &[];
            return Ok(None);
        };
        let used = header.len(length);
        if cursor.position() != used as u64 {
            return Err(ProtocolError::LongLengthForm(length));
        }
        *input = &input[used - kept..];
        self.header_len = 0;
        self.check_header(&header, length, limit).map(Some)
    }

    /// Checks every rule that a header alone can violate. Begins a new message for a text frame.
    fn check_header(
        &mut self,
        header: &FrameHeader,
        length: u64,
        limit: usize,
    ) -> Result<Frame, ProtocolError> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(ProtocolError::ReservedBits);
        }
        let mask = header.mask.ok_or(ProtocolError::Unmasked)?;
        let kind = match (header.opcode, &self.message) {
            (OpCode::Control(Control::Reserved(code)) | OpCode::Data(Data::Reserved(code)), _) => {
                return Err(ProtocolError::UnknownOpcode(code));
            }
            (OpCode::Control(_), _) if length > MAX_CONTROL_PAYLOAD as u64 => {
                return Err(ProtocolError::LongControlFrame(length));
            }
            (OpCode::Control(_), _) if !header.is_final => return Err(ProtocolError::FragmentedControlFrame),
            (OpCode::Control(control), _) => Kind::Control(control),
            (OpCode::Data(Data::Binary), _) => return Err(ProtocolError::Binary),
            (OpCode::Data(Data::Text), Some(_)) => return Err(ProtocolError::InterleavedMessage),
            (OpCode::Data(Data::Text), None) => Kind::Text,
            (OpCode::Data(Data::Continue), None) => return Err(ProtocolError::StrayContinuation),
            (OpCode::Data(Data::Continue), Some(_)) if self.fragments >= MAX_FRAGMENTS => {
                return Err(ProtocolError::TooManyFragments(MAX_FRAGMENTS));
            }
            (OpCode::Data(Data::Continue), Some(_)) => Kind::Continuation,
        };
        self.fragments += u32::from(kind == Kind::Continuation);
        if !matches!(kind, Kind::Control(_)) {
            let message = self.message.get_or_insert_default();
            let claimed = length.saturating_add(message.len() as u64);
            if claimed > limit as u64 {
                return Err(ProtocolError::TooBig { claimed, limit });
            }
        }
        let length = usize::try_from(length).expect("a length within the limit fits a usize");
        Ok(Frame { kind, is_final: header.is_final, mask, length, taken: 0 })
    }

    fn read_payload(&mut self, frame: &mut Frame, input: &mut &[u8], limit: usize) {
        let missing = frame.length - frame.taken;
        let (piece, rest) = input.split_at(missing.min(input.len()));
        let (buffer, ceiling) = match frame.kind {
            Kind::Control(_) => (&mut self.control, MAX_CONTROL_PAYLOAD),
            // The length of a message in one frame is known. One in fragments grows by doubling; otherwise each of many tiny
            // fragments would copy all bytes before it.
            Kind::Text if frame.is_final => (self.message.get_or_insert_default(), frame.length),
            Kind::Text | Kind::Continuation => (self.message.get_or_insert_default(), limit),
        };
        let start = buffer.len();
        let needed = start + piece.len();
        if needed > buffer.capacity() {
            let capacity = ceiling.min(needed.max(buffer.capacity() * 2));
            buffer.reserve_exact(capacity - start);
        }
        buffer.extend_from_slice(piece);
        unmask(&mut buffer[start..], frame.mask, frame.taken);
        frame.taken += piece.len();
        *input = rest;
    }

    fn finish(&mut self, frame: Frame) -> Result<Option<Incoming>, ProtocolError> {
        let incoming = match frame.kind {
            Kind::Text | Kind::Continuation if !frame.is_final => return Ok(None),
            Kind::Text | Kind::Continuation => {
                self.fragments = 0;
                let text = self.message.take().unwrap_or_default();
                Incoming::Text(String::from_utf8(text).map_err(|_| ProtocolError::InvalidUtf8)?)
            }
            Kind::Control(Control::Ping) => Incoming::Ping(Bytes::from(mem::take(&mut self.control))),
            Kind::Control(Control::Close) => Incoming::Close(close_reason(&mem::take(&mut self.control))?),
            Kind::Control(_) => {
                self.control = Vec::new();
                Incoming::Pong
            }
        };
        Ok(Some(incoming))
    }
}

fn close_reason(payload: &[u8]) -> Result<Option<(u16, String)>, ProtocolError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(ProtocolError::HalfCloseCode) };
    };
    let code = u16::from_be_bytes(*code);
    // RFC 6455 §7.4 and the registry: 1004–1006 and 1015 never travel, 1016–2999 are unassigned.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(ProtocolError::BadCloseCode(code));
    }
    let reason = str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
    Ok(Some((code, reason.to_owned())))
}

/// `offset` is where in its frame's payload the piece begins.
fn unmask(piece: &mut [u8], mask: [u8; 4], offset: usize) {
    let mask: [u8; 4] = array::from_fn(|i| mask[(offset + i) % 4]);
    let word = u32::from_ne_bytes(mask);
    let (words, tail) = piece.as_chunks_mut();
    for bytes in words {
        *bytes = (u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, mask) in tail.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests;
