//! The bare address, which shows that a hub is here, its state and its links. People get a page, programs get JSON.

use actix_web::http::header::{ACCEPT, CACHE_CONTROL, LOCATION, VARY};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::http::app_state::AppState;
use crate::http::deployment::Deployment;
use crate::http::response::problem::ApiError;

const STYLE: &str = include_str!("welcome/style.css");
const ICON: &str = include_str!("welcome/icon.svg");

/// Time for which browsers keep the parts of the page, seconds.
const KEPT: &str = "max-age=3600";

/// Mounts the page and what belongs to it.
pub(in crate::http) fn pages(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(welcome))
        .route("/console", web::get().to(console))
        .route("/admin", web::get().to(admin))
        .route("/style.css", web::get().to(|| kept("text/css; charset=utf-8", STYLE)))
        .route("/favicon.ico", web::get().to(|| kept("image/svg+xml", ICON)));
}

/// The answer to programs.
#[derive(Serialize)]
struct Welcome {
    name: &'static str,
    version: &'static str,
    status: &'static str,
    links: Vec<&'static str>,
}

async fn welcome(app: web::Data<AppState>, request: HttpRequest) -> HttpResponse {
    let status = app.readiness.get().as_str();
    let links = links(&app);
    if !wants_page(&request) {
        let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let links = links.into_iter().map(|(link, _)| link).collect();
        return HttpResponse::Ok().insert_header((VARY, "Accept")).json(Welcome {
            name,
            version,
            status,
            links,
        });
    }
    let items: String = links
        .iter()
        .map(|(link, about)| format!("<li><a href=\"{link}\">{link}</a> {about}</li>\n"))
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    let state = if status == "ready" { "is ready" } else { "takes no new work now" };
    page(&format!(
        "<p>Version {version} {state}.</p>\n<ul>\n{items}</ul>\n<p>The web console is not there yet.</p>\n"
    ))
}

/// The links that the caller may see here.
fn links(app: &AppState) -> Vec<(&'static str, &'static str)> {
    let mut links = Vec::new();
    if app.settings.docs.enabled {
        links.push(("/docs/", "every route, to try"));
        links.push(("/openapi.json", "the same for programs"));
    }
    links.push(("/health/ready", "whether new work should come here"));
    if app.deployment == Deployment::NonProduction && app.settings.ops.address().is_none() {
        links.push(("/health/detailed", "how each part is"));
        links.push(("/metrics", "figures for Prometheus"));
    }
    links
}

/// Operators' routes are part of the API; a page for them will be at `/console`.
async fn admin() -> HttpResponse {
    HttpResponse::TemporaryRedirect().insert_header((LOCATION, "/console")).finish()
}

async fn console(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    if !wants_page(&request) {
        return Err(ApiError::not_found());
    }
    let text = "<p>The web console is not there yet. What operators do is below <code>/api/v1/admin</code>, described in \
                <a href=\"/docs/\">/docs/</a>.</p>\n";
    Ok(page(text))
}

/// Whether a browser asks, and not a program that takes anything.
fn wants_page(request: &HttpRequest) -> bool {
    request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

fn page(body: &str) -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").insert_header((VARY, "Accept")).body(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Bellhop</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<link rel=\"icon\" href=\"/favicon.ico\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n<h1>Bellhop</h1>\n{body}</body>\n</html>\n"
    ))
}

async fn kept(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type(kind).insert_header((CACHE_CONTROL, KEPT)).body(text)
}
