//! The messages of Postgres and of Redis, as far as a proxy looks at them.

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Postgres,
    Redis,
}

/// Arrays in arrays that are followed; answers of Redis have two or three.
const MAX_DEPTH: usize = 16;

impl Wire {
    /// The length of the first message of `bytes`, once all of it is there. `untyped`: the first one of a client of Postgres, which has no
    /// type.
    pub(crate) fn length(self, bytes: &[u8], untyped: bool) -> Option<usize> {
        let length = match self {
            Self::Postgres => postgres_length(bytes, untyped)?,
            Self::Redis => redis_length(bytes, MAX_DEPTH)?,
        };
        (length <= bytes.len()).then_some(length)
    }
}

/// A type unless it is the first, a length that counts itself, the rest.
fn postgres_length(bytes: &[u8], untyped: bool) -> Option<usize> {
    let head = usize::from(!untyped);
    let length = bytes.get(head..head + 4)?;
    let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
    Some(head + length.max(4))
}

/// A line; behind it the bytes or the values that it counts. What cannot be read counts as a line.
fn redis_length(bytes: &[u8], depth: usize) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let count = || std::str::from_utf8(&bytes[1..line - 2]).ok()?.parse::<i64>().ok();
    let values = match bytes[0] {
        b'$' | b'=' | b'!' => {
            let length = count().filter(|length| *length >= 0);
            return Some(length.map_or(line, |length| line + length as usize + 2));
        }
        b'*' | b'~' | b'>' => count().unwrap_or_default(),
        b'%' => 2 * count().unwrap_or_default(),
        b'|' => 2 * count().unwrap_or_default() + 1,
        _ => 0,
    };
    let mut length = line;
    for _ in 0..values.max(0) {
        length += redis_length(bytes.get(length..)?, depth.checked_sub(1)?)?;
    }
    Some(length)
}

/// Query (simple) or Parse (extended) of a COMMIT; the name of the parsed statement does not matter.
pub(crate) fn is_commit(message: &[u8]) -> bool {
    let text = match message {
        [b'Q', _, _, _, _, text @ ..] => text,
        [b'P', _, _, _, _, rest @ ..] => rest.splitn(2, |byte| *byte == 0).nth(1).unwrap_or_default(),
        _ => return false,
    };
    text.get(..7).is_some_and(|text| text.eq_ignore_ascii_case(b"COMMIT\0"))
}

/// CommandComplete of a COMMIT (PostgreSQL documentation, 55.7 Message Formats).
pub(crate) const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

/// A message of a subscription, as opposed to the answer to a command.
pub(crate) fn is_subscribed(message: &[u8]) -> bool {
    if !matches!(message.first(), Some(b'*' | b'>')) {
        return false;
    }
    let Some(line) = message.windows(2).position(|pair| pair == b"\r\n") else { return false };
    let kinds: [&[u8]; 3] = [b"$7\r\nmessage\r\n", b"$8\r\nsmessage\r\n", b"$8\r\npmessage\r\n"];
    kinds.iter().any(|kind| message[line + 2..].starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_postgres_is_found_once_all_of_it_is_there() {
        let startup = b"\0\0\0\x08\0\x03\0\0Q\0\0\0\x0bCOMMIT\0";
        assert_eq!(Wire::Postgres.length(startup, true), Some(8));
        assert_eq!(Wire::Postgres.length(&startup[8..], false), Some(12));
        for cut in 0..12 {
            assert_eq!(Wire::Postgres.length(&startup[8..8 + cut], false), None, "{cut}");
        }
    }

    #[test]
    fn a_commit_is_known_in_both_ways_of_asking() {
        assert!(is_commit(b"Q\0\0\0\x0bCOMMIT\0"));
        assert!(is_commit(b"P\0\0\0\x10sqlx_s_1\0COMMIT\0\0\0"));
        assert!(!is_commit(b"Q\0\0\0\x0dSELECT 1\0"));
        assert!(!is_commit(b"Q\0\0"));
    }

    #[test]
    fn a_message_of_redis_is_found_once_all_of_it_is_there() {
        let cases: [&[u8]; 8] = [
            b"+OK\r\n",
            b":12\r\n",
            b"$-1\r\n",
            b"$5\r\na\r\nbc\r\n",
            b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n",
            b">2\r\n+a\r\n*1\r\n:1\r\n",
            b"%1\r\n+a\r\n:1\r\n",
            b"*0\r\n",
        ];
        for case in cases {
            let mut two = case.to_vec();
            two.extend_from_slice(b"+OK\r\n");
            assert_eq!(Wire::Redis.length(&two, false), Some(case.len()), "{}", case.escape_ascii());
            for cut in 0..case.len() {
                assert_eq!(Wire::Redis.length(&case[..cut], false), None, "{} {cut}", case.escape_ascii());
            }
        }
    }

    #[test]
    fn only_messages_of_subscriptions_are_taken_for_such() {
        assert!(is_subscribed(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"));
        assert!(is_subscribed(b">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"));
        assert!(!is_subscribed(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"));
        assert!(!is_subscribed(b"$7\r\nmessage\r\n"));
        assert!(!is_subscribed(b"*1\r\n"));
    }
}
