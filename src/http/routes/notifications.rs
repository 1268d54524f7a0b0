//! Notifications of a business.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::event::{Notification, Priority};
use crate::domain::ids::{BusinessId, NotificationId};
use crate::domain::json::JsonObject;
use crate::domain::time::Timestamp;

use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::Merchants;
use crate::http::extractors::path_id::{PathId, path_text};
use crate::http::extractors::signed_in::SignedIn;
use crate::http::idempotency::request::{Executed, KeyCheck, PreparedResponse, check_key, execute};
use crate::http::input::{Body, Parsed, Query, rules, schema_of};
use crate::http::response::pagination::PageSize;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, KIB, Mount, RouteFacts};

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount.endpoint(post_one).endpoint(list).endpoint(read);
}

/// A notification to be stored and shown on every device of the business.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "type": "STOCK_LOW", "title": "Running out of custard", "message": "About 20 portions are left.",
    "data": {"left": 20}, "priority": "HIGH"
}))]
pub struct NewNotification {
    /// A word programs act on.
    #[garde(custom(rules::word))]
    #[serde(rename = "type")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_.-]+$", example = "STOCK_LOW")]
    kind: String,
    /// One line.
    #[garde(custom(rules::line::<200>))]
    #[schema(min_length = 1, max_length = 200, example = "Running out of custard")]
    title: String,
    /// The text; new lines are fine.
    #[garde(custom(rules::block::<2000>))]
    #[schema(min_length = 1, max_length = 2000, example = "About 20 portions are left.")]
    message: String,
    /// Data for programs: an object of at most 4096 bytes and 32 levels.
    #[garde(inner(custom(rules::data)))]
    #[schema(value_type = Option<Object>, example = json!({"left": 20}))]
    data: Option<JsonObject>,
    /// `NORMAL` unless given.
    #[garde(dive)]
    #[schema(schema_with = schema_of::<Priority>)]
    priority: Option<Parsed<Priority>>,
}

/// A stored notification.
#[derive(Serialize, ToSchema)]
pub struct NotificationView {
    /// `ntf_…`
    #[schema(example = "ntf_0190f3c1a2b37d4e8f00112233445566")]
    id: String,
    /// `biz_…`
    business_id: String,
    /// A word programs act on.
    #[serde(rename = "type")]
    #[schema(example = "NEW_ORDER")]
    kind: String,
    /// One line.
    title: String,
    /// The text.
    message: String,
    /// Data for programs.
    #[schema(value_type = Object)]
    data: JsonObject,
    /// `LOW`, `NORMAL` or `HIGH`.
    #[schema(example = "HIGH")]
    priority: &'static str,
    /// RFC 3339.
    created_at: String,
    /// The time you read it, RFC 3339; `null` while you have not. Every member has marks of their own.
    read_at: Option<String>,
}

impl From<Notification> for NotificationView {
    fn from(n: Notification) -> Self {
        Self {
            id: n.id.to_string(),
            business_id: n.business_id.to_string(),
            kind: n.kind,
            title: n.title,
            message: n.message,
            data: n.data,
            priority: n.priority.as_str(),
            created_at: n.created_at.to_rfc3339(),
            read_at: None,
        }
    }
}

/// Post a notification to a business you are a member of.
///
/// With an idempotency key the request may be repeated for 24 hours and happens once.
#[utoipa::path(operation_id = "postNotification", tag = "notifications", request_body = NewNotification,
    params(
        ("id" = String, Path, description = "`biz_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters"),
    ),
    responses(
        (status = 201, description = "Stored, and on its way to every device", body = NotificationView,
         headers(("Idempotency-Replayed" = bool, description = "`true` when the answer was given before"))),
        (status = 409, description = "`request_in_flight`"),
    ))]
