//! Classes of requests that share a quota.

use crate::domain::quota::WindowKind;

/// Factor between the quota of a login session and that of its user: a shop's tablets share an account.
const USER_FACTOR: u32 = 10;

/// Factor between the quota of an address block and that of the network around it.
const NETWORK_FACTOR: u32 = 8;

/// A class of requests that share a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateClass {
    /// Sign-ups and logins.
    Auth,
    /// Token refreshes.
    Refresh,
    /// Placing orders.
    Orders,
    /// Transitions of orders.
    Moves,
    /// Every other request of somebody signed in.
    Api,
    /// Every other request.
    Public,
    /// Socket frames that reach the store.
    Frames,
    /// Health and metrics.
    Health,
    /// Messages of the payment provider that are genuine.
    Webhooks,
}

impl RateClass {
    /// Every class, in the order of their values.
    pub const ALL: [Self; 9] = [
        Self::Auth,
        Self::Refresh,
        Self::Orders,
        Self::Moves,
        Self::Api,
        Self::Public,
        Self::Frames,
        Self::Health,
        Self::Webhooks,
    ];

    /// The name in the header fields.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Refresh => "refresh",
            Self::Orders => "orders",
            Self::Moves => "moves",
            Self::Api => "api",
            Self::Public => "public",
            Self::Frames => "frames",
            Self::Health => "health",
            Self::Webhooks => "webhooks",
        }
    }

    /// Whether all nodes together hold its quotas. Not those of supervisors, which ask each node, and of frames, which wait for
    /// nobody: a socket is on one node.
    pub(super) const fn is_shared(self) -> bool {
        !matches!(self, Self::Health | Self::Frames)
    }

    /// Factor between a subject's quota and that of its user or network; `None` where the subject is a user or a token
    /// family.
    pub(super) const fn wide_factor(self) -> Option<u32> {
        match self {
            Self::Api | Self::Moves => Some(USER_FACTOR),
            Self::Auth | Self::Public | Self::Health => Some(NETWORK_FACTOR),
            Self::Refresh | Self::Orders | Self::Frames | Self::Webhooks => None,
        }
    }

    /// The end of the policy name of one window, behind [`Self::as_str`].
    pub(super) const fn suffix(self, scope: QuotaScope, which: WindowKind) -> &'static str {
        match (scope, self, which) {
            (QuotaScope::Own, _, WindowKind::Short) => "",
            (QuotaScope::Own, _, WindowKind::Long) => "-long",
            (QuotaScope::Wide, Self::Api | Self::Moves, WindowKind::Short) => "-user",
            (QuotaScope::Wide, Self::Api | Self::Moves, WindowKind::Long) => "-user-long",
            (QuotaScope::Wide, _, _) => "-network",
        }
    }
}

/// One of the two quotas that a subject has of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuotaScope {
    /// The subject's own.
    Own,
    /// That of its user or network.
    Wide,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_stand_in_the_order_of_their_values() {
        for (index, class) in RateClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, index);
        }
    }
}
