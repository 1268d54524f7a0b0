//! Leases of businesses that can be reached, and pauses of those that cannot.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{BusinessId, NodeId};
use crate::domain::saga::Clocks;

use super::{HubSeen, NodeBeat};

/// A business that devices of one node can ring for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lease {
    /// The business.
    pub business: BusinessId,
    /// Devices of the node that can ring for it, at least one.
    pub devices: u32,
}

/// Whether the node could renew its leases in the time before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseHistory {
    /// Its last renewal was in time, or this is its first.
    Unbroken,
    /// The store was away for it: its leases ran out although its devices may have been there.
    Broken,
}

/// A node renews leases, says that it lives, and ends the pauses of businesses that are reachable again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewLeases {
    /// The node.
    pub node: NodeId,
    /// By the ids of the businesses; at most some thousand.
    pub leases: Vec<Lease>,
    /// Businesses without a lease of this node any more; the outcome tells whether others have one.
    pub lapsed: Vec<BusinessId>,
    /// How long the leases hold. The hub was in doubt about all of them if no node renewed any for this long.
    pub lease: Duration,
    /// Whether the leases before these ones ran out for want of a store.
    pub history: LeaseHistory,
    /// The clocks of outages.
    pub clocks: Clocks,
    /// What the node says of itself; `None` when it said so a moment ago.
    pub beat: Option<NodeBeat>,
}

/// The outcome of a renewal of leases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasesRenewed {
    /// Devices, on all nodes, of the businesses named; one that is missing has none. `None` where the first answer was lost.
    #[serde(skip)]
    pub devices: Option<HashMap<BusinessId, u32>>,
    /// The hub as the node finds it, if it said something of itself and the first answer was not lost.
    #[serde(skip)]
    pub hub: Option<Box<HubSeen>>,
}

/// Pause every business that could not be reached for long enough, unless too many of them would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseUnreachable {
    /// The time without a device, and the brake.
    pub clocks: Clocks,
}
