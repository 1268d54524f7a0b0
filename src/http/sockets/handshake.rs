//! The WebSocket handshake, and refusals of requests that are none (RFC 6455 §4.2.1 and §11.3).

use actix_http::header::{self, HeaderValue};
use actix_http::{RequestHead, Version, ws};

use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

/// The only version of the WebSocket protocol.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// The answer to a request for a socket that does not ask for one, or for none of this version. The web server adds
/// `Connection: Upgrade`.
fn upgrade_required(detail: &str) -> ApiError {
    ApiError::new(ProblemCode::UpgradeRequired, detail)
        .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
        .with_header(header::SEC_WEBSOCKET_VERSION, VERSION)
}

/// The refusal of an ordinary request to an address of sockets.
pub(in crate::http) fn upgrade_missing() -> ApiError {
    upgrade_required(
        "This address is for WebSockets, and the request does not ask for one. A proxy in between has to pass the upgrade on \
         (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";).",
    )
}

/// Checks the head of a handshake.
///
/// # Errors
/// 400 or 426 that name what is wrong.
pub(super) fn check_handshake(head: &RequestHead) -> Result<(), ApiError> {
    if head.version < Version::HTTP_11 {
        // Most often a proxy's fault: nginx speaks HTTP/1.0 to what is behind it unless it is told `proxy_http_version 1.1`.
        return Err(upgrade_required(
            "Sockets need HTTP/1.1. A proxy in between has to speak it too (nginx: proxy_http_version 1.1).",
        ));
    }
    for name in [header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_VERSION] {
        if head.headers().get_all(&name).count() > 1 {
            return Err(ApiError::new(ProblemCode::Malformed, format!("A handshake has one {name}.")));
        }
    }
    ws::verify_handshake(head).map_err(|error| match error {
        ws::HandshakeError::UnsupportedVersion | ws::HandshakeError::NoVersionHeader => {
            upgrade_required("Sockets are of version 13: send Sec-WebSocket-Version: 13.")
        }
        error => ApiError::new(ProblemCode::Malformed, format!("This is no WebSocket handshake: {error}.")),
    })?;
    if head.headers().contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        // A browser treats an answer that chooses none as a failure and does not say why.
        return Err(ApiError::new(
            ProblemCode::Malformed,
            "There are no subprotocols here: offer none (no Sec-WebSocket-Protocol; in a browser, no second argument of \
             WebSocket). Credentials go into Authorization or ?ticket=.",
        ));
    }
    Ok(())
}
