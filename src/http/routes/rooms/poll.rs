//! Long polls.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, get};
use garde::Validate;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use utoipa::{IntoParams, ToSchema};

use crate::actors::room::Published;
use crate::actors::session::{Portion, Step};
use crate::domain::cursor::Cursor;
use crate::http::extractors::signed_in::SignedIn;
use crate::http::input::{Bounds, FromText, Parsed, Query, schema_of};
use crate::http::middleware::request_log::Waited;
use crate::http::response::pagination::number;
use crate::http::response::problem::ApiError;
use crate::protocol::close::CloseReason;
use crate::protocol::problem::ProblemCode;

use super::{PathRoom, follow, sign_in_ended};

/// Most bytes of events in one answer; as much as may wait for a socket by default.
const ANSWER_BYTES: usize = 256 * 1024;

/// How many events a client gets at most who does not say.
const DEFAULT_LIMIT: u32 = 100;

/// How many events an answer has at most: 1 to 500.
#[derive(Clone, Copy, Debug)]
struct Limit(u32);

impl FromText for Limit {
    const EXAMPLE: &'static str = "100";

    fn from_text(text: &str) -> Result<Self, String> {
        number(text, 1..=500).map(Self)
    }

    fn bounds() -> Option<Bounds> {
        Some(Bounds { least: 1, most: 500, default: DEFAULT_LIMIT })
    }
}

/// How long to wait for an event, seconds: 0 to 30, below what proxies allow an answer.
#[derive(Clone, Copy, Debug)]
struct Wait(u32);

impl FromText for Wait {
    const EXAMPLE: &'static str = "25";

    fn from_text(text: &str) -> Result<Self, String> {
        number(text, 0..=30).map(Self)
    }

    fn bounds() -> Option<Bounds> {
        Some(Bounds { least: 0, most: 30, default: 0 })
    }
}

/// Which events, and how long to wait for one.
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
    #[param(schema_with = schema_of::<Limit>)]
    limit: Option<Parsed<Limit>>,
    /// When there is no event, wait so long for one, seconds, 0 to 30; 0 unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<Wait>)]
    wait: Option<Parsed<Wait>>,
}

/// What happened in a room since the cursor.
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

/// Read what happened in a room since a cursor, waiting for it if you like.
#[utoipa::path(operation_id = "readEvents", tag = "rooms", security(("bearer" = [])),
    params(("room" = String, Path, description = "`business:biz_…` or `order:ord_…`"), PollQuery),
    responses(
        (status = 200, description = "The next events, or none in time", body = EventsView),
        (status = 429, description = "You hold too many sockets, streams and long polls"),
    ))]
#[get("/rooms/{room}/events")]
pub(super) async fn poll(
    who: SignedIn,
    room: PathRoom,
    query: Query<PollQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let PollQuery { cursor, limit, wait } = query.0;
    let limit = limit.map_or(DEFAULT_LIMIT, |limit| limit.into_inner().0);
    let wait = Duration::from_secs(wait.map_or(0, |wait| wait.into_inner().0).into());
    let portion = Portion { events: limit as usize, bytes: ANSWER_BYTES };
    let cursor = cursor.map(|cursor| cursor.into_inner().to_string());
    let caller = (who.principal, who.claims.expires_at);
    let (mut reader, _) = follow(&request, caller, room.0, cursor.as_deref()).await?;
    let began = Instant::now();
    let mut waited = Duration::ZERO;
    let step = loop {
        if let Some(step) = reader.ready(portion).await? {
            break Some(step);
        }
        let pause = Instant::now();
        let changed = timeout_at(began + wait, reader.changed()).await;
        waited += pause.elapsed();
        if changed.is_err() {
            break None;
        }
    };
    let body = match step {
        None => answer(&[], reader.position(), Given::Followed),
        Some(Step::Events(events)) => answer(&events, reader.position(), Given::Followed),
        Some(Step::Resync(head)) => answer(&[], head, Given::Lost),
        Some(Step::Ended(ending)) => match ending.reason {
            CloseReason::Restart => answer(&[], reader.position(), Given::Followed),
            CloseReason::SessionEnded => return Err(sign_in_ended()),
            CloseReason::TokenExpired => {
                return Err(ApiError::new(
                    ProblemCode::TokenExpired,
                    "Refresh the access token and try again.",
                ));
            }
            _ => return Err(ApiError::not_found()),
        },
    };
    let mut response = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body);
    response.extensions_mut().insert(Waited(waited));
    Ok(response)
}

/// What became of the cursor that was given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    Followed,
    Lost,
}

/// The events as they were encoded once for everybody.
fn answer(events: &[Published], cursor: Cursor, given: Given) -> Vec<u8> {
    let bytes: usize = events.iter().map(|event| event.event.frame().len() + 1).sum();
    let mut body = Vec::with_capacity(bytes + 80);
    body.extend_from_slice(br#"{"events":["#);
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&event.event.json());
    }
    let resync = given == Given::Lost;
    body.extend_from_slice(format!(r#"],"cursor":"{cursor}","resync":{resync}}}"#).as_bytes());
    body
}
