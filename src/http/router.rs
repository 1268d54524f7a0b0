//! The applications of the two listeners: routes with their middleware and fallbacks.

use std::sync::LazyLock;

use actix_cors::Cors;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::http::{Method, header};
use actix_web::middleware::{Compress, Condition, from_fn};
use actix_web::{App, Error, HttpRequest, web};
use utoipa_actix_web::{AppExt, scope};

use crate::protocol::problem::ProblemCode;

use super::app_state::AppState;
use super::idempotency::key::REPLAYED;
use super::limits::{RATE_LIMIT, RATE_LIMIT_POLICY};
use super::middleware::compression::choose_compression;
use super::middleware::exposure::OpsListener;
use super::middleware::origin;
use super::middleware::origin_check::{self, explain_refusals};
use super::middleware::rate_limit::limit_rate;
use super::middleware::request_id::REQUEST_ID;
use super::middleware::request_log::log_request;
use super::response::cache_status::CACHE_STATUS;
use super::response::problem::ApiError;
use super::route_table::RouteTable;
use super::routes::{self, API, health, welcome};
use super::settings::ServerSettings;
use super::sockets::WorkerUpgrader;
use super::{openapi, sockets};

/// Time for which a browser may remember what another site's page may send, seconds.
const CORS_MAX_AGE: usize = 3600;

/// The facts of the routes of the operators' own listener.
static OPERATIONS: LazyLock<RouteTable> = LazyLock::new(|| {
    let mut table = RouteTable::default();
    health::routes(&mut table);
    table.below(API, routes::administration);
    table
});

/// The whole web application with its middleware, for one worker thread. Sockets by-pass it.
pub fn application(
    app: web::Data<AppState>,
    upgrader: WorkerUpgrader,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let cors = cors(&app.settings.server);
    let foreign_pages = !app.settings.server.allowed_origins.is_empty();
    let pages = app.settings.docs.enabled;
    App::new()
        .app_data(app)
        .app_data(upgrader)
        .app_data(&*routes::TABLE)
        .into_utoipa_app()
        .configure(routes::documented)
        .into_app()
        .configure(|config| {
            welcome::pages(config);
            if pages {
                openapi::pages(config);
            }
        })
        .default_service(web::to(fallback))
        .wrap(from_fn(limit_rate))
        .wrap(from_fn(choose_compression))
        .wrap(Compress::default())
        .wrap(Condition::new(foreign_pages, cors))
        .wrap(from_fn(explain_refusals))
        .wrap(from_fn(log_request))
}

/// The application of the operators' own listener. Everybody who reaches it may see how the hub is; administration takes
/// an operator's token. Pages of other sites may not call it.
pub fn operations(
    app: web::Data<AppState>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(app)
        .app_data(OpsListener)
        .app_data(&*OPERATIONS)
        .into_utoipa_app()
        .configure(|config| health::routes(config))
        .service(scope(API).configure(|config| routes::administration(config)))
        .into_app()
        .default_service(web::to(fallback))
        .wrap(from_fn(limit_rate))
        .wrap(from_fn(choose_compression))
        .wrap(Compress::default())
        .wrap(from_fn(log_request))
}

/// The answer to a request that no route takes: 405 for a method that is not for this path, else 404.
async fn fallback(request: HttpRequest) -> Result<&'static str, ApiError> {
    if sockets::is_socket(request.path()) {
        // HEAD comes as GET.
        if request.method() == Method::GET {
            return Err(sockets::upgrade_missing());
        }
        return Err(ApiError::new(ProblemCode::MethodNotAllowed, "Sockets are opened by GET.")
            .with_header(ALLOW, HeaderValue::from_static("GET")));
    }
    let table =
        request.app_data::<&'static RouteTable>().expect("the routes are mounted together with their table");
    let routes = table.find(request.path()).ok_or_else(ApiError::not_found)?;
    let mut methods: Vec<&str> = routes.methods().map(Method::as_str).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    let allow = HeaderValue::from_str(&methods.join(", ")).expect("methods are header values");
    Err(ApiError::new(ProblemCode::MethodNotAllowed, "See Allow for those that are.")
        .with_header(ALLOW, allow))
}

/// The rights of other sites' pages: only those of the allowed origins, and with a bearer token only, since there are no
/// cookies to ride on. So they may send any header: tracers and libraries add their own.
fn cors(settings: &ServerSettings) -> Cors {
    let allowed = settings.allowed_origins.clone();
    Cors::default()
        .allowed_origin_fn(move |origin, _| {
            origin.to_str().is_ok_and(|origin| origin::is_allowed(origin, &allowed))
        })
        .allowed_methods(origin_check::METHODS)
        .allow_any_header()
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            CACHE_STATUS,
            RATE_LIMIT,
            RATE_LIMIT_POLICY,
            REPLAYED,
            REQUEST_ID,
        ])
        .max_age(CORS_MAX_AGE)
}
