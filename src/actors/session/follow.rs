//! How one session follows one room: live, or catching up from the log. Pure.

use std::collections::VecDeque;
use std::time::Instant;

use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::storage::commands::Reach;

/// Ring events remembered until their acknowledgement, for the metric and for storing the first one at once.
const MAX_RINGS: usize = 32;

/// What to do with an event that came live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Send it: it is the next one.
    Send,
    /// Nothing: it was sent, or it will come with the history.
    Wait,
    /// Events before it are missing here: read the history.
    CatchUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The room has not answered yet.
    Joining,
    /// Every event is sent as it comes.
    Live,
    /// History is sent up to what was seen.
    CatchingUp,
}

/// An event that makes devices ring, and when it was committed if this node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ring {
    pub(super) committed_at: Option<Instant>,
}

/// Why an acknowledgement was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BeyondSent;

/// What an acknowledgement is worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acked {
    /// Commit times of the orders it covers, where this node knows them.
    pub(super) rings: Vec<Option<Instant>>,
    /// Whether it says anything new.
    pub(super) news: bool,
    /// What it can be about.
    pub(super) reach: Reach,
}

/// One room of one session.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) room: RoomId,
    sent: Cursor,
    mode: Mode,
    /// The newest event known to exist, in the epoch of `sent`.
    seen: u64,
    acked: u64,
    reach: Reach,
    rings: VecDeque<(u64, Option<Instant>)>,
    wanted: Wanted,
}

/// Whether the client still wants to hear the room when it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Yes,
    /// It has left before the answer came: the place is kept until then, so that the room is left in order.
    No,
    /// It has left and come back, with this cursor.
    Again(Option<String>),
    /// It has lost the right to. An answer that is on its way is older than that and worth nothing.
    Denied,
}

/// Where a session begins in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// No cursor was given: from now on.
    AtHead,
    /// A cursor was given and its history is there, as far as is known.
    Resumed,
    /// A cursor was given that means nothing here.
    Lost,
}

impl Follow {
    pub(super) fn joining(room: RoomId) -> Self {
        let sent = Cursor::new(crate::domain::cursor::Epoch::new(0), 0);
        Self {
            room,
            sent,
            mode: Mode::Joining,
            seen: 0,
            acked: 0,
            reach: Reach::After(0),
            rings: VecDeque::new(),
            wanted: Wanted::Yes,
        }
    }

