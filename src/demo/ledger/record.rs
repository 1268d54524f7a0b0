//! One order in the ledger.

use crate::domain::order::Status;

use super::devices::DEVICES;
use super::online::PaidOnline;

#[derive(Debug)]
pub(super) struct Record {
    /// Known once a customer of this run got a 201.
    pub(super) key: Option<u64>,
    pub(super) business: usize,
    pub(super) number: String,
    pub(super) status: Status,
    pub(super) version: i64,
    pub(super) claim: Claim,
    pub(super) rung: [bool; DEVICES],
    pub(super) acked: [bool; DEVICES],
    pub(super) seen: [i64; DEVICES],
    /// Rang a second time on a device.
    pub(super) rang_again: bool,
    /// Was cancelled because nobody answered.
    pub(super) unanswered: bool,
    pub(super) money: PaidOnline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Waiting,
    InHand,
}

/// The stages that an order of this run has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stages {
    pub(super) placed: bool,
    pub(super) rung: bool,
    pub(super) acked: bool,
    pub(super) completed: bool,
    pub(super) settled: bool,
    pub(super) rang_again: bool,
    pub(super) unanswered: bool,
    pub(super) never_placed: bool,
}

impl Record {
    pub(super) fn stages(&self) -> Stages {
        if self.key.is_none() {
            return Stages::default();
        }
        let (rung, acked) = (self.rung == [true; DEVICES], self.acked == [true; DEVICES]);
        let completed = self.status.is_end();
        let told = self.seen.iter().all(|seen| *seen >= self.version);
        let never_placed = self.was_never_placed();
        let is_known = (rung && acked) || never_placed;
        let settled = is_known && completed && told && self.is_paid_up();
        let (rang_again, unanswered) = (self.rang_again, self.unanswered);
        Stages { placed: true, rung, acked, completed, settled, rang_again, unanswered, never_placed }
    }

    /// Whether the order ended while it waited for its payment: no device rang for it.
    pub(super) fn was_never_placed(&self) -> bool {
        self.money.is_online && self.status == Status::Cancelled && self.version == 2
    }

    /// Whether its money has come to rest.
    pub(super) fn is_paid_up(&self) -> bool {
        !self.money.is_online || self.money.is_right(self.status)
    }

    pub(super) fn is_settled(&self) -> bool {
        self.stages().settled
    }

    pub(super) fn may_be_forgotten(&self) -> bool {
        self.is_settled() || (self.key.is_none() && self.status.is_end())
    }
}
