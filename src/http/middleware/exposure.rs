//! Hiding of operators' routes from everybody else.

use std::net::IpAddr;

use actix_web::HttpMessage as _;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderMap;

use crate::http::app_state::AppState;
use crate::http::deployment::Deployment;
use crate::http::route_table::Exposure;

use super::client_address::{self, ClientAddress};

/// Marks the application of the operators' own listener, which Prometheus asks by address and not by name.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct OpsListener;

/// Whether a request is answered as though there were no such route, whoever asks.
pub(super) fn is_hidden(app: &AppState, exposure: Exposure, request: &ServiceRequest) -> bool {
    if exposure == Exposure::Public || request.app_data::<OpsListener>().is_some() {
        return false;
    }
    if app.settings.ops.address().is_some() {
        return true;
    }
    let client = request.extensions().get::<ClientAddress>().map(|client| client.0);
    exposure == Exposure::OperatorsNetwork
        && !client.is_some_and(|client| is_inside(app, client, request.headers()))
}

/// Whether a client may see what asks for no token.
fn is_inside(app: &AppState, client: IpAddr, headers: &HeaderMap) -> bool {
    // A proxy on this machine that is not trusted speaks for the whole world.
    let from_here = client.is_loopback() && !client_address::is_forwarded(headers);
    app.deployment != Deployment::Production
        || from_here
        || client_address::is_trusted(client, &app.ops_networks)
}
