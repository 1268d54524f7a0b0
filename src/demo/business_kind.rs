//! The kinds of businesses: most answer their orders, and one of each other kind shows what happens where nobody does.

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::delivery::DeliveredBy;
use crate::domain::order::{Fulfilment, Status};

/// Fewer businesses than this are all ordinary.
pub(super) const KINDS_FROM: usize = 4;

/// Devices are there this long before they vanish for the first time.
const FIRST_STAY: Duration = Duration::from_secs(5);

/// Time that devices are away, and are there afterwards. A lease of reachability holds for up to 15 s without them.
const AWAY: Duration = Duration::from_secs(30);
const STAY: Duration = Duration::from_secs(30);

/// Seconds for an answer where devices vanish: orders wait for them there.
const LONG_ACCEPT_S: u64 = 120;

/// The behaviour of a business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BusinessKind {
    /// Somebody answers each order.
    Ordinary,
    /// Its devices ring and acknowledge, and nobody ever answers.
    IgnoresItsBell,
    /// All its devices are away for a while, again and again.
    LosesItsDevices,
    /// The hub accepts its orders as soon as a device has them.
    AcceptsByItself,
    /// Drivers of the hub bring its orders, and all of them are brought.
    HasDrivers,
}

/// Whether the devices of a business have vanished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vanishing {
    /// They are there and will vanish after this; `None`: never.
    There(Option<Duration>),
    /// They come back after this.
    Away(Duration),
}

impl BusinessKind {
    /// The kind of business `n` of so many. It does not depend on their number, so that a later run on the same data finds the same.
    pub(super) fn of(n: usize, businesses: usize) -> Self {
        match n {
            _ if businesses < KINDS_FROM => Self::Ordinary,
            1 => Self::IgnoresItsBell,
            2 => Self::LosesItsDevices,
            3 => Self::AcceptsByItself,
            4 => Self::HasDrivers,
            _ => Self::Ordinary,
        }
    }

    /// Changes of the business's settings that make it one of this kind.
    pub(super) fn settings(self) -> Option<Value> {
        match self {
            Self::Ordinary | Self::IgnoresItsBell => None,
            Self::LosesItsDevices => Some(json!({"alerts": {"accept_s": LONG_ACCEPT_S}})),
            Self::AcceptsByItself => Some(json!({"auto_accept": true})),
            Self::HasDrivers => Some(json!({"delivered_by": "drivers"})),
        }
    }

    /// The words after the business's name in which the demo tells of it.
    pub(super) fn told(self) -> Option<&'static str> {
        match self {
            Self::Ordinary => None,
            Self::IgnoresItsBell => Some("ignores its bell"),
            Self::LosesItsDevices => Some("loses all its devices for half a minute"),
            Self::AcceptsByItself => Some("accepts by itself"),
            Self::HasDrivers => Some("has drivers of the hub bring its orders"),
        }
    }

    /// Ways in which its customers get their orders. A guest at a table is never sent away by the hub, so that an order of one would
    /// wait for ever where nobody answers.
    pub(super) const fn fulfilments(self) -> &'static [Fulfilment] {
        match self {
            Self::IgnoresItsBell => &[Fulfilment::Delivery, Fulfilment::Pickup],
            Self::HasDrivers => &[Fulfilment::Delivery],
            _ => &[Fulfilment::Delivery, Fulfilment::Pickup, Fulfilment::DineIn],
        }
    }

    /// The status in which people there take an order in hand.
    pub(super) const fn begins_at(self) -> Option<Status> {
        match self {
            Self::IgnoresItsBell => None,
            Self::AcceptsByItself => Some(Status::Accepted),
            Self::Ordinary | Self::LosesItsDevices | Self::HasDrivers => Some(Status::Placed),
        }
    }

    /// The party that brings its deliveries.
    pub(super) const fn delivered_by(self) -> DeliveredBy {
        match self {
            Self::HasDrivers => DeliveredBy::Drivers,
            _ => DeliveredBy::Business,
        }
    }

    /// Where its devices are, so long after the start.
    pub(super) fn devices_at(self, since_start: Duration) -> Vanishing {
        if self != Self::LosesItsDevices {
            return Vanishing::There(None);
        }
        let Some(since_first) = since_start.checked_sub(FIRST_STAY) else {
            return Vanishing::There(Some(FIRST_STAY - since_start));
        };
        let round = (AWAY + STAY).as_millis();
        let into = Duration::from_millis(u64::try_from(since_first.as_millis() % round).unwrap_or_default());
        match AWAY.checked_sub(into) {
            Some(left) if !left.is_zero() => Vanishing::Away(left),
            _ => Vanishing::There(Some(AWAY + STAY - into)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_of_each_kind_and_none_but_ordinary_ones_among_three() {
        let kinds = |businesses| (0..businesses).map(move |n| BusinessKind::of(n, businesses));
        for (businesses, has_drivers) in [(KINDS_FROM, false), (20, true)] {
            let special: Vec<_> = kinds(businesses).filter(|kind| *kind != BusinessKind::Ordinary).collect();
            use BusinessKind::{AcceptsByItself, HasDrivers, IgnoresItsBell, LosesItsDevices};
            let all = [IgnoresItsBell, LosesItsDevices, AcceptsByItself, HasDrivers];
            assert_eq!(special, all[..if has_drivers { 4 } else { 3 }]);
        }
        assert!(kinds(KINDS_FROM - 1).all(|kind| kind == BusinessKind::Ordinary));
        assert_eq!(BusinessKind::of(0, 20), BusinessKind::Ordinary, "the first owner can be signed in as");
    }

    #[test]
    fn devices_vanish_for_a_while_and_come_back_again_and_again() {
        let s = Duration::from_secs;
        let at = |seconds| BusinessKind::LosesItsDevices.devices_at(s(seconds));
        for (seconds, expected) in [
            (0, Vanishing::There(Some(s(5)))),
            (5, Vanishing::Away(s(30))),
            (34, Vanishing::Away(s(1))),
            (35, Vanishing::There(Some(s(30)))),
            (64, Vanishing::There(Some(s(1)))),
            (65, Vanishing::Away(s(30))),
        ] {
            assert_eq!(at(seconds), expected, "after {seconds} s");
        }
        assert_eq!(BusinessKind::Ordinary.devices_at(s(10)), Vanishing::There(None));
    }
}
