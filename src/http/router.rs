//! The route table and everything around it.

use actix_cors::Cors;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, HeaderName, HeaderValue};
use actix_web::http::{Method, header};
use actix_web::middleware::{Compress, Condition, from_fn};
use actix_web::{App, Error, HttpRequest, web};
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_actix_web::{AppExt, scope};

use crate::protocol::problem::ProblemCode;

use super::response::cache_status::CACHE_STATUS;
use super::middleware::rate_limit::{guard, is_for_operators};
use super::limits::{RATE_LIMIT, RATE_LIMIT_POLICY};
use super::middleware::request_log::{ForOperators, REQUEST_ID, observe};
use super::middleware::origin::{self, explain_refusals};
use super::response::problem::ApiError;
use super::settings::ServerSettings;
use super::sockets::WorkerGate;
use super::app_state::Api;
use super::routes::{
    accounts, admin, businesses, health, invitations, jobs, members, menu, notifications, orders, rooms, sessions,
    welcome,
};
use super::{idempotency, openapi, sockets};

/// How long a browser may remember what another site's page may send, seconds.
const CORS_MAX_AGE: usize = 3600;

/// The whole web application with its middleware, for one worker thread. Sockets by-pass it.
pub fn application(
    api: web::Data<Api>,
    gate: WorkerGate,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let cors = cors(&api.settings.server);
    let foreign_pages = !api.settings.server.allowed_origins.is_empty();
    let pages = api.settings.docs.enabled;
    App::new()
        .app_data(api)
        .app_data(gate)
        .into_utoipa_app()
        .configure(documented)
        .into_app()
        .configure(|config| {
            welcome::pages(config);
            if pages {
                openapi::pages(config);
            }
        })
        .default_service(web::to(elsewhere))
        .wrap(from_fn(guard))
        .wrap(Compress::default())
        .wrap(Condition::new(foreign_pages, cors))
        .wrap(from_fn(explain_refusals))
        .wrap(from_fn(observe))
}

/// What is for operators, for the listener of its own. Whoever reaches it may see how the hub is; what is done here takes
/// an operator's token. Pages of other sites have no business here.
pub fn operations(
    api: web::Data<Api>,
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
        .app_data(api)
        .app_data(ForOperators)
        .into_utoipa_app()
        .configure(health::routes)
        .service(scope("/api/v1").configure(administration))
        .into_app()
        .default_service(web::to(nowhere))
        .wrap(from_fn(guard))
        .wrap(Compress::default())
        .wrap(from_fn(observe))
}

/// Every route that is in the OpenAPI document.
pub(super) fn documented(config: &mut ServiceConfig) {
    health::routes(config);
    config.service(
        scope("/api/v1")
            .configure(accounts::routes)
            .configure(administration)
            .configure(businesses::routes)
            .configure(members::routes)
            .configure(invitations::routes)
            .configure(menu::routes)
            .configure(notifications::routes)
            .configure(orders::routes)
            .configure(rooms::routes)
            .configure(sessions::routes),
    );
}

/// Everything below `/api/v1/admin`: on the main listener, or else on that of the operators.
fn administration(config: &mut ServiceConfig) {
    admin::routes(config);
    jobs::routes(config);
}

/// The operators' own listener says nothing of the rest of the API, whatever the method.
async fn nowhere(request: HttpRequest) -> Result<&'static str, ApiError> {
    let path = request.path();
    if path.starts_with("/api/") && !is_for_operators(path) {
        return Err(ApiError::not_found());
    }
    elsewhere(request).await
}

/// What no route takes: a path that is none of ours, or a method that is not for this path.
async fn elsewhere(request: HttpRequest) -> Result<&'static str, ApiError> {
    if sockets::is_socket(request.path()) {
        // HEAD comes as GET.
        if request.method() == Method::GET {
            return Err(sockets::upgrade_missing());
        }
        return Err(ApiError::new(ProblemCode::MethodNotAllowed, "Sockets are opened by GET.")
            .with_header(ALLOW, HeaderValue::from_static("GET")));
    }
    let mut methods = openapi::methods_of(request.path());
    if methods.is_empty() {
        return Err(ApiError::not_found());
    }
    if methods.contains(&Method::GET) {
        methods.push(Method::HEAD);
    }
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let allow = HeaderValue::from_str(&names.join(", ")).expect("methods are header values");
    Err(ApiError::new(ProblemCode::MethodNotAllowed, "See Allow for those that are.")
        .with_header(ALLOW, allow))
}

/// What pages of other sites may do: only those of the allowed origins, and with a bearer token only, since there are
/// no cookies to ride on. So they may send any header: tracers and libraries add their own.
fn cors(settings: &ServerSettings) -> Cors {
    let allowed = settings.allowed_origins.clone();
    Cors::default()
        .allowed_origin_fn(move |origin, _| {
            origin.to_str().is_ok_and(|origin| origin::is_allowed(origin, &allowed))
        })
        .allowed_methods(origin::METHODS)
        .allow_any_header()
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            CACHE_STATUS,
            RATE_LIMIT,
            RATE_LIMIT_POLICY,
            HeaderName::from_static(idempotency::in_flight::REPLAYED),
            REQUEST_ID,
        ])
        .max_age(CORS_MAX_AGE)
}
