//! The ports of a hub.

use std::net::SocketAddr;

use crate::config::Settings;
use crate::http::server::Listening;

use super::errors::StartError;

/// Binds the port, and the one of the operators' routes if there is one.
pub(super) fn listen(settings: &Settings) -> Result<(Listening, Option<Listening>), StartError> {
    let bind = |address| Listening::bind(address).map_err(|cause| StartError::Listen { address, cause });
    let server = &settings.http.server;
    let listening = bind(SocketAddr::new(server.host, server.port))?;
    Ok((listening, settings.http.ops.address().map(bind).transpose()?))
}
