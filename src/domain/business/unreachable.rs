//! Since when a business cannot be reached.

use crate::domain::time::Timestamp;

use super::{Business, BusinessState, Pause, PauseCause, Reach};

impl Business {
    /// Since when nobody can reach the business although it takes orders at `now`: the end of its last lease, or a later moment at
    /// which it opened: other changes do not put it off. `None` while it takes none, and for one that is not judged by its devices. `last_lease` is the end of the
    /// last lease that has run out; its caller knows that none holds.
    pub fn unreachable_since(&self, last_lease: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let first_ring = self.alerts.can_ring_since.filter(|_| self.alerts.reach == Reach::Devices)?;
        self.takes_orders(now).ok()?;
        let opened = self.alerts.opened_at.into_iter();
        let base = last_lease.unwrap_or(first_ring);
        Some(opened.chain(self.ends_of_pauses(now)).fold(base, Timestamp::max))
    }

    /// The times at which pauses ended by themselves.
    fn ends_of_pauses(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let old = match self.state {
            BusinessState::Paused { until } => Some(until),
            BusinessState::Open | BusinessState::Busy { .. } | BusinessState::Closed => None,
        };
        let ends = self.pauses.iter().filter_map(|pause| pause.until).chain(old);
        ends.filter(move |until| *until <= now)
    }

    /// Notes when it opened, after a change from what it was `before`. A change forgets pauses that have ended, so their ends are
    /// noted as well.
    pub fn note_opening(&mut self, before: &Self, now: Timestamp) {
        let is_judged =
            |business: &Self| business.alerts.reach == Reach::Devices && business.takes_orders(now).is_ok();
        let opened = (is_judged(self) && !is_judged(before)).then_some(now);
        let noted = self.alerts.opened_at.into_iter().chain(opened);
        self.alerts.opened_at = noted.chain(before.ends_of_pauses(now)).max();
    }

    /// Pauses the business as one that cannot be reached, until it can.
    pub fn pause_as_unreachable(&mut self, now: Timestamp) {
        self.pauses.put(Pause { cause: PauseCause::Unreachable, since: now, until: None });
        self.changed(now);
    }

    /// Ends the pause of a business that can be reached again; whether there was one.
    pub fn resume_as_reachable(&mut self, now: Timestamp) -> bool {
        let was_paused = self.pauses.of(PauseCause::Unreachable, now).is_some();
        if was_paused {
            self.pauses.remove(PauseCause::Unreachable);
            self.changed(now);
        }
        was_paused
    }

    fn changed(&mut self, now: Timestamp) {
        self.version += 1;
        self.updated_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::business::sample;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn business() -> Business {
        let mut business = sample::business(at(0));
        business.alerts.can_ring_since = Some(at(10));
        business
    }

    #[test]
    fn a_business_without_a_device_counts_from_its_last_lease_or_from_when_it_opened() {
        let mut business = business();
        assert_eq!(business.unreachable_since(Some(at(50)), at(100)), Some(at(50)));
        assert_eq!(business.unreachable_since(None, at(100)), Some(at(10)), "its leases are forgotten");
        business.updated_at = at(95);
        assert_eq!(business.unreachable_since(Some(at(50)), at(100)), Some(at(50)), "a change is no opening");
        business.alerts.opened_at = Some(at(70));
        assert_eq!(business.unreachable_since(Some(at(50)), at(100)), Some(at(70)), "it opened later");
        business.pauses.put(Pause { cause: PauseCause::Manual, since: at(60), until: Some(at(90)) });
        assert_eq!(business.unreachable_since(Some(at(50)), at(100)), Some(at(90)), "its pause ended then");
        assert_eq!(business.unreachable_since(Some(at(50)), at(80)), None, "it takes no orders");
    }

    #[test]
    fn a_business_counts_from_opening_relying_on_devices_and_ended_pauses_not_from_other_changes() {
        let open = business();
        let closed = Business { state: BusinessState::Closed, ..business() };
        let mut relying_on_nothing = business();
        relying_on_nothing.alerts.reach = Reach::Off;
        let mut was_paused = business();
        was_paused.pauses.put(Pause { cause: PauseCause::Manual, since: at(60), until: Some(at(90)) });
        let old_pause = Business { state: BusinessState::Paused { until: at(80) }, ..business() };
        for (before, opened) in [
            (&open, None),
            (&closed, Some(at(100))),
            (&relying_on_nothing, Some(at(100))),
            (&was_paused, Some(at(90))),
            (&old_pause, Some(at(80))),
        ] {
            let mut after = business();
            after.note_opening(before, at(100));
            assert_eq!(after.alerts.opened_at, opened);
            after.note_opening(&open, at(200));
            assert_eq!(after.alerts.opened_at, opened, "nothing happened since");
        }
    }

    #[test]
    fn a_business_is_not_judged_by_devices_that_it_never_had_or_does_not_rely_on() {
        let never = {
            let mut business = business();
            business.alerts.can_ring_since = None;
            business
        };
        assert_eq!(never.unreachable_since(None, at(1000)), None);
        for reach in [Reach::Webhook, Reach::Any, Reach::Off] {
            let mut business = business();
            business.alerts.reach = reach;
            assert_eq!(business.unreachable_since(Some(at(50)), at(1000)), None, "{reach}");
        }
        let mut closed = business();
        closed.state = BusinessState::Closed;
        assert_eq!(closed.unreachable_since(Some(at(50)), at(1000)), None);
    }

    #[test]
    fn a_device_that_returns_ends_the_pause_of_its_cause_and_no_other() {
        for cause in PauseCause::ALL {
            let mut business = business();
            business.pause_as_unreachable(at(20));
            business.pauses.put(Pause { cause, since: at(30), until: Some(at(900)) });
            assert!(business.resume_as_reachable(at(40)), "{cause}");
            assert_eq!((business.version, business.updated_at), (3, at(40)));
            assert!(!business.resume_as_reachable(at(50)), "it is over");
            let left: Vec<PauseCause> = business.pauses.holding(at(60)).map(|pause| pause.cause).collect();
            let expected: Vec<PauseCause> =
                [cause].into_iter().filter(|cause| *cause != PauseCause::Unreachable).collect();
            assert_eq!(left, expected);
        }
    }
}
