//! The caller of an event stream, who may come with a one-time ticket instead of a token.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use serde::Deserialize;

use crate::auth::stream_proof::StreamProof;
use crate::auth::token::TicketClaims;
use crate::domain::access::Principal;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::response::problem::ApiError;

use super::credentials::{old_ticket_claims, ticket_claims};
use super::path_id::path_text;
use super::signed_in::{SignedIn, signed_in};

/// The header with the cursor of an `EventSource` that comes back by itself.
pub(in crate::http) const LAST_EVENT_ID: &str = "last-event-id";

/// The caller of an event stream, by header or else by one-time ticket.
pub(in crate::http) struct StreamCaller {
    pub(in crate::http) principal: Principal,
    pub(in crate::http) token_expires_at: Timestamp,
    pub(in crate::http) ticket: StreamTicket,
}

/// The ticket a stream is opened with.
pub(in crate::http) enum StreamTicket {
    /// None: the caller has a token.
    NotUsed,
    /// To be redeemed when nothing else can be refused any more.
    Unredeemed(TicketClaims),
    /// Redeemed by an earlier stream of this room, as the id of that stream's last event proves.
    Proven(StreamProof),
}

impl FromRequest for StreamCaller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

impl StreamCaller {
    fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let ticket = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
            .ok()
            .and_then(|pairs| pairs.into_inner().into_iter().find(|(name, _)| name == "ticket"))
            .map(|(_, ticket)| ticket)
            .filter(|ticket| !ticket.is_empty() && !request.headers().contains_key(AUTHORIZATION));
        let Some(ticket) = ticket else {
            let who: SignedIn = signed_in(request)?;
            let (principal, token_expires_at) = (who.principal, who.claims.expires_at);
            return Ok(Self { principal, token_expires_at, ticket: StreamTicket::NotUsed });
        };
        let app = AppState::of(request);
        let now = Timestamp::now();
        let again = last_event_id(request).and_then(|last| Some((last, room_of(request)?)));
        if let Some((last, room)) = again
            && let Ok(claims) = old_ticket_claims(app, &ticket, now)
            && let Some(proof) = app.stream_proofs.check(last, claims.ticket_id, room)
        {
            return Ok(Self::of_ticket(&claims, StreamTicket::Proven(proof)));
        }
        let claims = ticket_claims(app, &ticket, now)?;
        Ok(Self::of_ticket(&claims.clone(), StreamTicket::Unredeemed(claims)))
    }

    fn of_ticket(claims: &TicketClaims, ticket: StreamTicket) -> Self {
        Self { principal: claims.principal, token_expires_at: claims.access_expires_at, ticket }
    }
}

/// The cursor of `Last-Event-ID`. Only the header counts: an address that holds both the ticket and the proof would let
/// everybody in who reads a log.
pub(in crate::http) fn last_event_id(request: &HttpRequest) -> Option<&str> {
    let last = request.headers().get(LAST_EVENT_ID)?.to_str().unwrap_or_default();
    Some(last).filter(|last| !last.is_empty())
}

fn room_of(request: &HttpRequest) -> Option<RoomId> {
    path_text(request, "room").ok()?.parse().ok()
}

/// The holder of the one-time ticket in a request's query, so that a shop behind one address is not limited as one client.
/// Whether the ticket was redeemed before is found where it is redeemed.
pub(in crate::http) fn ticket_holder(request: &HttpRequest, app: &AppState) -> Option<Principal> {
    #[derive(Deserialize)]
    struct Ticket {
        ticket: String,
    }
    let query = web::Query::<Ticket>::from_query(request.query_string()).ok()?;
    let now = Timestamp::now();
    let claims = if request.headers().contains_key(LAST_EVENT_ID) {
        app.tokens.verify_old_ticket(&query.ticket, now)
    } else {
        app.tokens.verify_ticket(&query.ticket, now)
    };
    claims.ok().map(|claims| claims.principal)
}
