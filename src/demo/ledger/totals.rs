//! Counts of a run.

use super::record::Stages;

/// Orders by the stage they have reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::demo) struct Totals {
    /// Answered with 201.
    pub(in crate::demo) placed: u64,
    /// Heard by every device of the business.
    pub(in crate::demo) rung: u64,
    /// Acknowledged by every device of the business.
    pub(in crate::demo) acked: u64,
    /// In a status that is an end.
    pub(in crate::demo) completed: u64,
    /// All of it, and every device heard of the end.
    pub(in crate::demo) settled: u64,
    /// Rung on a device more than once.
    pub(in crate::demo) rang_again: u64,
    /// Cancelled because nobody answered.
    pub(in crate::demo) unanswered: u64,
    /// Ended while they waited for their payment.
    pub(in crate::demo) never_placed: u64,
}

impl Totals {
    /// Counts the stages that an order has `after` a change and had not `before`.
    pub(super) fn count(&mut self, before: Stages, after: Stages) {
        let gained = |before: bool, after: bool| u64::from(after && !before);
        self.placed += gained(before.placed, after.placed);
        self.rung += gained(before.rung, after.rung);
        self.acked += gained(before.acked, after.acked);
        self.completed += gained(before.completed, after.completed);
        // A second payment unsettles an order until it has gone back.
        self.settled += gained(before.settled, after.settled);
        self.settled -= gained(after.settled, before.settled);
        self.rang_again += gained(before.rang_again, after.rang_again);
        self.unanswered += gained(before.unanswered, after.unanswered);
        self.never_placed += gained(before.never_placed, after.never_placed);
    }
}

/// Faults of connections and repeated requests, and how many of them had no effect on an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::demo) struct Recoveries {
    /// Times a device's connection ended.
    pub(in crate::demo) cut: u64,
    /// Times a device came back with its cursor and was let in where it had been.
    pub(in crate::demo) resumed: u64,
    /// Orders that were sent a second time with the same key.
    pub(in crate::demo) repeated: u64,
    /// Of them, those answered with the first order.
    pub(in crate::demo) same: u64,
}

impl Recoveries {
    /// A device's connection ended before the run did.
    pub(in crate::demo) fn cut(&mut self) {
        self.cut += 1;
    }

    /// A device went on where it had been.
    pub(in crate::demo) fn resumed(&mut self) {
        self.resumed += 1;
    }

    /// An order was sent twice with one key, and both answers were the same order or not.
    pub(in crate::demo) fn repeated(&mut self, same: bool) {
        self.repeated += 1;
        self.same += u64::from(same);
    }
}
