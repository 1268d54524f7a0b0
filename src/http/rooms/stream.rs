//! Server-sent events.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ContentEncoding, HeaderName};
use actix_web::{FromRequest, HttpRequest, HttpResponse, get, web};
use bytes::Bytes;
use futures_util::stream::unfold;
use garde::Validate;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use utoipa::IntoParams;

use crate::actors::room::Published;
use crate::actors::session::{Ending, Portion, Reader, Step};
use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::ids::SocketId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::http::access::token::TicketClaims;
use crate::http::identity::{SignedIn, signed_in};
use crate::http::input::Query;
use crate::http::problem::ApiError;
use crate::http::state::{Api, Phase};
use crate::protocol::frames::{JoinedRoom, ServerFrame};
use crate::protocol::problem::ProblemCode;

use super::{PathRoom, follow};

/// Carries the cursor of an `EventSource` that comes back by itself.
pub const LAST_EVENT_ID: &str = "last-event-id";

/// A comment after this much silence (requirement 4.7): with the kernel's 30 s for bytes nobody acknowledges, the
/// descriptor of a vanished reader is free within 45 s.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a client stays away after a connection that broke, milliseconds.
const RETRY_MS: u64 = 2000;

/// How long a stream waits before it asks a room again that did not answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// What is written at once; the next is taken when it is on its way.
const PORTION: Portion = Portion { events: 128, bytes: 64 * 1024 };

/// Tells nginx to pass every event on at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Where a stream begins.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Go on from here, unless `Last-Event-ID` says otherwise; one that leads nowhere is answered by `resync`. Without
    /// either, at the head.
    #[garde(length(bytes, max = 64))]
    #[param(example = "80a19d51.42")]
    cursor: Option<String>,
    /// A one-time ticket from `POST /api/v1/auth/ticket`, for clients that cannot send `Authorization`.
    #[garde(skip)]
    #[serde(rename = "ticket")]
    #[param(rename = "ticket")]
    _ticket: Option<String>,
}

/// Who opens a stream, by header or else by one-time ticket, and until when their token holds.
struct Viewer {
    principal: Principal,
    token_expires_at: Timestamp,
    /// To be redeemed when everything else is in order.
    ticket: Option<TicketClaims>,
}

impl FromRequest for Viewer {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

impl Viewer {
    fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let ticket = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
            .ok()
            .and_then(|pairs| pairs.into_inner().into_iter().find(|(name, _)| name == "ticket"))
            .map(|(_, ticket)| ticket)
            .filter(|ticket| !ticket.is_empty() && !request.headers().contains_key(AUTHORIZATION));
        let Some(ticket) = ticket else {
            let who: SignedIn = signed_in(request)?;
            let (principal, token_expires_at) = (who.principal, who.claims.expires_at);
            return Ok(Self { principal, token_expires_at, ticket: None });
        };
        let api =
            request.app_data::<web::Data<Api>>().expect("the routes are mounted together with their state");
        let claims = api.ticket_claims(&ticket, Timestamp::now())?;
        let (principal, token_expires_at) = (claims.principal, claims.access_expires_at);
        Ok(Self { principal, token_expires_at, ticket: Some(claims) })
    }
}

/// Follow a room by server-sent events.
///
/// `hello` first, then events as they happen: `id` is the cursor, `event` the type, `data` the same JSON as on a socket.
/// `resync` says that the cursor given leads nowhere any more. `close` is the last one and says why.
#[utoipa::path(tag = "rooms", security(("bearer" = [])),
    params(
        ("room" = String, Path, description = "`business:biz_…` or `order:ord_…`"),
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The cursor of the last event you have"),
    ),
    responses(
        (status = 200, description = "An endless stream", body = String, content_type = "text/event-stream"),
        (status = 429, description = "You hold too many sockets, streams and long polls"),
    ))]
