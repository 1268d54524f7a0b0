//! Long polls.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, get, web};
use garde::Validate;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use utoipa::{IntoParams, ToSchema};

use crate::actors::reader::{PageLimits, Reader, ReaderItem};
use crate::actors::room::LiveEvent;
use crate::domain::cursor::Cursor;
use crate::http::app_state::AppState;
use crate::http::input::{FromText, NumberBounds, Parsed, Query, schema_of};
use crate::http::middleware::request_log::Waited;
use crate::http::readiness::Phase;
use crate::http::response::pagination::number;
use crate::http::response::problem::ApiError;
use crate::protocol::close::CloseReason;
use crate::protocol::problem::ProblemCode;

use super::subscribe::{PathRoom, session_ended, subscribe};
use crate::http::extractors::audience::Anyone;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::route_table::{Endpoint, RouteFacts};

/// Most bytes of events in one answer; as much as may wait for a socket by default.
const ANSWER_BYTES: usize = 256 * 1024;

/// The most events where the client names no limit.
const DEFAULT_LIMIT: u32 = 100;

/// The most events of an answer: 1 to 500.
#[derive(Clone, Copy, Debug)]
struct EventLimit(u32);

impl FromText for EventLimit {
    const EXAMPLE: &'static str = "100";

    fn from_text(text: &str) -> Result<Self, String> {
        number(text, 1..=500).map(Self)
    }

    fn bounds() -> Option<NumberBounds> {
        Some(NumberBounds { least: 1, most: 500, default: DEFAULT_LIMIT })
    }
}

/// The time to wait for an event, seconds: 0 to 30, below the time that proxies allow an answer.
#[derive(Clone, Copy, Debug)]
struct Wait(u32);

impl FromText for Wait {
    const EXAMPLE: &'static str = "25";

    fn from_text(text: &str) -> Result<Self, String> {
        number(text, 0..=30).map(Self)
    }

    fn bounds() -> Option<NumberBounds> {
        Some(NumberBounds { least: 0, most: 30, default: 0 })
    }
}

/// The events a client asks for, and the time it waits for them.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PollQuery {
    /// Go on from here: the `cursor` of the answer before, or of any other transport. Without one, at the head.
    #[garde(dive)]
    #[param(schema_with = schema_of::<Cursor>)]
    cursor: Option<Parsed<Cursor>>,
    /// At most so many events, 1 to 500; 100 unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<EventLimit>)]
    limit: Option<Parsed<EventLimit>>,
    /// The time to wait for an event when there is none, seconds, 0 to 30; 0 unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<Wait>)]
    wait: Option<Parsed<Wait>>,
}

/// The events of a room since the cursor.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes an answer that is put together from the bytes of events")]
struct EventsView {
    /// In order, without holes; empty when nothing happened in time.
    events: Vec<EventView>,
    /// Go on from here.
    #[schema(example = "80a19d51.42")]
    cursor: String,
    /// The cursor that was given leads nowhere any more: look at the present state, then go on from the new one.
    resync: bool,
}

/// An event, the same as on a socket.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the bytes of an event")]
struct EventView {
    /// `event`
    #[schema(rename = "type", example = "event")]
    frame: String,
    /// Its room.
    #[schema(example = "business:biz_0190f3c1a2b37d4e8f00112233445566")]
    room: String,
    /// Its place in the room.
    #[schema(example = "80a19d51.42")]
    cursor: String,
    /// Its `id`, `type`, `time` and `data`.
    #[schema(value_type = Object)]
    event: (),
}

/// Read the events of a room since a cursor, waiting for them if you like.
#[utoipa::path(operation_id = "readEvents", tag = "rooms",
    params(("room" = String, Path, description = "`business:biz_…`, `order:ord_…` or `ops`"), PollQuery),
    responses(
        (status = 200, description = "The next events, or none in time", body = EventsView),
        (status = 429, description = "You hold too many sockets, streams and long polls"),
    ))]
#[get("/rooms/{room}/events")]
pub(super) async fn poll(
    app: web::Data<AppState>,
    who: SignedIn,
    room: PathRoom,
    query: Query<PollQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let PollQuery { cursor, limit, wait } = query.0;
    let limit = limit.map_or(DEFAULT_LIMIT, |limit| limit.into_inner().0);
    let wait = Duration::from_secs(wait.map_or(0, |wait| wait.into_inner().0).into());
    refuse_to_wait(app.readiness.get(), wait)?;
    let limits = PageLimits { events: limit as usize, bytes: ANSWER_BYTES };
    let cursor = cursor.map(|cursor| cursor.into_inner().to_string());
    let caller = (who.principal, who.claims.expires_at);
    let (mut reader, _) = subscribe(&request, caller, room.0, cursor.as_deref()).await?;
    let (step, waited) = next_step(&mut reader, limits, wait).await?;
    let body = match step {
        // A poll is not told of ephemeral events: they would end it without a new position.
        None | Some(ReaderItem::Ephemerals(_)) => answer(&[], reader.position(), CursorFate::Valid),
        Some(ReaderItem::Events(events)) => answer(&events, reader.position(), CursorFate::Valid),
        Some(ReaderItem::Resync(head)) => answer(&[], head, CursorFate::Unknown),
        Some(ReaderItem::Closed(notice)) => match notice.reason {
            CloseReason::Restart => answer(&[], reader.position(), CursorFate::Valid),
            reason => return Err(refusal_of(reason)),
        },
    };
    let mut response = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body);
    response.extensions_mut().insert(Waited(waited));
    Ok(response)
}

impl Endpoint for poll {
    const FACTS: RouteFacts = RouteFacts::of::<Anyone>();
}

/// A node that stops answers whoever waits at once, so that they would ask it again and again until it has stopped.
fn refuse_to_wait(phase: Phase, wait: Duration) -> Result<(), ApiError> {
    if phase == Phase::Ready || wait.is_zero() {
        return Ok(());
    }
    Err(ApiError::new(ProblemCode::Unavailable, "Nobody can wait here now: this node stops."))
}

/// The next events of a room, or `None` when there are none in time; and how long they were waited for.
async fn next_step(
    reader: &mut Reader,
    limits: PageLimits,
    wait: Duration,
) -> Result<(Option<ReaderItem>, Duration), ApiError> {
    let started = Instant::now();
    let mut waited = Duration::ZERO;
    loop {
        if let Some(step) = reader.ready(limits).await? {
            return Ok((Some(step), waited));
        }
        let pause = Instant::now();
        let changed = timeout_at(started + wait, reader.changed()).await;
        waited += pause.elapsed();
        if changed.is_err() {
            return Ok((None, waited));
        }
    }
}

fn refusal_of(reason: CloseReason) -> ApiError {
    match reason {
        CloseReason::SessionEnded => session_ended(),
        CloseReason::TokenExpired => {
            ApiError::new(ProblemCode::TokenExpired, "Refresh the access token and try again.")
        }
        _ => ApiError::not_found(),
    }
}

/// Whether the cursor of the client led to a position of the room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CursorFate {
    Valid,
    Unknown,
}

/// The body of the answer. The events are the bytes that were encoded once for all.
fn answer(events: &[LiveEvent], cursor: Cursor, fate: CursorFate) -> Vec<u8> {
    let bytes: usize = events.iter().map(|event| event.event.frame().len() + 1).sum();
    let mut body = Vec::with_capacity(bytes + 80);
    body.extend_from_slice(br#"{"events":["#);
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&event.event.json());
    }
    let resync = fate == CursorFate::Unknown;
    body.extend_from_slice(format!(r#"],"cursor":"{cursor}","resync":{resync}}}"#).as_bytes());
    body
}
