//! Clients whose cursor is ahead of the room: another node told them of events that this one has not heard of yet.

use tokio::sync::oneshot;

use crate::domain::cursor::Cursor;

/// Most clients that wait in one room; further ones are answered with what is known.
const MAX_WAITING: usize = 4096;

struct Waiting {
    to: Cursor,
    reply: oneshot::Sender<Cursor>,
    /// A read from the store has begun since it came.
    is_read: bool,
}

/// Clients that wait until the room has read the store as far as they are, or that has nothing more.
#[derive(Default)]
pub(super) struct Reaching(Vec<Waiting>);

impl Reaching {
    /// Takes a client in, or answers it at once. Whether a read is needed.
    pub(super) fn wait(&mut self, to: Cursor, reply: oneshot::Sender<Cursor>, head: Cursor) -> bool {
        self.0.retain(|waiting| !waiting.reply.is_closed());
        if !is_ahead(to, head) || self.0.len() >= MAX_WAITING {
            // Who no longer waits needs no answer.
            let _ = reply.send(head);
            return false;
        }
        self.0.push(Waiting { to, reply, is_read: false });
        true
    }

    /// A read from the store begins: everything is in it that was committed before.
    pub(super) fn begin_read(&mut self) {
        self.0.iter_mut().for_each(|waiting| waiting.is_read = true);
    }

    /// A read has ended, and the room is here now. Whether another one is needed for those who came meanwhile.
    pub(super) fn end_read(&mut self, head: Cursor) -> bool {
        let (done, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|waiting| waiting.is_read || !is_ahead(waiting.to, head));
        self.0 = left;
        for Waiting { reply, .. } in done {
            let _ = reply.send(head);
        }
        !self.0.is_empty()
    }
}

/// Whether a position may become known: it is of the same history.
pub(super) fn is_ahead(to: Cursor, head: Cursor) -> bool {
    to.epoch == head.epoch && to.seq > head.seq
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cursor::Epoch;

    fn at(seq: u64) -> Cursor {
        Cursor::new(Epoch::new(7), seq)
    }

    #[test]
    fn who_is_not_ahead_is_answered_at_once() {
        let mut reaching = Reaching::default();
        for to in [at(5), at(3), Cursor::new(Epoch::new(8), 9)] {
            let (reply, mut answer) = oneshot::channel();
            assert!(!reaching.wait(to, reply, at(5)));
            assert_eq!(answer.try_recv(), Ok(at(5)));
        }
    }

    #[test]
    fn who_is_ahead_waits_for_a_read_that_began_after_it_came() {
        let mut reaching = Reaching::default();
        let (first, mut first_answer) = oneshot::channel();
        assert!(reaching.wait(at(9), first, at(5)));
        reaching.begin_read();
        let (second, mut second_answer) = oneshot::channel();
        assert!(reaching.wait(at(11), second, at(5)));
        assert!(reaching.end_read(at(9)), "the second one came after the read began");
        assert_eq!(first_answer.try_recv(), Ok(at(9)));
        assert!(second_answer.try_recv().is_err());
        reaching.begin_read();
        assert!(!reaching.end_read(at(10)), "the store does not have it: the room says so");
        assert_eq!(second_answer.try_recv(), Ok(at(10)));
    }
}
