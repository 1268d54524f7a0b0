//! One order in the ledger.

use crate::domain::order::Status;

/// Devices of each business; every one of them has to ring.
pub(in crate::demo) const DEVICES: usize = 2;

/// The first device of a business.
pub(in crate::demo) const COUNTER: usize = 0;

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
}

impl Record {
    pub(super) fn stages(&self) -> Stages {
        if self.key.is_none() {
            return Stages::default();
        }
        let (rung, acked) = (self.rung == [true; DEVICES], self.acked == [true; DEVICES]);
        let completed = self.status.is_end();
        let told = self.seen.iter().all(|seen| *seen >= self.version);
        let settled = rung && acked && completed && told;
        let (rang_again, unanswered) = (self.rang_again, self.unanswered);
        Stages { placed: true, rung, acked, completed, settled, rang_again, unanswered }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.stages().settled
    }

    pub(super) fn may_be_forgotten(&self) -> bool {
        self.is_settled() || (self.key.is_none() && self.status.is_end())
    }
}
