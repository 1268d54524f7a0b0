//! What this node says of itself to the others.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use crate::actors::reachability::NodeSays;
use crate::actors::room::Rooms;
use crate::actors::session::Sessions;
use crate::domain::node::{NodeFacts, NodeState};
use crate::domain::time::Timestamp;
use crate::http::readiness::{Phase, Readiness};

/// As of each moment at which it is asked; the node starts now.
pub(super) fn node_says(
    sessions: Sessions,
    rooms: Rooms,
    schema_version: i64,
    readiness: Readiness,
) -> NodeSays {
    let started_at = Timestamp::now();
    Box::new(move || NodeFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema_version,
        state: if readiness.get() == Phase::Draining { NodeState::Draining } else { NodeState::Ready },
        sockets: sessions.open() as u64,
        rooms: rooms.count() as u64,
        started_at,
    })
}
