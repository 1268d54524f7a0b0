use proptest::prelude::*;
use tungstenite::protocol::frame::Frame as ClientFrame;

use super::*;

const LIMIT: usize = 1_000;
const MASK: [u8; 4] = [0x11, 0xA2, 0x00, 0xFF];

/// A frame as a client sends it, written by another implementation.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        is_final: first & 0x80 != 0,
        rsv1: first & 0x40 != 0,
        rsv2: first & 0x20 != 0,
        rsv3: first & 0x10 != 0,
        opcode: (first & 0x0F).into(),
        mask: Some(MASK),
    };
    let mut out = Vec::new();
    ClientFrame::from_payload(header, Bytes::copy_from_slice(payload)).format(&mut out).unwrap();
    out
}

fn frames(list: &[(u8, &[u8])]) -> Vec<u8> {
    list.iter().flat_map(|(first, payload)| frame(*first, payload)).collect()
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

impl Decoder {
    /// Heap bytes of payload this decoder holds on to.
    fn kept(&self) -> usize {
        self.partial
            .as_ref()
            .map_or(0, |p| p.control.capacity() + p.message.as_ref().map_or(0, Vec::capacity))
    }
}

fn decode_pieces(pieces: &[&[u8]]) -> Result<Vec<Incoming>, (Vec<Incoming>, ProtocolError)> {
    let mut decoder = Decoder::new(LIMIT);
    let mut got = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(incoming)) => got.push(incoming),
                Ok(None) => break,
                Err(error) => return Err((got, error)),
            }
            assert!(decoder.kept() <= LIMIT + MAX_CONTROL_PAYLOAD);
        }
        assert!(input.is_empty(), "what was not decoded has to be kept or refused");
    }
    Ok(got)
}

