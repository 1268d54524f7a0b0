//! Nodes of the hub.

use std::time::Duration;

use crate::domain::ids::{BusinessId, NodeId};
use crate::domain::node::NodeFacts;
use crate::domain::time::Timestamp;

/// What a node says of itself with its sign of life, and what it wants to know of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeBeat {
    /// What it says.
    pub facts: NodeFacts,
    /// The store's time up to which it knows which leases of other nodes have run out; `None` at first.
    pub looked_at: Option<Timestamp>,
    /// A node whose lease has no more than this left has missed a sign of life.
    pub late: Duration,
}

/// The hub as a node finds it with its sign of life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubSeen {
    /// Nodes that take new work, with the one that asks.
    pub nodes: Vec<NodeId>,
    /// Grows when an operator gives everybody their quotas back.
    pub quota_era: i64,
    /// The newest change of the schema that the database has.
    pub schema_version: i64,
    /// The store's time of this.
    pub at: Timestamp,
    /// When the next lease of a node that has missed a sign of life runs out, if it is not renewed.
    pub next_lapse: Option<Timestamp>,
    /// Businesses of which a lease of such a node has run out since `looked_at`, with the devices that are left on all nodes; at most some
    /// thousand.
    pub lapsed: Vec<(BusinessId, u32)>,
}

/// A node leaves: the others need not wait for its lease to run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaveHub {
    /// The node.
    pub node: NodeId,
}

/// Give everybody their quotas back, on every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetQuotas;
