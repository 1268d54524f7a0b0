//! The brake: evidence about many businesses that is lost at once is more likely lost than true.

use crate::domain::saga::Clocks;

/// What machines do to businesses without a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachables {
    /// Businesses that take orders now, those of `candidates` among them.
    pub open: u32,
    /// Businesses that would be paused now.
    pub candidates: u32,
    /// Businesses that machines have paused as unreachable within [`Clocks::unreachable`].
    pub recent: u32,
    /// Whether in that time the leases could not be read or written.
    pub in_doubt: bool,
}

/// What to do with the businesses that have no device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrakeVerdict {
    /// Nothing is to be done.
    Nothing,
    /// They are paused.
    Pause,
    /// None is paused, and operators are told once.
    Brake,
}

impl Unreachables {
    /// The rule: none is paused while the leases are in doubt, or if more than `brake_percent` of the open businesses, and at
    /// least `brake_least` of them, would be paused within the time.
    pub fn verdict(self, clocks: &Clocks) -> BrakeVerdict {
        if self.candidates == 0 || clocks.unreachable.is_zero() {
            return BrakeVerdict::Nothing;
        }
        let paused = u64::from(self.candidates) + u64::from(self.recent);
        // Those that machines have paused already were open.
        let open = u64::from(self.open) + u64::from(self.recent);
        let too_many =
            paused >= u64::from(clocks.brake_least) && paused * 100 > u64::from(clocks.brake_percent) * open;
        if self.in_doubt || too_many { BrakeVerdict::Brake } else { BrakeVerdict::Pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(open: u32, candidates: u32, recent: u32) -> BrakeVerdict {
        Unreachables { open, candidates, recent, in_doubt: false }.verdict(&Clocks::default())
    }

    #[test]
    fn forty_of_a_hundred_at_once_are_a_lost_network_and_not_closed_shops() {
        assert_eq!(verdict(100, 40, 0), BrakeVerdict::Brake);
        assert_eq!(verdict(100, 20, 0), BrakeVerdict::Pause);
        assert_eq!(verdict(100, 21, 0), BrakeVerdict::Brake);
    }

    #[test]
    fn a_few_businesses_are_paused_whatever_part_of_all_they_are() {
        assert_eq!(verdict(1, 1, 0), BrakeVerdict::Pause);
        assert_eq!(verdict(4, 4, 0), BrakeVerdict::Pause);
        assert_eq!(verdict(5, 5, 0), BrakeVerdict::Brake);
    }

    #[test]
    fn many_one_after_the_other_count_as_many_at_once() {
        let mut recent = 0;
        while verdict(100 - recent, 1, recent) == BrakeVerdict::Pause {
            recent += 1;
        }
        assert_eq!(recent, 20);
    }

    #[test]
    fn doubt_pauses_nobody_and_a_switched_off_rule_does_nothing() {
        let unreachables = Unreachables { open: 100, candidates: 1, recent: 0, in_doubt: true };
        assert_eq!(unreachables.verdict(&Clocks::default()), BrakeVerdict::Brake);
        let off = Clocks { unreachable: std::time::Duration::ZERO, ..Clocks::default() };
        assert_eq!(unreachables.verdict(&off), BrakeVerdict::Nothing);
        assert_eq!(verdict(100, 0, 50), BrakeVerdict::Nothing);
    }
}