/// In one piece and byte by byte; both have to say the same.
fn decode(bytes: &[u8]) -> Result<Vec<Incoming>, ProtocolError> {
    let whole = decode_pieces(&[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(decode_pieces(&single), whole);
    whole.map_err(|(_, error)| error)
}

fn text(text: &str) -> Incoming {
    Incoming::Text(text.to_owned())
}

fn ping(payload: &'static [u8]) -> Incoming {
    Incoming::Ping(Bytes::from_static(payload))
}

#[test]
fn lawful_frames_are_read() {
    let full = "x".repeat(LIMIT);
    let table: Vec<(Vec<u8>, Vec<Incoming>)> = vec![
        (vec![], vec![]),
        (frame(0x81, b""), vec![text("")]),
        (frame(0x81, b"hello"), vec![text("hello")]),
        (frame(0x81, &[b'x'; 125]), vec![text(&"x".repeat(125))]),
        (frame(0x81, &[b'x'; 126]), vec![text(&"x".repeat(126))]),
        (frame(0x81, full.as_bytes()), vec![text(&full)]),
        (frame(0x81, "κόσμε 🛎".as_bytes()), vec![text("κόσμε 🛎")]),
        (frames(&[(0x81, b"a"), (0x81, b"b"), (0x81, b"c")]), vec![text("a"), text("b"), text("c")]),
        (frames(&[(0x01, b"a"), (0x00, b"b"), (0x80, b"c")]), vec![text("abc")]),
        (frames(&[(0x01, b""), (0x00, b""), (0x80, b"")]), vec![text("")]),
        (frames(&[(0x01, b"\xf0\x9f"), (0x80, b"\x9b\x8e")]), vec![text("🛎")]),
        (frames(&[(0x01, &[b'x'; 600]), (0x80, &[b'x'; 400])]), vec![text(&full)]),
        (frame(0x89, b""), vec![ping(b"")]),
        (frame(0x89, &[7; 125]), vec![ping(&[7; 125])]),
        (frame(0x8A, b"unasked"), vec![Incoming::Pong]),
        (
            frames(&[(0x01, b"a"), (0x89, b"p"), (0x00, b"b"), (0x8A, b""), (0x80, b"c"), (0x81, b"d")]),
            vec![ping(b"p"), Incoming::Pong, text("abc"), text("d")],
        ),
        (frame(0x88, b""), vec![Incoming::Close(None)]),
        (close(1000, b""), vec![Incoming::Close(Some((1000, String::new())))]),
        (close(4999, "tschüß".as_bytes()), vec![Incoming::Close(Some((4999, "tschüß".to_owned())))]),
        (close(1000, &[b'r'; 123]), vec![Incoming::Close(Some((1000, "r".repeat(123))))]),
    ];
    for (bytes, expected) in table {
        assert_eq!(decode(&bytes), Ok(expected), "{bytes:02x?}");
    }
}

#[test]
fn each_broken_rule_is_refused_by_its_name() {
    use ProtocolError as E;
    let mut unmasked = frame(0x81, b"");
    unmasked.truncate(2);
    unmasked[1] = 0;
    let table: Vec<(&str, Vec<u8>, E)> = vec![
        ("unmasked", unmasked, E::Unmasked),
        ("unmasked ping", vec![0x89, 0], E::Unmasked),
        ("rsv1", frame(0xC1, b"a"), E::ReservedBits),
        ("rsv2", frame(0xA1, b"a"), E::ReservedBits),
        ("rsv3", frame(0x91, b"a"), E::ReservedBits),
        ("rsv on a ping", frame(0xC9, b""), E::ReservedBits),
        ("opcode 3", frame(0x83, b""), E::UnknownOpcode(3)),
        ("opcode 7", frame(0x87, b"a"), E::UnknownOpcode(7)),
        ("opcode 11", frame(0x8B, b""), E::UnknownOpcode(11)),
        ("opcode 15", frame(0x8F, b"a"), E::UnknownOpcode(15)),
        ("binary", frame(0x82, b"a"), E::Binary),
        ("binary fragment", frame(0x02, b"a"), E::Binary),
        ("5 in two bytes", vec![0x81, 0xFE, 0, 5, 0, 0, 0, 0], E::LongLengthForm(5)),
        (
            "200 in eight bytes",
            vec![0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0, 0],
            E::LongLengthForm(200),
        ),
        ("ping of 126", frame(0x89, &[0; 126]), E::LongControlFrame(126)),
        ("close of 126", frame(0x88, &[0; 126]), E::LongControlFrame(126)),
        ("fragmented ping", frame(0x09, b"a"), E::FragmentedControlFrame),
        ("fragmented close", frame(0x08, b""), E::FragmentedControlFrame),
        ("continuation of nothing", frame(0x80, b"a"), E::StrayContinuation),
        (
            "continuation after the end",
            frames(&[(0x01, b"a"), (0x80, b"b"), (0x00, b"c")]),
            E::StrayContinuation,
        ),
        ("text in text", frames(&[(0x01, b"a"), (0x81, b"b")]), E::InterleavedMessage),
        ("text in an empty fragment", frames(&[(0x01, b""), (0x01, b"b")]), E::InterleavedMessage),
        ("half a code", frame(0x88, &[3]), E::HalfCloseCode),
        ("reason not utf-8", close(1000, b"\xff"), E::InvalidUtf8),
        ("lone continuation byte", frame(0x81, b"\x80"), E::InvalidUtf8),
        ("overlong", frame(0x81, b"\xc0\xaf"), E::InvalidUtf8),
        ("surrogate", frame(0x81, b"\xed\xa0\x80"), E::InvalidUtf8),
        ("cut character", frame(0x81, b"a\xf0\x9f"), E::InvalidUtf8),
        ("cut in the last fragment", frames(&[(0x01, b"\xf0"), (0x80, b"\x9f")]), E::InvalidUtf8),
    ];
    for (name, bytes, error) in table {
        assert_eq!(decode(&bytes), Err(error), "{name}");
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        assert_eq!(decode(&close(code, b"")), Err(E::BadCloseCode(code)));
    }
    for code in
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
    {
        assert_eq!(decode(&close(code, b"")), Ok(vec![Incoming::Close(Some((code, String::new())))]));
    }
}

#[test]
fn a_message_over_the_limit_is_refused_from_its_header_alone() {
    let claims = |length: u64| [&[0x81, 0xFF][..], &length.to_be_bytes(), &MASK].concat();
    for claimed in [65_536, 1 << 30, u64::MAX] {
        assert_eq!(decode(&claims(claimed)), Err(ProtocolError::TooBig { claimed, limit: LIMIT }));
    }
    let just_over = frame(0x81, &[b'x'; LIMIT + 1]);
    assert_eq!(decode(&just_over[..8]), Err(ProtocolError::TooBig { claimed: 1_001, limit: LIMIT }));
    let mut fragments = frames(&[(0x01, &[b'x'; 600]), (0x00, &[b'x'; 400])]);
    fragments.extend_from_slice(&frame(0x80, b"x")[..6]);
    assert_eq!(decode(&fragments), Err(ProtocolError::TooBig { claimed: 1_001, limit: LIMIT }));
}

#[test]
fn a_claimed_length_reserves_nothing_before_its_payload_comes() {
    let mut decoder = Decoder::new(64 * 1024);
    let claim = [&[0x81, 0xFE, 0xFF, 0xFF][..], &MASK, b"0123456789"].concat();
    assert_eq!(decoder.decode(&mut &claim[..]), Ok(None));
    assert_eq!(decoder.kept(), 10);
}

#[test]
fn an_idle_decoder_is_small_and_owns_no_memory() {
    assert!(size_of::<Decoder>() <= 40, "{} bytes", size_of::<Decoder>());
    let mut decoder = Decoder::new(LIMIT);
    for bytes in [frames(&[(0x01, b"a"), (0x80, b"b")]), frame(0x89, b"p"), frame(0x81, &[b'x'; LIMIT])] {
        let (start, end) = bytes.split_at(bytes.len() - 1);
        let mut start = start;
        assert_eq!(decoder.decode(&mut start), Ok(None));
        assert!(decoder.partial.is_some());
        assert!(decoder.decode(&mut &end[..]).unwrap().is_some());
        assert!(decoder.partial.is_none());
    }
}

#[test]
fn nothing_is_read_after_a_close_or_an_error() {
    for end in [close(1000, b""), frame(0x82, b"binary")] {
        let mut decoder = Decoder::new(LIMIT);
        let bytes = [end, frame(0x81, b"late")].concat();
        let mut input = &bytes[..];
        assert!(!matches!(decoder.decode(&mut input), Ok(None)));
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert!(input.is_empty() && decoder.partial.is_none());
        assert_eq!(decoder.decode(&mut &frame(0x81, b"later")[..]), Ok(None));
    }
}

proptest! {
    #[test]
    fn a_message_decodes_the_same_however_it_is_fragmented_and_split(
        message in "\\PC{0,200}",
        fragment_at in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        split_at in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        pings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=125), 0..3),
    ) {
        let cuts = |len: usize, at: &[prop::sample::Index]| {
            let mut cuts: Vec<usize> = at.iter().map(|i| i.index(len + 1)).chain([0, len]).collect();
            cuts.sort_unstable();
            cuts
        };
        let fragments = cuts(message.len(), &fragment_at);
        let last = fragments.len() - 2;
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (i, pair) in fragments.windows(2).enumerate() {
            let first = if i == 0 { 0x01 } else { 0x00 } | if i == last { 0x80 } else { 0 };
            bytes.extend(frame(first, &message.as_bytes()[pair[0]..pair[1]]));
            if let (Some(ping), true) = (pings.get(i), i < last) {
                bytes.extend(frame(0x89, ping));
                expected.push(Incoming::Ping(ping.clone().into()));
            }
        }
        expected.push(Incoming::Text(message));
        bytes.extend(frame(0x81, b"next"));
        expected.push(text("next"));
        let splits = cuts(bytes.len(), &split_at);
        let pieces: Vec<&[u8]> = splits.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(decode_pieces(&pieces), Ok(expected));
    }

    #[test]
    fn random_bytes_are_read_or_refused_within_the_bound(
        noise in prop::collection::vec(any::<u8>(), 0..600),
        opening in prop::sample::select(vec![0x01_u8, 0x81, 0x89, 0x88, 0x00]),
        length in 0_u8..=127,
    ) {
        // A plausible start takes the noise past the first checks.
        let bytes = [&[opening, 0x80 | length][..], &noise].concat();
        let _ = decode_pieces(&bytes.chunks(7).collect::<Vec<_>>());
        let _ = decode_pieces(&[&noise]);
    }
}

#[test]
fn a_message_has_no_more_fragments_than_a_bound_and_the_next_one_as_many_again() {
    let message = |continuations: usize| {
        let mut bytes = frame(0x01, b"");
        bytes.extend(frame(0x00, b"").repeat(continuations - 1));
        bytes.extend(frame(0x80, b"x"));
        bytes
    };
    assert_eq!(decode(&message(1024).repeat(2)).map(|incoming| incoming.len()), Ok(2));
    assert_eq!(decode(&message(1025)), Err(ProtocolError::TooManyFragments(1024)));
}