    pub(super) fn is_joining(&self) -> bool {
        self.mode == Mode::Joining
    }

    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.wanted, Wanted::Yes | Wanted::Again(_))
    }

    /// The client comes back before the answer to its first question; `false` when it has to ask anew after it.
    pub(super) fn want_again(&mut self, cursor: Option<String>) -> bool {
        let may = self.wanted != Wanted::Denied;
        if may {
            self.wanted = Wanted::Again(cursor);
        }
        may
    }

    /// The answer to a question with this cursor is here: with which cursor to go on, or `None` when nobody wants to.
    pub(super) fn settle(&mut self, cursor: Option<String>) -> Option<Option<String>> {
        match std::mem::replace(&mut self.wanted, Wanted::Yes) {
            Wanted::Yes => Some(cursor),
            Wanted::Again(newer) => Some(newer),
            Wanted::No | Wanted::Denied => None,
        }
    }

    /// The client leaves before the room has answered.
    pub(super) fn give_up(&mut self) {
        self.wanted = Wanted::No;
    }

    /// The client loses the right to hear the room before the room has answered.
    pub(super) fn deny(&mut self) {
        self.wanted = Wanted::Denied;
    }

    /// The room answered with its position. `wanted` is what the client gave: nothing, a cursor, or nonsense.
    pub(super) fn joined(&mut self, head: Cursor, wanted: Option<Option<Cursor>>) -> Start {
        let (sent, start) = match wanted {
            None => (head, Start::AtHead),
            Some(Some(cursor)) if cursor.epoch == head.epoch && cursor.seq <= head.seq => {
                (cursor, Start::Resumed)
            }
            Some(_) => (head, Start::Lost),
        };
        self.sent = sent;
        self.acked = sent.seq;
        self.reach = match start {
            Start::Resumed => Reach::Resumed(sent.seq),
            Start::AtHead | Start::Lost => Reach::After(sent.seq),
        };
        self.seen = self.seen.max(head.seq);
        self.mode = if self.seen > sent.seq { Mode::CatchingUp } else { Mode::Live };
        start
    }

    pub(super) const fn sent(&self) -> Cursor {
        self.sent
    }

    /// An event came from the room. The caller sends it exactly when told so, and then calls [`Follow::sent_event`].
    pub(super) fn hear(&mut self, cursor: Cursor) -> Heard {
        match self.mode {
            Mode::Joining => {
                self.seen = self.seen.max(cursor.seq);
                Heard::Wait
            }
            _ if cursor.epoch != self.sent.epoch => self.lose_epoch(),
            Mode::CatchingUp => {
                self.seen = self.seen.max(cursor.seq);
                Heard::Wait
            }
            Mode::Live if cursor.seq <= self.sent.seq => Heard::Wait,
            Mode::Live if cursor.seq == self.sent.seq + 1 => Heard::Send,
            Mode::Live => {
                self.fall_behind(cursor.seq);
                Heard::CatchUp
            }
        }
    }

    /// The room's position, told without its events: the session may have missed some.
    pub(super) fn hear_position(&mut self, head: Cursor) -> Heard {
        match self.mode {
            Mode::Joining => Heard::Wait,
            _ if head.epoch != self.sent.epoch => self.lose_epoch(),
            Mode::Live if head.seq > self.sent.seq => {
                self.fall_behind(head.seq);
                Heard::CatchUp
            }
            Mode::Live | Mode::CatchingUp => {
                self.seen = self.seen.max(head.seq);
                Heard::Wait
            }
        }
    }

    /// The store goes on in another history: asking for what follows the old position tells where.
    fn lose_epoch(&mut self) -> Heard {
        self.mode = Mode::CatchingUp;
        Heard::CatchUp
    }

    /// The outbox had no room for the event `seq`: live events stop until the history has been read.
    pub(super) fn fall_behind(&mut self, seq: u64) {
        self.mode = Mode::CatchingUp;
        self.seen = self.seen.max(seq);
    }

    /// This event is in the outbox.
    pub(super) fn sent_event(&mut self, cursor: Cursor, rings: Option<Ring>) {
        self.sent = cursor;
        self.seen = self.seen.max(cursor.seq);
        if let Some(Ring { committed_at }) = rings {
            if self.rings.len() == MAX_RINGS {
                self.rings.pop_front();
            }
            self.rings.push_back((cursor.seq, committed_at));
        }
    }

    /// A page of history has been sent: either live from now on, or there is more to read.
    pub(super) fn page_sent(&mut self) {
        if self.mode == Mode::CatchingUp && self.sent.seq >= self.seen {
            self.mode = Mode::Live;
        }
    }

    /// The history before `head` is gone: go on from there.
    pub(super) fn skip_to(&mut self, head: Cursor) {
        let same = head.epoch == self.sent.epoch;
        self.seen = if same { self.seen.max(head.seq) } else { head.seq };
        self.sent = head;
        self.acked = head.seq;
        self.reach = Reach::After(head.seq);
        self.rings = VecDeque::new();
        self.mode = Mode::CatchingUp;
        self.page_sent();
    }

    pub(super) fn is_catching_up(&self) -> bool {
        self.mode == Mode::CatchingUp
    }

    /// The client has everything up to `cursor`.
    pub(super) fn ack(&mut self, cursor: Cursor) -> Result<Acked, BeyondSent> {
        self.check_sent(cursor)?;
        let news = cursor.seq > self.acked;
        self.acked = self.acked.max(cursor.seq);
        let mut rings = Vec::new();
        while let Some((_, at)) = self.rings.pop_front_if(|(seq, _)| *seq <= cursor.seq) {
            rings.push(at);
        }
        if self.rings.is_empty() {
            self.rings = VecDeque::new();
        }
        Ok(Acked { rings, news, reach: self.reach })
    }

    /// Whether the client can know of `cursor`.
    pub(super) fn check_sent(&self, cursor: Cursor) -> Result<(), BeyondSent> {
        if self.mode == Mode::Joining || cursor.epoch != self.sent.epoch || cursor.seq > self.sent.seq {
            return Err(BeyondSent);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cursor::Epoch;
    use crate::domain::ids::BusinessId;
    use proptest::prelude::*;

    fn at(seq: u64) -> Cursor {
        Cursor::new(Epoch::new(1), seq)
    }

    fn follow(head: u64, wanted: Option<Option<Cursor>>) -> (Follow, Start) {
        let mut follow = Follow::joining(RoomId::Business(BusinessId::from_uuid(uuid::Uuid::nil())));
        let start = follow.joined(at(head), wanted);
        (follow, start)
    }

    #[test]
    fn without_a_cursor_it_starts_at_the_head_and_is_live() {
        let (mut f, start) = follow(7, None);
        assert_eq!((start, f.sent(), f.is_catching_up()), (Start::AtHead, at(7), false));
        assert_eq!(f.hear(at(8)), Heard::Send);
        assert_eq!(f.hear(at(7)), Heard::Wait);
    }

    #[test]
    fn a_cursor_ahead_of_the_head_or_of_another_epoch_is_lost() {
        for wanted in [Some(at(8)), Some(Cursor::new(Epoch::new(2), 3)), None] {
            let (f, start) = follow(7, Some(wanted));
            assert_eq!((start, f.sent()), (Start::Lost, at(7)), "{wanted:?}");
        }
        assert_eq!(follow(7, Some(Some(at(7)))).1, Start::Resumed);
    }

    #[test]
    fn an_event_that_arrives_before_the_rooms_answer_is_not_lost() {
        let mut f = Follow::joining(RoomId::Business(BusinessId::from_uuid(uuid::Uuid::nil())));
        assert_eq!(f.hear(at(8)), Heard::Wait);
        f.joined(at(7), None);
        assert!(f.is_catching_up(), "event 8 has to be read from the history");
    }

    #[test]
    fn an_event_of_another_epoch_sends_the_session_to_the_history_where_it_is_told_to_go_on() {
        let (mut f, _) = follow(7, None);
        let new = Cursor::new(Epoch::new(2), 3);
        assert_eq!(f.hear(new), Heard::CatchUp);
        assert!(f.is_catching_up());
        f.skip_to(new);
        assert_eq!((f.is_catching_up(), f.hear(Cursor::new(Epoch::new(2), 4))), (false, Heard::Send));
    }

    #[test]
    fn acknowledgements_are_cumulative_and_refused_beyond_what_was_sent() {
        let (mut f, _) = follow(0, None);
        let now = Instant::now();
        for seq in 1..=3 {
            assert_eq!(f.hear(at(seq)), Heard::Send);
            f.sent_event(at(seq), (seq != 2).then_some(Ring { committed_at: Some(now) }));
        }
        assert_eq!(f.ack(at(4)), Err(BeyondSent));
        assert_eq!(f.ack(Cursor::new(Epoch::new(9), 1)), Err(BeyondSent));
        let reach = Reach::After(0);
        assert_eq!(f.ack(at(2)), Ok(Acked { rings: vec![Some(now)], news: true, reach }));
        assert_eq!(f.ack(at(1)), Ok(Acked { rings: vec![], news: false, reach }));
        assert_eq!(f.ack(at(3)), Ok(Acked { rings: vec![Some(now)], news: true, reach }));
    }

    #[test]
    fn an_acknowledgement_reaches_back_to_where_the_socket_began_and_further_only_after_a_cursor() {
        let reach = |f: &mut Follow, seq| f.ack(at(seq)).map(|acked| acked.reach);
        assert_eq!(reach(&mut follow(7, None).0, 7), Ok(Reach::After(7)));
        assert_eq!(reach(&mut follow(7, Some(Some(at(9)))).0, 7), Ok(Reach::After(7)), "it is lost");
        let (mut f, _) = follow(7, Some(Some(at(4))));
        assert_eq!(reach(&mut f, 4), Ok(Reach::Resumed(4)));
        f.skip_to(at(6));
        assert_eq!(reach(&mut f, 6), Ok(Reach::After(6)), "what is gone was never sent");
    }

    proptest! {
        /// Events come in order (as a room sends them) but any may be missed, the outbox may be full at any time,
        /// and history pages of any size come at any time.
        #[test]
        fn every_event_is_sent_once_and_in_order_whatever_is_missed(
            resume in 0u64..20, steps in prop::collection::vec((any::<bool>(), any::<bool>(), 1u64..6), 0..60),
        ) {
            let (mut f, _) = follow(20, Some(Some(at(resume))));
            let (mut head, mut sent) = (20u64, Vec::new());
            for (missed, full, page) in steps {
                head += 1;
                if !missed && f.hear(at(head)) == Heard::Send {
                    if full { f.fall_behind(head) } else { f.sent_event(at(head), None); sent.push(head) }
                }
                if f.is_catching_up() {
                    for seq in (f.sent().seq + 1..=head).take(page as usize) { f.sent_event(at(seq), None); sent.push(seq) }
                    f.page_sent();
                }
            }
            f.hear_position(at(head));
            while f.is_catching_up() {
                let seq = f.sent().seq + 1;
                f.sent_event(at(seq), None);
                sent.push(seq);
                f.page_sent();
            }
            prop_assert_eq!(sent, (resume + 1..=head).collect::<Vec<_>>());
        }
    }
}