#[post("/businesses/{id}/notifications")]
async fn post_one(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    request: HttpRequest,
    body: Body<NewNotification>,
) -> Result<HttpResponse, ApiError> {
    authorization::membership(&app, who.principal, id.0).await?;
    let route = format!("POST /businesses/{}/notifications", id.0);
    let keyed = match check_key(&app, who.principal, &request, &route, &body.0).await? {
        KeyCheck::New(keyed) => keyed,
        KeyCheck::Repetition(answer) => return Ok(answer.repeat(None)),
    };
    let NewNotification { kind, title, message, data, priority } = body.0;
    let notification = Notification {
        id: NotificationId::generate(),
        business_id: id.0,
        kind,
        title,
        message,
        data: data.unwrap_or_default(),
        priority: priority.map_or(Priority::Normal, Parsed::into_inner),
        created_at: Timestamp::now(),
    };
    let answer = PreparedResponse::new(StatusCode::CREATED, &NotificationView::from(notification.clone()));
    Ok(match execute(&app, keyed, Box::new(notification), answer).await? {
        Executed::Now((), answer) => answer.respond(None),
        Executed::Before(answer) => answer.repeat(None),
    })
}

impl Endpoint for post_one {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>().body_limit(32 * KIB);
}

/// The notifications that a list shows.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NotificationFilter {
    /// At most so many, 1 to 50; 20 unless given.
    #[garde(dive)]
    #[param(schema_with = schema_of::<PageSize>)]
    limit: Option<Parsed<PageSize>>,
    /// Only those older than this one: the `next_before` of the page before.
    #[garde(dive)]
    #[param(schema_with = schema_of::<NotificationId>)]
    before: Option<Parsed<NotificationId>>,
}

/// A page of notifications.
#[derive(Serialize, ToSchema)]
pub struct NotificationsView {
    /// Newest first.
    items: Vec<NotificationView>,
    /// The most entries of the page.
    limit: u32,
    /// Whether more follow.
    has_more: bool,
    /// For the next page.
    next_before: Option<String>,
}

/// List the notifications of a business you are a member of, newest first.
#[utoipa::path(operation_id = "listNotifications", tag = "notifications",
    params(("id" = String, Path, description = "`biz_…`"), NotificationFilter),
    responses((status = 200, description = "A page", body = NotificationsView)))]
#[get("/businesses/{id}/notifications")]
async fn list(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    query: Query<NotificationFilter>,
) -> Result<HttpResponse, ApiError> {
    authorization::membership(&app, who.principal, id.0).await?;
    let limit = query.0.limit.map_or(PageSize::DEFAULT, Parsed::into_inner).get();
    let before = query.0.before.map(Parsed::into_inner);
    let mut found = app.store.notifications(id.0, before, limit + 1).await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_before = found.last().filter(|_| has_more).map(|last| last.id.to_string());
    let ids: Vec<NotificationId> = found.iter().map(|notification| notification.id).collect();
    let reads: HashMap<NotificationId, Timestamp> =
        app.store.notification_reads(who.principal.user, &ids).await?.into_iter().collect();
    let view = |notification: Notification| {
        let read_at = reads.get(&notification.id).map(|at| at.to_rfc3339());
        NotificationView { read_at, ..NotificationView::from(notification) }
    };
    let items = found.into_iter().map(view).collect();
    Ok(HttpResponse::Ok().json(NotificationsView { items, limit, has_more, next_before }))
}

impl Endpoint for list {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}

/// The time since which a notification is read.
#[derive(Serialize, ToSchema)]
pub struct ReadView {
    /// The time you first marked it as read; RFC 3339.
    read_at: String,
}

/// Mark a notification as read. Repeated, it changes nothing.
#[utoipa::path(operation_id = "readNotification", tag = "notifications",
    params(
        ("id" = String, Path, description = "`biz_…`"),
        ("notification" = String, Path, description = "`ntf_…`"),
    ),
    responses((status = 200, description = "Read by you, not by others", body = ReadView)))]
#[post("/businesses/{id}/notifications/{notification}/read")]
async fn read(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    authorization::membership(&app, who.principal, id.0).await?;
    let notification: NotificationId =
        path_text(&request, "notification")?.parse().map_err(|_| ApiError::not_found())?;
    let read = app.persistence.read_notification(id.0, notification, who.principal.user).await?;
    let read_at = read.ok_or_else(ApiError::not_found)?.to_rfc3339();
    Ok(HttpResponse::Ok().json(ReadView { read_at }))
}

impl Endpoint for read {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}