#[get("/rooms/{room}/stream")]
pub(super) async fn stream(
    api: web::Data<Api>,
    viewer: Viewer,
    room: PathRoom,
    query: Query<StreamQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    if api.readiness.get() != Phase::Ready {
        return Err(ApiError::new(ProblemCode::Unavailable, "This node takes no streams now."));
    }
    let last = request.headers().get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default());
    let cursor = last.filter(|cursor| !cursor.is_empty()).or(query.0.cursor.as_deref());
    let caller = (viewer.principal, viewer.token_expires_at);
    let (reader, joined) = follow(&request, caller, room.0, cursor).await?;
    if let Some(ticket) = viewer.ticket {
        // Last: who is refused before with 429 or 503 comes again with the same ticket.
        api.redeem_ticket(&ticket).await?;
    }
    // A client that is told next that its cursor is lost must not take the new one for its own before it was told.
    let position = (cursor.is_none() || joined.recovered).then_some(joined.cursor);
    let feed = Feed { reader, room: room.0, next: Next::Greeting(joined, position) };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store, no-transform"))
        .insert_header((ACCEL_BUFFERING, "no"))
        // Compressed, events would wait for more of them.
        .insert_header(ContentEncoding::Identity)
        .streaming(unfold(feed, |feed| feed.chunk())))
}

/// One stream. It is asked for more only when what it gave is on its way, so a slow client holds no more than that.
struct Feed {
    reader: Reader,
    room: RoomId,
    next: Next,
}

enum Next {
    /// With the position that an `EventSource` goes on from.
    Greeting(JoinedRoom, Option<Cursor>),
    Events,
    Nothing,
}

impl Feed {
    async fn chunk(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let chunk = match std::mem::replace(&mut self.next, Next::Events) {
            Next::Greeting(joined, position) => greeting(&joined, position),
            Next::Events => self.news().await,
            Next::Nothing => return None,
        };
        Some((Ok(chunk.into()), self))
    }

    async fn news(&mut self) -> String {
        let quiet_until = Instant::now() + HEARTBEAT;
        loop {
            let quiet = match self.reader.ready(PORTION).await {
                Ok(Some(Step::Events(events))) => return events.iter().map(event).collect(),
                Ok(Some(Step::Resync(cursor))) => return resync(self.room, cursor),
                Ok(Some(Step::Ended(ending))) => {
                    self.next = Next::Nothing;
                    tracing::debug!(room = %self.room, reason = %ending.reason, "event stream closed");
                    return close(ending);
                }
                Ok(None) => timeout_at(quiet_until, self.reader.changed()).await,
                Err(error) => {
                    tracing::warn!(room = %self.room, %error, "a stream has no news; asking again");
                    timeout_at(quiet_until, tokio::time::sleep(ASK_AGAIN)).await
                }
            };
            if quiet.is_err() {
                return ":\n\n".to_owned();
            }
        }
    }
}

fn event(published: &Published) -> String {
    let (event, json) = (&published.event, published.event.json());
    let json = std::str::from_utf8(&json).expect("JSON is UTF-8");
    format!("id: {}\nevent: {}\ndata: {json}\n\n", event.cursor, event.kind.as_str())
}

fn greeting(joined: &JoinedRoom, position: Option<Cursor>) -> String {
    let session = SocketId::generate().to_string();
    let rooms = std::slice::from_ref(joined);
    let hello = ServerFrame::Hello { session: &session, rooms, ping_s: HEARTBEAT.as_secs() };
    let id = position.map(|cursor| format!("id: {cursor}\n")).unwrap_or_default();
    format!("retry: {RETRY_MS}\n{id}event: hello\ndata: {}\n\n", json(&hello))
}

fn resync(room: RoomId, cursor: Cursor) -> String {
    format!("id: {cursor}\nevent: resync\ndata: {}\n\n", json(&ServerFrame::Resync { room, cursor }))
}

/// The last event of a stream.
#[derive(Serialize)]
struct Close {
    #[serde(rename = "type")]
    kind: &'static str,
    reason: &'static str,
    advice: &'static str,
    after_ms: u64,
}

fn close(Ending { reason, after }: Ending) -> String {
    let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    let close = Close { kind: "close", reason: reason.as_str(), advice: reason.advice().as_str(), after_ms };
    // An `EventSource` comes back by itself: each in its turn.
    let retry = RETRY_MS.saturating_add(after_ms);
    format!("retry: {retry}\nevent: close\ndata: {}\n\n", json(&close))
}

fn json(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).expect("a frame is made of texts and numbers")
}
