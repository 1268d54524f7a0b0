//! What becomes of an order whose payment succeeds while its business takes no orders.

use crate::domain::time::Timestamp;

use super::{Business, BusinessState, PauseCause, Reach};

/// Whether a business still takes an order that was placed before and is paid now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaidVerdict {
    /// It takes the order.
    Takes,
    /// It does if one of its devices can ring now: somebody paused it by hand and is there.
    TakesIfReachable,
    /// It does not: the order is cancelled and the money goes back.
    Refuses,
}

impl Business {
    /// Whether the business still takes an order that is paid at `now`.
    pub fn paid_verdict(&self, now: Timestamp) -> PaidVerdict {
        if self.state.at(now) == BusinessState::Closed {
            return PaidVerdict::Refuses;
        }
        let (mut is_paused, mut by_hand) = (false, true);
        for pause in self.holding_pauses(now) {
            is_paused = true;
            by_hand &= pause.cause == PauseCause::Manual;
        }
        let by_devices = self.alerts.reach == Reach::Devices && self.alerts.can_ring_since.is_some();
        match (is_paused, by_hand) {
            (false, _) => PaidVerdict::Takes,
            (true, false) => PaidVerdict::Refuses,
            (true, true) if by_devices => PaidVerdict::TakesIfReachable,
            (true, true) => PaidVerdict::Takes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::business::{Pause, sample};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn paused(causes: &[PauseCause]) -> Business {
        let mut business = sample::business(at(0));
        business.alerts.can_ring_since = Some(at(1));
        for cause in causes {
            business.pauses.put(Pause { cause: *cause, since: at(5), until: Some(at(50)) });
        }
        business
    }

    #[test]
    fn an_open_business_takes_what_is_paid_and_a_closed_one_does_not() {
        assert_eq!(paused(&[]).paid_verdict(at(10)), PaidVerdict::Takes);
        let closed = Business { state: BusinessState::Closed, ..paused(&[]) };
        assert_eq!(closed.paid_verdict(at(10)), PaidVerdict::Refuses);
        let closed = Business { state: BusinessState::Closed, ..paused(&[PauseCause::Manual]) };
        assert_eq!(closed.paid_verdict(at(10)), PaidVerdict::Refuses);
    }

    #[test]
    fn of_all_pauses_only_one_by_hand_takes_what_is_paid_if_a_device_is_there() {
        for cause in PauseCause::ALL {
            let expected = match cause {
                PauseCause::Manual => PaidVerdict::TakesIfReachable,
                PauseCause::Unreachable | PauseCause::Unanswered | PauseCause::Operator => {
                    PaidVerdict::Refuses
                }
            };
            assert_eq!(paused(&[cause]).paid_verdict(at(10)), expected, "{cause}");
            let both = paused(&[PauseCause::Manual, cause]).paid_verdict(at(10));
            assert_eq!(both, expected, "by hand and {cause}");
            assert_eq!(paused(&[cause]).paid_verdict(at(50)), PaidVerdict::Takes, "{cause} is over");
        }
        let old = Business { state: BusinessState::Paused { until: at(50) }, ..paused(&[]) };
        assert_eq!(old.paid_verdict(at(10)), PaidVerdict::TakesIfReachable);
    }

    #[test]
    fn a_business_that_is_not_judged_by_devices_counts_as_reachable_in_a_pause_by_hand() {
        let mut never = paused(&[PauseCause::Manual]);
        never.alerts.can_ring_since = None;
        assert_eq!(never.paid_verdict(at(10)), PaidVerdict::Takes);
        for reach in [Reach::Webhook, Reach::Any, Reach::Off] {
            let mut business = paused(&[PauseCause::Manual]);
            business.alerts.reach = reach;
            assert_eq!(business.paid_verdict(at(10)), PaidVerdict::Takes, "{reach}");
            let mut business = paused(&[PauseCause::Unanswered]);
            business.alerts.reach = reach;
            assert_eq!(business.paid_verdict(at(10)), PaidVerdict::Refuses, "{reach}");
        }
    }
}
