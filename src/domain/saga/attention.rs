//! An order that rings until somebody has looked at it.

use std::time::Duration;

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
    /// Acting from then on ends it.
    since: Timestamp,
    until: Timestamp,
    ring_every_s: u16,
    next_ring: Timestamp,
    rings: u32,
}

impl Attention {
    /// Rings for something that happened at `now`, from then on.
    pub(super) fn happened(kind: RingKind, clocks: &Clocks, now: Timestamp) -> Self {
        let until = now.plus(clocks.attention);
        Self { kind, since: now, until, ring_every_s: seconds(clocks.ring_every), next_ring: now, rings: 0 }
    }

    /// Rings on for an order placed at `since` that was accepted by itself at `now`: until it is as good as forgotten.
    pub(super) fn accepted(since: Timestamp, ring_every: Duration, clocks: &Clocks, now: Timestamp) -> Self {
        let (kind, until, ring_every_s) = (RingKind::Placed, now.plus(clocks.forgotten), seconds(ring_every));
        Self { kind, since, until, ring_every_s, next_ring: now.plus(ring_every), rings: 0 }
    }

    /// Whether it rings for an order that nobody has looked at yet.
    pub(super) fn is_of_new_order(&self) -> bool {
        self.kind == RingKind::Placed
    }

    /// The next ring, or the end.
    pub(super) fn next_due(&self) -> Timestamp {
        self.until.min(self.next_ring)
    }

    /// Rings if it is time, and tells whether it goes on.
    pub(super) fn fire(&mut self, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) -> bool {
        if self.until <= facts.now || facts.acted_at.is_some_and(|acted| acted >= self.since) {
            return false;
        }
        if self.next_ring <= facts.now {
            self.rings += 1;
            self.next_ring = facts.now.plus(Duration::from_secs(self.ring_every_s.into()));
            effects.push(SagaEffect::Ring(Ring { kind: self.kind, ring: self.rings, deadline_at: None }));
        }
        true
    }
}

/// Whole seconds, at least one.
fn seconds(time: Duration) -> u16 {
    u16::try_from(time.as_secs().max(1)).unwrap_or(u16::MAX)
}
