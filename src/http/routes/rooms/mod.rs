//! A room's events over plain HTTP, for clients that cannot hold a socket; cursors are those of the sockets
//! (requirement 4.4).

mod poll;
mod stream;

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::actors::session::{Reader, RoomAccess, room_access};
use crate::domain::access::Principal;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::frames::JoinedRoom;
use crate::protocol::problem::ProblemCode;

use crate::http::connection::end_with_client;
use crate::http::middleware::rate_limit::block_of;
use crate::http::extractors::path_id::path_text;
use crate::http::response::problem::ApiError;
use crate::http::sockets::WorkerGate;
use crate::http::app_state::Api;

pub use stream::LAST_EVENT_ID;

/// Mounts the routes.
pub fn routes(config: &mut ServiceConfig) {
    config.service(poll::poll).service(stream::stream);
}

/// The room in the path. A text that names none is answered as an absent one.
#[derive(Clone, Copy, Debug)]
struct PathRoom(RoomId);

impl FromRequest for PathRoom {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let room = path_text(request, "room").and_then(|t| t.parse().map_err(|_| ApiError::not_found()));
        ready(room.map(Self))
    }
}

fn sign_in_ended() -> ApiError {
    ApiError::new(ProblemCode::Unauthenticated, "This sign-in was ended.")
}

/// Lets a client follow a room: 429 when it follows too many, 404 when it may not be there.
async fn follow(
    request: &HttpRequest,
    (who, token_expires_at): (Principal, Timestamp),
    room: RoomId,
    cursor: Option<&str>,
) -> Result<(Reader, JoinedRoom), ApiError> {
    let api = request.app_data::<web::Data<Api>>().expect("the routes are mounted together with their state");
    let gate = request.app_data::<WorkerGate>().expect("the routes are mounted together with their gate");
    let mut reader = gate.reader(who, token_expires_at, block_of(request))?;
    // Looked at once more: from now on the reader is told when it ends.
    if api.revocations.contains(who.session) {
        return Err(sign_in_ended());
    }
    match room_access(&api.reads, who, room).await? {
        RoomAccess::Granted => {}
        RoomAccess::NoSuchRoom => return Err(ApiError::not_found()),
    }
    // Or it would hold its place after its client has gone.
    end_with_client(request).await;
    let joined = reader.join(room, cursor).await?;
    Ok((reader, joined))
}
