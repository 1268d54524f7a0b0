//! Server-sent events.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::convert::Infallible;
use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ContentEncoding, HeaderName};
use actix_web::{HttpRequest, HttpResponse, get, web};
use bytes::Bytes;
use futures_util::stream::unfold;
use garde::Validate;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use utoipa::IntoParams;

use crate::actors::reader::{PageLimits, Reader, ReaderItem};
use crate::actors::room::LiveEvent;
use crate::actors::worker::CloseNotice;
use crate::auth::stream_proof::StreamProof;
use crate::domain::cursor::{Cursor, PROOF_MARK};
use crate::domain::ids::ConnectionId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::input::Query;
use crate::http::readiness::Phase;
use crate::http::response::problem::ApiError;
use crate::protocol::ephemeral::EncodedEphemeral;
use crate::protocol::frames::{JoinedRoom, ServerFrame};
use crate::protocol::problem::ProblemCode;

use super::subscribe::{PathRoom, subscribe};
use crate::http::extractors::audience::Anyone;
use crate::http::extractors::credentials::redeem_ticket;
use crate::http::extractors::stream_caller::{StreamCaller, StreamTicket, last_event_id};
use crate::http::route_table::{Endpoint, RouteFacts};

/// A comment after this much silence: with the kernel's 30 s for bytes nobody acknowledges, the
/// descriptor of a vanished reader is free within 45 s.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Time after which a client comes back after a connection that broke, milliseconds.
const RETRY_MS: u64 = 2000;

/// Time between two attempts to read a room that does not answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Bounds of one write; the next events are taken when it is on its way.
const PAGE: PageLimits = PageLimits { events: 128, bytes: 64 * 1024 };

/// Tells nginx to pass every event on at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The start of a stream.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Go on from here, unless `Last-Event-ID` says otherwise; one that leads nowhere is answered by `resync`. Without
    /// either, at the head.
    #[garde(length(bytes, max = 64))]
    #[param(example = "80a19d51.42")]
    cursor: Option<String>,
    /// The same as `Last-Event-ID`, from libraries that cannot send the header.
    #[garde(length(bytes, max = 64))]
    #[serde(rename = "lastEventId")]
    #[param(rename = "lastEventId", example = "80a19d51.42")]
    last_event_id: Option<String>,
    /// A one-time ticket from `POST /api/v1/auth/ticket`, for clients that cannot send `Authorization`.
    #[garde(skip)]
    #[serde(rename = "ticket")]
    #[param(rename = "ticket")]
    _ticket: Option<String>,
}

/// Subscribe to a room by server-sent events.
///
/// `hello` first, then events as they happen: `id` is the cursor, `event` the type, `data` the same JSON as on a socket. The
/// ids of a stream that was opened with a ticket have something more behind the cursor, which lets an `EventSource` come back
/// with the same address and its `Last-Event-ID` until the access token expires that the ticket was taken with. `resync` says that the cursor given leads nowhere any more. `close` is the last one
/// and says why. The answer has no end: a page that waits for the whole of it, as "Try it out" does, shows nothing.
#[utoipa::path(operation_id = "streamEvents", tag = "rooms",
    params(
        ("room" = String, Path, description = "`business:biz_…`, `order:ord_…` or `ops`"),
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The cursor of the last event you have"),
    ),
    responses(
        (status = 200, description = "An endless stream", body = String, content_type = "text/event-stream"),
        (status = 429, description = "You hold too many sockets, streams and long polls"),
    ))]
#[get("/rooms/{room}/stream")]
pub(super) async fn stream(
    app: web::Data<AppState>,
    caller: StreamCaller,
    room: PathRoom,
    query: Query<StreamQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    if app.readiness.get() != Phase::Ready {
        return Err(ApiError::new(ProblemCode::Unavailable, "This node takes no streams now."));
    }
    let named = query.0.last_event_id.as_deref().filter(|cursor| !cursor.is_empty());
    let cursor = last_event_id(&request).or(named).or(query.0.cursor.as_deref());
    let who = (caller.principal, caller.token_expires_at);
    let (reader, joined) = subscribe(&request, who, room.0, cursor).await?;
    reader.take_ephemerals();
    let proof = match caller.ticket {
        StreamTicket::NotUsed => None,
        StreamTicket::Proven(proof) => Some(proof),
        StreamTicket::Unredeemed(ticket) => {
            // Last: a caller who is refused before with 429 or 503 comes again with the same ticket.
            redeem_ticket(&app, &ticket).await?;
            Some(app.stream_proofs.derive(ticket.ticket_id, room.0))
        }
    };
    // A client that is told next that its cursor is lost must not take the new one for its own before it was told.
    let position = (cursor.is_none() || joined.recovered).then_some(joined.cursor);
    let feed = Feed { reader, room: room.0, proof, next: Next::Hello(joined, position) };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store, no-transform"))
        .insert_header((ACCEL_BUFFERING, "no"))
        // Compressed, events would wait for more of them.
        .insert_header(ContentEncoding::Identity)
        .streaming(unfold(feed, |feed| feed.chunk())))
}

