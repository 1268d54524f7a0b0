//! The nodes of the hub, and what they know of a room.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::node::{Node, NodeState};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::extractors::audience::Operators;
use crate::http::extractors::path_id::path_text;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Exposure, RouteFacts};

/// The longest wait for a worker thread that counts.
const COUNT_WITHIN: Duration = Duration::from_secs(1);

/// A node.
#[derive(Serialize, ToSchema)]
pub(super) struct NodeView {
    /// `nod_…`; a process has a new one at each start.
    id: String,
    /// Whether it is the node that answers.
    answers: bool,
    /// `ready`, `draining`, or `gone` when it has said nothing for 15 s or has left.
    #[schema(example = "ready")]
    state: &'static str,
    /// The release of the program.
    version: String,
    /// The newest change of the schema that it knows.
    schema_version: i64,
    /// RFC 3339.
    started_at: String,
    /// Until when it counts as there without another sign of life; RFC 3339.
    until: String,
    /// Open sockets, as of its last sign of life.
    sockets: u64,
    /// Rooms in use there, as of its last sign of life.
    rooms: u64,
}

/// The nodes.
#[derive(Serialize, ToSchema)]
pub(super) struct NodesView {
    /// Those that are there, and those that have gone within the last hour.
    items: Vec<NodeView>,
    /// The newest change of the schema that the database has.
    schema_version: i64,
}

/// A room.
#[derive(Serialize, ToSchema)]
pub(super) struct RoomView {
    /// Its name.
    #[schema(example = "business:biz_0190f3c1a2b37d4e8f00112233445566")]
    room: String,
    /// The cursor of its last event in the store.
    #[schema(example = "0190f3c1.42")]
    head: String,
    /// The room on the node that answers.
    here: RoomHere,
    /// For a business: devices that can ring for it, by node.
    devices: Vec<DevicesOfNode>,
}

/// A room on the node that answers.
#[derive(Serialize, ToSchema)]
pub(super) struct RoomHere {
    /// The node, `nod_…`.
    node: String,
    /// Whether somebody follows the room there.
    in_use: bool,
    /// Sockets, event streams and long polls that follow it there.
    members: usize,
}

/// Devices of one node.
#[derive(Serialize, ToSchema)]
pub(super) struct DevicesOfNode {
    /// The node, `nod_…`.
    node: String,
    /// Devices that said within 45 s that they can ring.
    devices: u32,
}

impl NodeView {
    fn of(node: Node, app: &AppState, now: Timestamp) -> Self {
        let Node { id, facts, until } = node;
        let state = match facts.state {
            _ if until <= now => "gone",
            NodeState::Ready => "ready",
            NodeState::Draining => "draining",
        };
        Self {
            id: id.to_string(),
            answers: id == app.nodes.own(),
            state,
            version: facts.version,
            schema_version: facts.schema_version,
            started_at: facts.started_at.to_rfc3339(),
            until: until.to_rfc3339(),
            sockets: facts.sockets,
            rooms: facts.rooms,
        }
    }
}

/// List the nodes of the hub, as of the last sign of life of each, at most five seconds ago.
#[utoipa::path(operation_id = "listNodes", tag = "operations", responses(
    (status = 200, description = "Those that are there, and those that have gone lately", body = NodesView),
))]
#[get("/admin/nodes")]
pub(super) async fn nodes(
    app: web::Data<AppState>,
    _who: SignedIn<Operators>,
) -> Result<HttpResponse, ApiError> {
    let (nodes, schema_version) = (app.store.nodes().await?, app.store.schema().await?);
    let now = app.store.clock().now();
    let items = nodes.into_iter().map(|node| NodeView::of(node, &app, now)).collect();
    Ok(HttpResponse::Ok().json(NodesView { items, schema_version }))
}

impl Endpoint for nodes {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}

/// Show what is known of a room: how far it is, and who follows it.
#[utoipa::path(operation_id = "readRoom", tag = "operations",
    params(("room" = String, Path, description = "Like `business:biz_…`, `order:ord_…` or `ops`")),
    responses(
        (status = 200, description = "The room", body = RoomView),
        (status = 404, description = "No room has such a name"),
    ))]
#[get("/admin/rooms/{room}")]
pub(super) async fn room(
    app: web::Data<AppState>,
    _who: SignedIn<Operators>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let room: RoomId = path_text(&request, "room")?.parse().map_err(|_| ApiError::not_found())?;
    let head = app.store.head(room).await?;
    let by_node = match room {
        RoomId::Business(business) => app.store.devices_by_node(business, app.store.clock().now()).await?,
        _ => Vec::new(),
    };
    let of_node = |(node, devices)| DevicesOfNode { node: ToString::to_string(&node), devices };
    let here = RoomHere {
        node: app.nodes.own().to_string(),
        in_use: app.rooms.is_running(&room),
        members: app.workers.members(room, COUNT_WITHIN).await,
    };
    let devices = by_node.into_iter().map(of_node).collect();
    let view = RoomView { room: room.to_string(), head: head.cursor.to_string(), here, devices };
    Ok(HttpResponse::Ok().json(view))
}

impl Endpoint for room {
    const FACTS: RouteFacts = RouteFacts::of::<Operators>().exposure(Exposure::Operators);
}
