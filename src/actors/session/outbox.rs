//! The frames that wait to be written to one socket, bounded by count and bytes.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Instant;

use bytes::Bytes;

use crate::actors::worker::queued_bytes::QueuedBytes;

use super::settings::SessionSettings;

/// The frame did not fit; nothing was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutboxFull {
    /// This outbox has reached its own bound.
    Outbox,
    /// All outboxes of the thread together have reached their bound, and this one is not empty.
    Thread,
}

struct Queued {
    bytes: Bytes,
    committed_at: Option<Instant>,
}

/// Frames in the order they were queued. Owns no memory while it is empty.
#[derive(Default)]
pub(super) struct Outbox {
    frames: VecDeque<Queued>,
    bytes: QueuedBytes,
    /// Bytes of the first frame that are written already.
    written: usize,
}

/// Most frames given to one write. Linux takes 1024 in one call, and 64 already fill a socket buffer.
pub(super) const FRAMES_A_WRITE: usize = 64;

impl Outbox {
    /// Queues an event; refused when a bound is reached.
    pub(super) fn push_event(
        &mut self,
        frame: Bytes,
        committed_at: Option<Instant>,
        limits: &SessionSettings,
    ) -> Result<(), OutboxFull> {
        if self.frames.len() >= limits.outbox_frames || self.bytes.get() + frame.len() > limits.outbox_bytes {
            return Err(OutboxFull::Outbox);
        }
        // An empty outbox may always have the next event, or a fast client would pay for slow ones.
        if !self.is_empty() && QueuedBytes::of_thread() + frame.len() > limits.memory_bytes {
            return Err(OutboxFull::Thread);
        }
        self.push(frame, committed_at);
        Ok(())
    }

    /// Queues an answer to the client. Bounded because a client whose outbox is half full is not read from.
    pub(super) fn push_answer(&mut self, frame: Bytes) {
        self.push(frame, None);
    }

    fn push(&mut self, bytes: Bytes, committed_at: Option<Instant>) {
        self.bytes.add(bytes.len());
        self.frames.push_back(Queued { bytes, committed_at });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn is_half_full(&self, limits: &SessionSettings) -> bool {
        self.frames.len() > limits.outbox_frames / 2 || self.bytes.get() > limits.outbox_bytes / 2
    }

    /// Drops everything but the rest of a frame that is half written, so that a close frame can still follow.
    pub(super) fn clear_unwritten(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
        let left = self.frames.iter().map(|f| f.bytes.len()).sum::<usize>();
        self.bytes.sub(self.bytes.get() - left);
    }

    /// The unwritten part of the only frame; `None` when there is none or more than one.
    pub(super) fn only(&self) -> Option<&[u8]> {
        match self.frames.len() {
            1 => self.frames.front().map(|frame| &frame.bytes[self.written..]),
            _ => None,
        }
    }

    /// The next bytes to write, as many slices as fit.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; FRAMES_A_WRITE]) -> usize {
        let mut count = 0;
        for (slot, queued) in slices.iter_mut().zip(&self.frames) {
            let from = if count == 0 { self.written } else { 0 };
            *slot = IoSlice::new(&queued.bytes[from..]);
            count += 1;
        }
        count
    }

    /// Removes written bytes; calls `sent` with the commit time of each event that is out now.
    pub(super) fn advance(&mut self, written: usize, mut sent: impl FnMut(Instant)) {
        self.written += written;
        while let Some(front) = self.frames.front() {
            let len = front.bytes.len();
            if self.written < len {
                break;
            }
            if let Some(at) = front.committed_at {
                sent(at);
            }
            self.written -= len;
            self.bytes.sub(len);
            self.frames.pop_front();
        }
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> SessionSettings {
        SessionSettings { outbox_frames: 4, outbox_bytes: 20, ..SessionSettings::default() }
    }

    fn frame(len: usize) -> Bytes {
        Bytes::from(vec![7; len])
    }

    #[test]
    fn it_is_full_by_frames_and_by_bytes() {
        let mut outbox = Outbox::default();
        for _ in 0..4 {
            assert_eq!(outbox.push_event(frame(1), Some(Instant::now()), &limits()), Ok(()));
        }
        assert_eq!(outbox.push_event(frame(1), Some(Instant::now()), &limits()), Err(OutboxFull::Outbox));
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push_event(frame(21), Some(Instant::now()), &limits()), Err(OutboxFull::Outbox));
    }

    #[test]
    fn all_outboxes_of_a_thread_share_a_bound_and_one_that_is_empty_still_gets_its_next_event() {
        let limits = SessionSettings { memory_bytes: QueuedBytes::of_thread() + 30, ..limits() };
        let mut outboxes: Vec<Outbox> = (0..4).map(|_| Outbox::default()).collect();
        let mut push = |n: usize| outboxes[n].push_event(frame(10), None, &limits);
        assert_eq!([push(0), push(0), push(1)], [Ok(()); 3]);
        assert_eq!([push(1), push(2), push(2)], [Err(OutboxFull::Thread), Ok(()), Err(OutboxFull::Thread)]);
        outboxes.truncate(1);
        outboxes[0].advance(10, |_| ());
        assert_eq!(outboxes[0].push_event(frame(10), None, &limits), Ok(()), "others have gone");
    }

    #[test]
    fn a_write_that_ends_within_a_frame_goes_on_there_and_an_empty_outbox_owns_nothing() {
        let mut outbox = Outbox::default();
        outbox.push_answer(Bytes::from_static(b"hello"));
        outbox
            .push_event(Bytes::from_static(b"world"), Some(Instant::now()), &limits())
            .expect("there is room");
        let mut out = 0;
        outbox.advance(7, |_| out += 1);
        assert_eq!(out, 0);
        let mut slices = [IoSlice::new(&[]); FRAMES_A_WRITE];
        assert_eq!(outbox.slices(&mut slices), 1);
        assert_eq!(&*slices[0], b"rld");
        assert_eq!(outbox.only(), Some(&b"rld"[..]));
        outbox.advance(3, |_| out += 1);
        assert_eq!(out, 1);
        assert!(outbox.is_empty());
        assert_eq!((outbox.bytes.get(), outbox.written, outbox.frames.capacity()), (0, 0, 0));
    }

    #[test]
    fn clearing_keeps_a_frame_that_is_half_written() {
        let mut outbox = Outbox::default();
        outbox.push_answer(frame(5));
        outbox.push_answer(frame(5));
        outbox.advance(2, |_| ());
        outbox.clear_unwritten();
        assert_eq!(outbox.bytes.get(), 5);
        outbox.advance(3, |_| ());
        assert!(outbox.is_empty());
    }
}