impl Endpoint for stream {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}

/// One stream. It is asked for more only when its last chunk is on its way, so a slow client holds no more than that.
struct Feed {
    reader: Reader,
    room: RoomId,
    /// Behind the cursor in the id of each event, for a client that cannot come back by header.
    proof: Option<StreamProof>,
    next: Next,
}

enum Next {
    /// With the position that an `EventSource` goes on from.
    Hello(JoinedRoom, Option<Cursor>),
    Events,
    Nothing,
}

impl Feed {
    async fn chunk(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let chunk = match std::mem::replace(&mut self.next, Next::Events) {
            Next::Hello(joined, position) => {
                let now = self.reader.now();
                hello(&joined, position.map(|cursor| self.id(cursor)), now)
            }
            Next::Events => self.next_chunk().await,
            Next::Nothing => return None,
        };
        Some((Ok(chunk.into()), self))
    }

    async fn next_chunk(&mut self) -> String {
        let quiet_until = Instant::now() + HEARTBEAT;
        loop {
            let quiet = match self.reader.ready(PAGE).await {
                Ok(Some(ReaderItem::Events(events))) => return self.events(&events),
                Ok(Some(ReaderItem::Ephemerals(events))) => return ephemerals(&events),
                Ok(Some(ReaderItem::Resync(cursor))) => return resync(self.room, cursor, self.id(cursor)),
                Ok(Some(ReaderItem::Closed(notice))) => {
                    self.next = Next::Nothing;
                    tracing::debug!(room = %self.room, reason = %notice.reason, "event stream closed");
                    return close(notice);
                }
                Ok(None) => timeout_at(quiet_until, self.reader.changed()).await,
                Err(error) => {
                    tracing::warn!(room = %self.room, %error, "a stream could not read its room; trying again");
                    timeout_at(quiet_until, tokio::time::sleep(ASK_AGAIN)).await
                }
            };
            if quiet.is_err() {
                return ":\n\n".to_owned();
            }
        }
    }
}

impl Feed {
    fn id(&self, cursor: Cursor) -> EventId<'_> {
        EventId { cursor, proof: self.proof.as_ref() }
    }

    fn events(&self, events: &[LiveEvent]) -> String {
        let bytes: usize = events.iter().map(|event| event.event.frame().len() + EVENT_FIELDS).sum();
        let mut text = String::with_capacity(bytes);
        for LiveEvent { event, .. } in events {
            let json = event.json();
            let json = std::str::from_utf8(&json).expect("JSON is UTF-8");
            let (id, kind) = (self.id(event.cursor), event.kind.as_str());
            let written = write!(text, "id: {id}\nevent: {kind}\ndata: {json}\n\n");
            written.expect("a text takes everything");
        }
        text
    }
}

/// Without ids: they are no place to go on from.
fn ephemerals(events: &[EncodedEphemeral]) -> String {
    let mut text = String::new();
    for event in events {
        let json = event.json();
        let json = std::str::from_utf8(&json).expect("JSON is UTF-8");
        let written = write!(text, "event: {}\ndata: {json}\n\n", event.kind);
        written.expect("a text takes everything");
    }
    text
}

/// Most bytes of an event around its data.
const EVENT_FIELDS: usize = 96;

/// The id of an event as an `EventSource` gives it back.
struct EventId<'a> {
    cursor: Cursor,
    proof: Option<&'a StreamProof>,
}

impl Display for EventId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.proof {
            None => self.cursor.fmt(f),
            Some(proof) => write!(f, "{}{PROOF_MARK}{}", self.cursor, proof.as_str()),
        }
    }
}

fn hello(joined: &JoinedRoom, id: Option<EventId<'_>>, now: Timestamp) -> String {
    let connection = ConnectionId::generate().to_string();
    let rooms = std::slice::from_ref(joined);
    let frame = ServerFrame::Hello { connection: &connection, rooms, ping_s: HEARTBEAT.as_secs(), now };
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("retry: {RETRY_MS}\n{id}event: hello\ndata: {}\n\n", json(&frame))
}

fn resync(room: RoomId, cursor: Cursor, id: EventId<'_>) -> String {
    format!("id: {id}\nevent: resync\ndata: {}\n\n", json(&ServerFrame::Resync { room, cursor }))
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

fn close(CloseNotice { reason, after }: CloseNotice) -> String {
    let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    let close = Close { kind: "close", reason: reason.as_str(), advice: reason.advice().as_str(), after_ms };
    // An `EventSource` comes back by itself: each in its turn.
    let retry = RETRY_MS.saturating_add(after_ms);
    format!("retry: {retry}\nevent: close\ndata: {}\n\n", json(&close))
}

fn json(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).expect("a frame is made of texts and numbers")
}
