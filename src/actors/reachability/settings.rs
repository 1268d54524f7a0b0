//! Times and bounds of reachability that are not configured: clients and other nodes rely on them.

use std::time::Duration;

/// The word of a device that it can ring holds this long.
pub(super) const SAID_FOR: Duration = Duration::from_secs(45);

/// A lease in the store holds this long; a node that has gone loses its businesses after it.
pub(super) const LEASE_FOR: Duration = Duration::from_secs(15);

/// Leases are renewed this often.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(5);

/// How long a business that becomes reachable waits for others to share a write with.
pub(super) const MERGE_WITHIN: Duration = Duration::from_millis(100);

/// Most devices that are remembered: 10,000 sockets, and polling devices beside them.
pub(super) const MAX_DEVICES: usize = 65_536;

/// Most devices of one user that are remembered: more than a shop has.
pub(super) const MAX_DEVICES_OF_USER: usize = 50;

/// Most leases in one write.
pub(super) const LEASES_A_WRITE: usize = 2_000;

/// How long after a lease of another node has run out it is looked at: late enough that the store sees it.
pub(super) const AFTER_LAPSE: Duration = Duration::from_millis(50);

/// A node whose lease has less than this left has missed a renewal by a second.
pub(super) const LATE_WITHIN: Duration = Duration::from_secs(9);

/// Shortest pause between two looks at leases of nodes that are late.
pub(super) const LOOK_PAUSE: Duration = Duration::from_secs(1);
