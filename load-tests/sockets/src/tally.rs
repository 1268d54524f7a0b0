//! Counts and latencies of one socket.

use std::time::Instant;

use memchr::memmem;

/// Brackets the publisher's number and clock in every payload: `@12@34567@`, the clock in microseconds.
const MARK: u8 = b'@';

/// The events of one socket: which came next, which came again, which were missed, and how long they took.
#[derive(Debug)]
pub(crate) struct Tally {
    from: Instant,
    /// Events up to this number are timed; those of a burst only say how long the burst is.
    timed: u64,
    /// The last sequence number of the server, where it gives one, else of the publisher.
    last: Option<u64>,
    /// Events that were new.
    pub(crate) fresh: u64,
    /// Events seen before.
    pub(crate) repeated: u64,
    /// Events after a hole, or whose payload could not be read.
    pub(crate) broken: u64,
    /// Microseconds from publishing to receipt, of each new event that is timed.
    pub(crate) latencies: Vec<u32>,
}

impl Tally {
    /// Nothing seen; the publisher's clock began at `from`, and its first `timed` events are timed.
    pub(crate) fn new(from: Instant, timed: u64) -> Self {
        Self { from, timed, last: None, fresh: 0, repeated: 0, broken: 0, latencies: Vec::new() }
    }

    /// A payload arrived. Says whether it was an event that is new.
    pub(crate) fn take(&mut self, payload: &[u8]) -> bool {
        let Some((number, sent)) = marks(payload) else { return false };
        // The hub numbers events itself; what was published side by side may be committed in another order.
        let seq = cursor(payload).unwrap_or(number);
        if self.last.is_some_and(|last| seq <= last) {
            self.repeated += 1;
            return false;
        }
        if self.last.is_some_and(|last| seq != last + 1) {
            self.broken += 1;
        }
        self.last = Some(seq);
        self.fresh += 1;
        if number > self.timed {
            return true;
        }
        let now = u64::try_from(self.from.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.latencies.push(u32::try_from(now.saturating_sub(sent)).unwrap_or(u32::MAX));
        true
    }
}

fn marks(payload: &[u8]) -> Option<(u64, u64)> {
    let first = memchr::memchr(MARK, payload)?;
    let rest = &payload[first + 1..];
    let second = memchr::memchr(MARK, rest)?;
    let third = memchr::memchr(MARK, &rest[second + 1..])?;
    Some((number(&rest[..second])?, number(&rest[second + 1..second + 1 + third])?))
}

fn cursor(payload: &[u8]) -> Option<u64> {
    let at = memmem::find(payload, b"\"cursor\":\"")? + 10;
    let text = &payload[at..];
    let dot = memchr::memchr(b'.', text)?;
    let end = memchr::memchr(b'"', text)?;
    number(text.get(dot + 1..end)?)
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_dropped_and_holes_are_counted() {
        let mut tally = Tally::new(Instant::now(), 4);
        for n in [1, 2, 2, 3, 5] {
            tally.take(format!("x@{n}@0@").as_bytes());
        }
        assert_eq!((tally.fresh, tally.repeated, tally.broken), (4, 1, 1));
        assert_eq!(tally.latencies.len(), 3, "the fifth is not timed");
    }

    #[test]
    fn the_hubs_own_number_decides_and_other_frames_do_not_count() {
        let mut tally = Tally::new(Instant::now(), 4);
        assert!(!tally.take(br#"{"type":"hello","rooms":[]}"#));
        assert!(tally.take(br#"{"cursor":"0000beef.7","event":"@2@0@"}"#));
        assert!(tally.take(br#"{"cursor":"0000beef.8","event":"@1@0@"}"#));
        assert_eq!((tally.fresh, tally.repeated, tally.broken), (2, 0, 0));
    }
}
