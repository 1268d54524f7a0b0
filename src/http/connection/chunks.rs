//! The end of a chunked body (RFC 9112 §7.1). Nothing is decoded: the bytes pass as they are.

/// The position within a chunked body. Takes no more than the web server's own decoder takes, so that both see the same
/// end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    state: State,
    /// The size of a chunk as far as its line was read, then the bytes that are left of it.
    size: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    MoreSize,
    Blank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    End,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

/// The bytes are no chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadChunk;

impl Chunks {
    /// Whether the last byte was seen.
    pub(super) fn is_done(self) -> bool {
        self.state == State::Done
    }

    /// Reads on; how many of the bytes belong to the body.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let here =
                    usize::try_from(self.size).map_or(bytes.len() - at, |size| size.min(bytes.len() - at));
                at += here;
                self.size -= here as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            self.state = self.step(bytes[at])?;
            at += 1;
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<State, BadChunk> {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        Ok(match (self.state, byte) {
            (State::Size, _) => {
                self.size = digit.ok_or(BadChunk)?;
                State::MoreSize
            }
            (State::MoreSize | State::Blank, b'\t' | b' ') => State::Blank,
            (State::MoreSize | State::Blank, b';') => State::Extension,
            (State::MoreSize | State::Blank | State::Extension, b'\r') => State::SizeLf,
            (State::MoreSize, _) => {
                self.size = self.size.checked_mul(16).ok_or(BadChunk)? + digit.ok_or(BadChunk)?;
                State::MoreSize
            }
            (State::Extension, b'\t' | 0x20..=0x7e | 0x80..) => State::Extension,
            (State::SizeLf, b'\n') if self.size > 0 => State::Data,
            (State::SizeLf, b'\n') => State::End,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::End, b'\r') => State::EndLf,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::End | State::Trailer, _) => State::Trailer,
            (State::TrailerLf, b'\n') => State::End,
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(BadChunk),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_body_ends_after_its_last_chunk_and_its_trailers() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "A;x=y\r\n0123456789\r\n1 \r\na\r\n0\r\nX: y\r\nZ: w\r\n\r\n",
        ] {
            let mut chunks = Chunks::default();
            let text = format!("{body}GET / HTTP/1.1");
            assert_eq!(chunks.take(text.as_bytes()), Ok(body.len()), "{body:?}");
            assert!(chunks.is_done());
            assert_eq!(chunks.take(b"more"), Ok(0));
        }
        for bad in [
            "x\r\n",
            "\r\n",
            "5\rx",
            "1\r\nab",
            "1\r\na\r\r",
            "11111111111111111\r\n",
            "1;\u{1}\r\n",
            "+1\r\n",
            "1 2\r\n",
        ] {
            assert_eq!(Chunks::default().take(bad.as_bytes()), Err(BadChunk), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(
            sizes in prop::collection::vec(1usize..40, 0..6), cuts in prop::collection::vec(1usize..9, 1..64)
        ) {
            let mut body = Vec::new();
            for size in sizes {
                body.extend_from_slice(format!("{size:x}\r\n{}\r\n", "\r".repeat(size)).as_bytes());
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let (mut chunks, mut rest, mut cuts) = (Chunks::default(), &body[..], cuts.iter().cycle());
            while !rest.is_empty() {
                prop_assert!(!chunks.is_done());
                let (now, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                prop_assert_eq!(chunks.take(now), Ok(now.len()));
                rest = later;
            }
            prop_assert!(chunks.is_done());
        }
    }
}
