//! One order in the ledger.

use crate::domain::order::Status;

/// Devices of each business; every one of them has to ring.
pub(in crate::demo) const DEVICES: usize = 2;

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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Waiting,
    InHand,
}

impl Record {
    pub(super) fn stages(&self) -> [bool; 5] {
        if self.key.is_none() {
            return [false; 5];
        }
        let (rung, acked) = (self.rung == [true; DEVICES], self.acked == [true; DEVICES]);
        let completed = self.status.is_end();
        let told = self.seen.iter().all(|seen| *seen >= self.version);
        [true, rung, acked, completed, rung && acked && completed && told]
    }

    pub(super) fn may_be_forgotten(&self) -> bool {
        self.stages()[4] || (self.key.is_none() && self.status.is_end())
    }
}
