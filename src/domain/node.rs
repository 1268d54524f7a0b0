//! Nodes of the hub, as they see each other.

use super::ids::NodeId;
use super::string_enum::string_enum;
use super::time::Timestamp;

string_enum! {
    /// Whether a node takes new work.
    pub enum NodeState {
        /// It takes new work.
        Ready = "ready",
        /// It stops: its clients are told to go elsewhere.
        Draining = "draining",
    }
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// The release of the program.
    pub version: String,
    /// The newest change of the schema that it knows.
    pub schema_version: i64,
    /// Whether it takes new work.
    pub state: NodeState,
    /// Its open sockets.
    pub sockets: u64,
    /// Rooms in use there.
    pub rooms: u64,
    /// The time of its start.
    pub started_at: Timestamp,
}

/// A node that has said so of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The id of the node.
    pub id: NodeId,
    /// What it said last.
    pub facts: NodeFacts,
    /// Until when it counts as there without another word.
    pub until: Timestamp,
}
