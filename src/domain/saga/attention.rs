//! An order that rings until somebody has looked at it.

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

use super::clocks::Clocks;
use super::facts::{Facts, Ring, SagaEffect};
use super::words::RingKind;

/// Rings until a device has acted on the order, for a bounded time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    kind: RingKind,
    since: Timestamp,
    until: Timestamp,
    next_ring: Timestamp,
    rings: u32,
}

impl Attention {
    /// Rings from `now` on.
    pub(super) fn new(kind: RingKind, clocks: &Clocks, now: Timestamp) -> Self {
        Self { kind, since: now, until: now.plus(clocks.attention), next_ring: now, rings: 0 }
    }

    /// The next ring, or the end.
    pub(super) fn next_due(&self) -> Timestamp {
        self.next_ring.min(self.until)
    }

    /// Rings if it is time, and tells whether it goes on.
    pub(super) fn fire(&mut self, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) -> bool {
        if facts.now >= self.until || facts.acted_at.is_some_and(|acted| acted >= self.since) {
            return false;
        }
        if self.next_ring <= facts.now {
            self.rings += 1;
            self.next_ring = facts.now.plus(facts.clocks.ring_every);
            effects.push(SagaEffect::Ring(Ring { kind: self.kind, ring: self.rings, deadline_at: None }));
        }
        true
    }
}
