//! A driver as a pool believes them to be.

use crate::domain::dispatch::{DispatchRules, DriverStand};
use crate::domain::ids::OrderId;
use crate::domain::time::Timestamp;
use crate::storage::PoolDriver;

use super::settings::{ASKED_MARGIN, READ_WITHIN};

/// A driver of the zone who is on.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) stand: DriverStand,
    /// What they carry by the row; more than the known jobs while those are read.
    pub(super) active: u8,
    pub(super) alive_at: Option<Timestamp>,
    pub(super) updated_at: Timestamp,
    pub(super) asked: Asked,
}

/// What is known of an offer to a driver.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// Until when they count as asked, should the end of the offer not be heard; `None`: they are not.
    pub(super) until: Option<Timestamp>,
    /// The order for which an offer to them is being written.
    pub(super) proposed_for: Option<OrderId>,
    /// When this was last heard, other than by reading rows.
    heard_at: Option<Timestamp>,
}

impl Asked {
    /// They are asked now.
    pub(super) fn now(rules: &DispatchRules, now: Timestamp) -> Self {
        let until = Some(now.plus(rules.offer).plus(ASKED_MARGIN));
        Self { until, proposed_for: None, heard_at: Some(now) }
    }

    /// They are not asked any more.
    pub(super) fn not(now: Timestamp) -> Self {
        Self { heard_at: Some(now), ..Self::default() }
    }
}

impl Member {
    /// A driver by their row, with what is known better here: a newer position, an offer of which was heard so lately that the read may
    /// have begun before. `None` for one who is not on in this zone.
    pub(super) fn of(
        read: PoolDriver,
        known: Option<Self>,
        zone: &str,
        rules: &DispatchRules,
        now: Timestamp,
    ) -> Option<Self> {
        let PoolDriver { driver, jobs, is_asked } = read;
        if !driver.approved || !driver.online || !driver.zones.iter().any(|own| own == zone) {
            return None;
        }
        let newer = known.as_ref().and_then(|known| known.stand.position);
        let position = match (driver.position, newer) {
            (Some(stored), Some(newer)) if newer.at > stored.at => Some(newer),
            (stored, newer) => stored.or(newer),
        };
        let stand = DriverStand {
            user: driver.user,
            vehicle: driver.vehicle,
            capacity: driver.capacity,
            jobs: jobs.into_iter().map(|(_, job)| job).collect(),
            takes_cash: driver.takes_cash,
            position,
            waiting_since: driver.waiting_since,
            delivered: driver.delivered,
            on_time: driver.on_time,
            is_asked,
        };
        let by_row = if is_asked { Asked::now(rules, now) } else { Asked::default() };
        let member = Self {
            stand,
            active: driver.active,
            alive_at: driver.alive_at.max(known.as_ref().and_then(|known| known.alive_at)),
            updated_at: driver.updated_at,
            asked: Asked { heard_at: None, ..by_row },
        };
        let is_late = |asked: &Asked| asked.heard_at.is_some_and(|at| now.since(at) < READ_WITHIN);
        Some(member.with(known.map(|known| known.asked).filter(is_late)))
    }

    /// With this offer, if it is given.
    pub(super) fn with(mut self, asked: Option<Asked>) -> Self {
        if let Some(asked) = asked {
            (self.stand.is_asked, self.asked) = (asked.until.is_some(), asked);
        }
        self
    }
}
