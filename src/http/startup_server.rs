//! The server of the port while the hub waits for its database. It answers that the process lives and is not ready, so
//! that supervisors let it wait and load balancers send nothing.
#![expect(
    clippy::disallowed_methods,
    reason = "this file reads the clock, draws new ids and owns the tasks that it starts"
)]

use std::io;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_server::{Server, ServerHandle};
use actix_service::map_config;
use actix_web::dev::AppConfig;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use actix_web::{App, HttpRequest, HttpResponse, web};
use serde_json::json;
use uuid::Uuid;

use crate::domain::time::Timestamp;
use crate::protocol::problem::{Problem, ProblemCode};

use super::deployment::Deployment;
use super::middleware::security_headers;
use super::response::problem::{PROBLEM_JSON, to_body};
use super::server::Listening;

/// Longest time a request may take to arrive.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);

/// Time after which a client may ask again, seconds.
const RETRY_AFTER_S: &str = "2";

/// A server on the hub's port for the time of its start.
pub struct StartupServer {
    handle: ServerHandle,
    server: actix_web::rt::task::JoinHandle<io::Result<()>>,
}

impl StartupServer {
    /// Starts answering on the listener, which the hub takes over later. Must be called inside an actix system.
    ///
    /// # Errors
    /// When the listener cannot be shared.
    pub fn begin(listening: &Listening, deployment: Deployment) -> io::Result<Self> {
        let server = Server::build()
            .workers(1)
            .disable_signals()
            .listen("bellhop-starting", listening.shared()?, move || {
                let app = App::new().default_service(web::to(move |request: HttpRequest| async move {
                    answer(&request, deployment)
                }));
                HttpService::build()
                    .keep_alive(KeepAlive::Disabled)
                    .client_request_timeout(REQUEST_WITHIN)
                    .client_disconnect_timeout(REQUEST_WITHIN)
                    .finish(map_config(app, |()| AppConfig::default()))
                    .tcp()
            })?
            .run();
        let handle = server.handle();
        Ok(Self { handle, server: actix_web::rt::spawn(server) })
    }

    /// Answers the requests under way and leaves the port to the hub.
    pub async fn end(self) {
        self.handle.stop(true).await;
        // It was told to end, and there is nobody to tell of an error.
        let _ = self.server.await;
    }
}

fn answer(request: &HttpRequest, deployment: Deployment) -> HttpResponse {
    let path = request.path();
    let mut response = match path.trim_end_matches('/') {
        "/health" => {
            HttpResponse::Ok().json(json!({"status": "healthy", "timestamp": Timestamp::now().to_rfc3339()}))
        }
        "/health/live" => HttpResponse::Ok().json(json!({"status": "alive"})),
        "/health/ready" => HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE)
            .json(json!({"status": "not_ready", "database": "unhealthy", "redis": "not_configured"})),
        _ => {
            let detail = "The hub is starting and waits for its database; nothing happened.";
            let mut problem = Problem::new(ProblemCode::Unavailable, detail);
            problem.request_id = Uuid::now_v7().to_string();
            HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE)
                .insert_header((RETRY_AFTER, RETRY_AFTER_S))
                .insert_header((CONTENT_TYPE, PROBLEM_JSON))
                .body(to_body(&problem))
        }
    };
    let headers = response.headers_mut();
    security_headers::fields(deployment, path).for_each(|(name, value)| drop(headers.insert(name, value)));
    headers.insert(CONNECTION, actix_web::http::header::HeaderValue::from_static("close"));
    response
}
