//! Subscribing to a room from an HTTP request.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::actors::reader::Reader;
use crate::auth::authorization::{RoomAccess, room_access};
use crate::domain::access::Principal;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::connection::end_with_client;
use crate::http::extractors::path_id::path_text;
use crate::http::middleware::client_address::address_block;
use crate::http::response::problem::ApiError;
use crate::http::sockets::WorkerUpgrader;
use crate::protocol::frames::JoinedRoom;
use crate::protocol::problem::ProblemCode;

/// The room in the path. A text that names none is answered like an absent room.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathRoom(pub(super) RoomId);

impl FromRequest for PathRoom {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let room = path_text(request, "room").and_then(|t| t.parse().map_err(|_| ApiError::not_found()));
        ready(room.map(Self))
    }
}

/// 401: the login session was ended.
pub(super) fn session_ended() -> ApiError {
    ApiError::new(ProblemCode::Unauthenticated, "This login session was ended.")
}

/// Subscribes a client to a room.
///
/// # Errors
/// 429 when it has too many subscriptions, 404 when it may not hear the room.
pub(super) async fn subscribe(
    request: &HttpRequest,
    (who, token_expires_at): (Principal, Timestamp),
    room: RoomId,
    cursor: Option<&str>,
) -> Result<(Reader, JoinedRoom), ApiError> {
    let app = AppState::of(request);
    let upgrader =
        request.app_data::<WorkerUpgrader>().expect("the routes are mounted together with their upgrader");
    let mut reader = upgrader.reader(who, token_expires_at, address_block(request)).await?;
    // Checked once more: from now on the reader is told when the login session ends.
    if app.revocations.contains(who.session) {
        return Err(session_ended());
    }
    match room_access(&app.reads, who, room).await? {
        RoomAccess::Granted => {}
        RoomAccess::NoSuchRoom => return Err(ApiError::not_found()),
    }
    // Otherwise it would keep its place after its client has gone.
    end_with_client(request).await;
    let joined = reader.join(room, cursor).await?;
    Ok((reader, joined))
}
