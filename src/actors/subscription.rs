//! A client's subscription to one room: live, or catching up from the log. Pure, shared by sockets, long polls and event
//! streams.

use std::collections::VecDeque;
use std::time::Instant;

use crate::domain::cursor::{Cursor, Epoch};
use crate::domain::room::RoomId;
use crate::storage::commands::AckScope;

/// Alerts remembered until their acknowledgement, for the metric and for storing the first acknowledgement at once.
const MAX_UNACKED_ALERTS: usize = 32;

/// Treatment of an event that arrived live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It is the next one: deliver it.
    Deliver,
    /// It was delivered already, or it will come with the history.
    Ignore,
    /// Events before it are missing here: read the history.
    CatchUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The room has not answered yet.
    Joining,
    /// Every event is delivered as it arrives.
    Live,
    /// History is delivered up to the newest event known.
    CatchingUp,
}

/// An event that makes devices ring, until it is acknowledged. The commit time is known for events of this node only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PendingAlert {
    pub(super) committed_at: Option<Instant>,
}

/// An acknowledgement or a mark of an event that was never sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BeyondSent;

/// The consequences of an acknowledgement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AckResult {
    /// Commit times of the alerts it covers, `None` for those that were committed elsewhere or are history.
    pub(super) alerts: Vec<Option<Instant>>,
    /// Whether it goes beyond the last one.
    pub(super) advances: bool,
    /// The events it can be about.
    pub(super) reach: AckScope,
}

/// The position a client asks for when it joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requested {
    /// No cursor: from now on.
    Head,
    /// Everything after this cursor.
    From(Cursor),
    /// A text that is no cursor. It is treated like a cursor whose history is gone.
    Malformed,
}

impl Requested {
    /// The cursor as the client wrote it.
    pub(super) fn parse(cursor: Option<&str>) -> Self {
        match cursor.map(str::parse) {
            None => Self::Head,
            Some(Ok(cursor)) => Self::From(cursor),
            Some(Err(_)) => Self::Malformed,
        }
    }
}

/// The position a subscription starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinResult {
    /// The head: no cursor was given.
    AtHead,
    /// The given cursor; the events after it are there, as far as is known.
    Recovered,
    /// The head: the given cursor means nothing here.
    Unrecoverable,
}

/// A client's decision about a join whose answer has arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PendingJoin {
    /// Go on with this cursor.
    Continue(Option<String>),
    /// Nobody wants the room any more.
    Cancelled,
}

/// The client's wish while an answer is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Yes,
    /// The client has left. The subscription stays until the answer arrives, so that the room is left in order.
    No,
    /// The client has left and come back, with this cursor.
    Again(Option<String>),
    /// The client has lost the right to the room. An answer that is on its way is older than that and is discarded.
    Denied,
}

/// One room of one client. In every mode, all events up to `sent` were delivered, in order and once.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) room: RoomId,
    sent: Cursor,
    mode: Mode,
    /// The number of the newest event known to exist, in the epoch of `sent`.
    newest: u64,
    acked: u64,
    reach: AckScope,
    /// At most [`MAX_UNACKED_ALERTS`].
    unacked_alerts: VecDeque<(u64, Option<Instant>)>,
    wanted: Wanted,
}

impl Subscription {
    pub(super) fn joining(room: RoomId) -> Self {
        Self {
            room,
            sent: Cursor::new(Epoch::new(0), 0),
            mode: Mode::Joining,
            newest: 0,
            acked: 0,
            reach: AckScope::After(0),
            unacked_alerts: VecDeque::new(),
            wanted: Wanted::Yes,
        }
    }

