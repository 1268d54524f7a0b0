//! An order that rings until somebody has looked at it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;

use super::clocks::Clocks;
use super::facts::{Facts, Ring, SagaEffect};
use super::words::RingKind;

/// Less than the time between two rings.
const ONCE: Duration = Duration::from_secs(1);

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
        let Some(ring) = self.ring(facts.acted_at, facts.now) else { return false };
        effects.extend(ring.map(SagaEffect::Ring));
        true
    }

    /// The ring that is due, if one is; `None`: it is over.
    fn ring(&mut self, acted_at: Option<Timestamp>, now: Timestamp) -> Option<Option<Ring>> {
        if self.until <= now || acted_at.is_some_and(|acted| acted >= self.since) {
            return None;
        }
        if self.next_ring > now {
            return Some(None);
        }
        self.rings += 1;
        self.next_ring = now.plus(Duration::from_secs(self.ring_every_s.into()));
        Some(Some(Ring { kind: self.kind, ring: self.rings, deadline_at: None }))
    }
}

/// Rings at one driver, of an order that they carry or carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DriverBell {
    driver: UserId,
    attention: Attention,
}

impl DriverBell {
    /// The order was cancelled at `now`: until the driver has looked at it.
    pub(super) fn cancelled(driver: UserId, clocks: &Clocks, now: Timestamp) -> Self {
        Self { driver, attention: Attention::happened(RingKind::Cancelled, clocks, now) }
    }

    /// The order was changed at `now`: once.
    pub(super) fn changed(driver: UserId, clocks: &Clocks, now: Timestamp) -> Self {
        let attention = Attention::happened(RingKind::Changed, clocks, now);
        Self { driver, attention: Attention { until: now.plus(ONCE), ..attention } }
    }

    /// The next ring, or the end.
    pub(super) fn next_due(&self) -> Timestamp {
        self.attention.next_due()
    }

    /// Rings if it is time, and tells whether it goes on.
    pub(super) fn fire(&mut self, facts: &Facts<'_>, effects: &mut Vec<SagaEffect>) -> bool {
        let Some(ring) = self.attention.ring(facts.driver_acted_at, facts.now) else { return false };
        effects.extend(ring.map(|ring| SagaEffect::RingDriver(self.driver, ring)));
        true
    }
}

/// Whole seconds, at least one.
fn seconds(time: Duration) -> u16 {
    u16::try_from(time.as_secs().max(1)).unwrap_or(u16::MAX)
}