    pub(super) fn is_joining(&self) -> bool {
        self.mode == Mode::Joining
    }

    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.wanted, Wanted::Yes | Wanted::Again(_))
    }

    /// The client comes back before the answer to its first request; `false` when it has to ask again after it.
    pub(super) fn rejoin(&mut self, cursor: Option<String>) -> bool {
        let may = self.wanted != Wanted::Denied;
        if may {
            self.wanted = Wanted::Again(cursor);
        }
        may
    }

    /// Decides about a request with this cursor whose answer has arrived.
    pub(super) fn resolve_pending(&mut self, cursor: Option<String>) -> PendingJoin {
        match std::mem::replace(&mut self.wanted, Wanted::Yes) {
            Wanted::Yes => PendingJoin::Continue(cursor),
            Wanted::Again(newer) => PendingJoin::Continue(newer),
            Wanted::No | Wanted::Denied => PendingJoin::Cancelled,
        }
    }

    /// The client leaves before the room has answered.
    pub(super) fn cancel_join(&mut self) {
        self.wanted = Wanted::No;
    }

    /// The client loses the right to the room before the room has answered.
    pub(super) fn deny(&mut self) {
        self.wanted = Wanted::Denied;
    }

    /// The room answered with its head.
    pub(super) fn joined(&mut self, head: Cursor, requested: Requested) -> JoinResult {
        let (sent, result) = match requested {
            Requested::Head => (head, JoinResult::AtHead),
            Requested::From(cursor) if cursor.epoch == head.epoch && cursor.seq <= head.seq => {
                (cursor, JoinResult::Recovered)
            }
            Requested::From(_) | Requested::Malformed => (head, JoinResult::Unrecoverable),
        };
        self.sent = sent;
        self.acked = sent.seq;
        self.reach = match result {
            JoinResult::Recovered => AckScope::Resumed(sent.seq),
            JoinResult::AtHead | JoinResult::Unrecoverable => AckScope::After(sent.seq),
        };
        self.newest = self.newest.max(head.seq);
        self.mode = if self.newest > sent.seq { Mode::CatchingUp } else { Mode::Live };
        result
    }

    pub(super) const fn sent(&self) -> Cursor {
        self.sent
    }

    /// An event arrived live. The caller sends it exactly when told to deliver, and then calls [`Subscription::on_sent`].
    pub(super) fn on_event(&mut self, cursor: Cursor) -> Disposition {
        match self.mode {
            Mode::Joining => {
                self.newest = self.newest.max(cursor.seq);
                Disposition::Ignore
            }
            _ if cursor.epoch != self.sent.epoch => self.on_epoch_change(),
            Mode::CatchingUp => {
                self.newest = self.newest.max(cursor.seq);
                Disposition::Ignore
            }
            Mode::Live if cursor.seq <= self.sent.seq => Disposition::Ignore,
            Mode::Live if cursor.seq == self.sent.seq + 1 => Disposition::Deliver,
            Mode::Live => {
                self.start_catch_up(cursor.seq);
                Disposition::CatchUp
            }
        }
    }

    /// The room's head arrived without its events: the client may have missed some.
    pub(super) fn on_head(&mut self, head: Cursor) -> Disposition {
        match self.mode {
            Mode::Joining => Disposition::Ignore,
            _ if head.epoch != self.sent.epoch => self.on_epoch_change(),
            Mode::Live if head.seq > self.sent.seq => {
                self.start_catch_up(head.seq);
                Disposition::CatchUp
            }
            Mode::Live | Mode::CatchingUp => {
                self.newest = self.newest.max(head.seq);
                Disposition::Ignore
            }
        }
    }

    /// The store goes on in another epoch: the answer to a read after the old position tells where.
    fn on_epoch_change(&mut self) -> Disposition {
        self.mode = Mode::CatchingUp;
        Disposition::CatchUp
    }

    /// The outbox has no room for the event `seq`: live events stop until the history has been read.
    pub(super) fn start_catch_up(&mut self, seq: u64) {
        self.mode = Mode::CatchingUp;
        self.newest = self.newest.max(seq);
    }

    /// This event is in the outbox.
    pub(super) fn on_sent(&mut self, cursor: Cursor, alert: Option<PendingAlert>) {
        self.sent = cursor;
        self.newest = self.newest.max(cursor.seq);
        if let Some(PendingAlert { committed_at }) = alert {
            if self.unacked_alerts.len() == MAX_UNACKED_ALERTS {
                self.unacked_alerts.pop_front();
            }
            self.unacked_alerts.push_back((cursor.seq, committed_at));
        }
    }

    /// A page of history is in the outbox: the subscription is live again, or there is more to read.
    pub(super) fn finish_page(&mut self) {
        if self.mode == Mode::CatchingUp && self.sent.seq >= self.newest {
            self.mode = Mode::Live;
        }
    }

    /// The history before `head` is gone: go on from there.
    pub(super) fn reset_to(&mut self, head: Cursor) {
        let same = head.epoch == self.sent.epoch;
        self.newest = if same { self.newest.max(head.seq) } else { head.seq };
        self.sent = head;
        self.acked = head.seq;
        self.reach = AckScope::After(head.seq);
        self.unacked_alerts = VecDeque::new();
        self.mode = Mode::CatchingUp;
        self.finish_page();
    }

    pub(super) fn is_catching_up(&self) -> bool {
        self.mode == Mode::CatchingUp
    }

    /// The client has received everything up to `cursor`.
    pub(super) fn ack(&mut self, cursor: Cursor) -> Result<AckResult, BeyondSent> {
        self.check_sent(cursor)?;
        let advances = cursor.seq > self.acked;
        self.acked = self.acked.max(cursor.seq);
        let mut alerts = Vec::new();
        while let Some((_, at)) = self.unacked_alerts.pop_front_if(|(seq, _)| *seq <= cursor.seq) {
            alerts.push(at);
        }
        if self.unacked_alerts.is_empty() {
            // An idle subscription keeps no buffer.
            self.unacked_alerts = VecDeque::new();
        }
        Ok(AckResult { alerts, advances, reach: self.reach })
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
    use crate::domain::ids::BusinessId;
    use proptest::prelude::*;

    fn at(seq: u64) -> Cursor {
        Cursor::new(Epoch::new(1), seq)
    }

    fn subscribed(head: u64, requested: Requested) -> (Subscription, JoinResult) {
        let mut subscription =
            Subscription::joining(RoomId::Business(BusinessId::from_uuid(uuid::Uuid::nil())));
        let result = subscription.joined(at(head), requested);
        (subscription, result)
    }

    #[test]
    fn without_a_cursor_it_starts_at_the_head_and_is_live() {
        let (mut f, start) = subscribed(7, Requested::Head);
        assert_eq!((start, f.sent(), f.is_catching_up()), (JoinResult::AtHead, at(7), false));
        assert_eq!(f.on_event(at(8)), Disposition::Deliver);
        assert_eq!(f.on_event(at(7)), Disposition::Ignore);
    }

    #[test]
    fn a_cursor_ahead_of_the_head_or_of_another_epoch_is_lost() {
        for requested in
            [Requested::From(at(8)), Requested::From(Cursor::new(Epoch::new(2), 3)), Requested::Malformed]
        {
            let (f, start) = subscribed(7, requested);
            assert_eq!((start, f.sent()), (JoinResult::Unrecoverable, at(7)), "{requested:?}");
        }
        assert_eq!(subscribed(7, Requested::From(at(7))).1, JoinResult::Recovered);
    }

    #[test]
    fn an_event_that_arrives_before_the_rooms_answer_is_not_lost() {
        let mut f = Subscription::joining(RoomId::Business(BusinessId::from_uuid(uuid::Uuid::nil())));
        assert_eq!(f.on_event(at(8)), Disposition::Ignore);
        f.joined(at(7), Requested::Head);
        assert!(f.is_catching_up(), "event 8 has to be read from the history");
    }

    #[test]
    fn an_event_of_another_epoch_sends_the_session_to_the_history_where_it_is_told_to_go_on() {
        let (mut f, _) = subscribed(7, Requested::Head);
        let new = Cursor::new(Epoch::new(2), 3);
        assert_eq!(f.on_event(new), Disposition::CatchUp);
        assert!(f.is_catching_up());
        f.reset_to(new);
        assert_eq!(
            (f.is_catching_up(), f.on_event(Cursor::new(Epoch::new(2), 4))),
            (false, Disposition::Deliver)
        );
    }

    #[test]
    fn acknowledgements_are_cumulative_and_refused_beyond_what_was_sent() {
        let (mut f, _) = subscribed(0, Requested::Head);
        let now = Instant::now();
        for seq in 1..=3 {
            assert_eq!(f.on_event(at(seq)), Disposition::Deliver);
            f.on_sent(at(seq), (seq != 2).then_some(PendingAlert { committed_at: Some(now) }));
        }
        assert_eq!(f.ack(at(4)), Err(BeyondSent));
        assert_eq!(f.ack(Cursor::new(Epoch::new(9), 1)), Err(BeyondSent));
        let reach = AckScope::After(0);
        assert_eq!(f.ack(at(2)), Ok(AckResult { alerts: vec![Some(now)], advances: true, reach }));
        assert_eq!(f.ack(at(1)), Ok(AckResult { alerts: vec![], advances: false, reach }));
        assert_eq!(f.ack(at(3)), Ok(AckResult { alerts: vec![Some(now)], advances: true, reach }));
    }

    #[test]
    fn an_acknowledgement_reaches_back_to_where_the_socket_began_and_further_only_after_a_cursor() {
        let reach = |f: &mut Subscription, seq| f.ack(at(seq)).map(|acked| acked.reach);
        assert_eq!(reach(&mut subscribed(7, Requested::Head).0, 7), Ok(AckScope::After(7)));
        assert_eq!(
            reach(&mut subscribed(7, Requested::From(at(9))).0, 7),
            Ok(AckScope::After(7)),
            "it is lost"
        );
        let (mut f, _) = subscribed(7, Requested::From(at(4)));
        assert_eq!(reach(&mut f, 4), Ok(AckScope::Resumed(4)));
        f.reset_to(at(6));
        assert_eq!(reach(&mut f, 6), Ok(AckScope::After(6)), "what is gone was never sent");
    }

    proptest! {
        /// Events come in order (as a room sends them) but any may be missed, the outbox may be full at any time,
        /// and history pages of any size come at any time.
        #[test]
        fn every_event_is_sent_once_and_in_order_whatever_is_missed(
            resume in 0u64..20, steps in prop::collection::vec((any::<bool>(), any::<bool>(), 1u64..6), 0..60),
        ) {
            let (mut f, _) = subscribed(20, Requested::From(at(resume)));
            let (mut head, mut sent) = (20u64, Vec::new());
            for (missed, full, page) in steps {
                head += 1;
                if !missed && f.on_event(at(head)) == Disposition::Deliver {
                    if full { f.start_catch_up(head) } else { f.on_sent(at(head), None); sent.push(head) }
                }
                if f.is_catching_up() {
                    for seq in (f.sent().seq + 1..=head).take(page as usize) { f.on_sent(at(seq), None); sent.push(seq) }
                    f.finish_page();
                }
            }
            f.on_head(at(head));
            while f.is_catching_up() {
                let seq = f.sent().seq + 1;
                f.on_sent(at(seq), None);
                sent.push(seq);
                f.finish_page();
            }
            prop_assert_eq!(sent, (resume + 1..=head).collect::<Vec<_>>());
        }
    }
}
