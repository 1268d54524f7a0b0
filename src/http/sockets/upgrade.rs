//! From an upgrade request to a session, or to a refusal with a problem body.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_codec::Framed;
use actix_http::body::{BodySize, BoxBody};
use actix_http::header::{self, HeaderMap, HeaderValue};
use actix_http::{ConnectionType, Request, RequestHead, Response, StatusCode, Version, h1, ws};
use actix_web::{ResponseError as _, web};
use bytes::Bytes;
use futures_util::SinkExt as _;
use serde::Deserialize;
use tracing::Instrument as _;

use crate::actors::session::{self, Opening, Reader, RoomAccess, Sessions, Switchboard, room_access};
use crate::auth::token::TicketClaims;
use crate::domain::access::Principal;
use crate::domain::address::AddressBlock;
use crate::domain::ids::UserId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::http::client;
use crate::http::connection::Connection;
use crate::http::head::own_headers;
use crate::http::limits::{Class, RATE_LIMIT, RATE_LIMIT_POLICY, Subject};
use crate::http::observe::{REQUEST_ID, RequestId, known_method};
use crate::http::problem::ApiError;
use crate::http::protection;
use crate::http::state::{Api, Deployment, Phase};
use crate::protocol::problem::ProblemCode;

use super::admission::{Admission, Permit, TooManySockets};

/// Every path that is a socket.
pub const PATTERNS: [&str; 2] = ["/ws/notifications/{business_id}", "/ws/orders/{order_id}"];

/// What opening sockets needs; one for the whole node.
#[derive(Clone)]
pub struct SocketGate {
    api: web::Data<Api>,
    sessions: Sessions,
    admission: Admission,
}

/// The gate of one worker thread.
#[derive(Clone)]
pub struct WorkerGate {
    gate: SocketGate,
    board: Rc<Switchboard>,
}

#[derive(Default, Deserialize)]
struct SocketQuery {
    ticket: Option<String>,
    token: Option<String>,
    cursor: Option<String>,
}

/// The route of a socket, as the metric names it.
struct Route {
    pattern: &'static str,
    /// `None` when the id in the path is no id.
    room: Option<RoomId>,
}

/// What somebody's credentials say.
struct Shown {
    principal: Principal,
    device: Option<Arc<str>>,
    token_expires_at: Timestamp,
    /// Was shown instead of a token, and is redeemed when everything else is in order.
    ticket: Option<TicketClaims>,
}

/// Everything checked; what is left is to switch protocols.
struct Admitted {
    opening: Opening,
    permit: Permit,
}

impl SocketGate {
    /// A gate to these sessions.
    pub fn new(api: web::Data<Api>, sessions: Sessions, admission: Admission) -> Self {
        Self { api, sessions, admission }
    }

    /// The gate of the thread this is called on.
    pub fn start_worker(self) -> WorkerGate {
        let board = self.sessions.start_worker();
        WorkerGate { gate: self, board }
    }
}

/// The answer to an upgrade request could not be written: the client is gone.
#[derive(Debug, thiserror::Error)]
#[error("an upgrade request could not be answered: {0}")]
pub struct UpgradeError(#[from] std::io::Error);

impl From<UpgradeError> for Response<BoxBody> {
    fn from(_: UpgradeError) -> Self {
        Self::internal_server_error()
    }
}

fn route(path: &str) -> Option<Route> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if let Some(id) = path.strip_prefix("/ws/notifications/") {
        let room = id.parse().ok().map(RoomId::Business);
        return Some(Route { pattern: PATTERNS[0], room });
    }
    let id = path.strip_prefix("/ws/orders/")?;
    Some(Route { pattern: PATTERNS[1], room: id.parse().ok().map(RoomId::Order) })
}

impl WorkerGate {
    /// Answers one upgrade request. Returns as soon as the session owns the socket.
    ///
    /// # Errors
    /// When the answer could not be written.
    pub async fn upgrade(
        self,
        (mut request, framed): (Request, Framed<Connection, h1::Codec>),
    ) -> Result<(), UpgradeError> {
        let began = Instant::now();
        own_headers(request.headers_mut());
        let id = RequestId::of(request.head().headers());
        let found = route(request.path());
        let pattern = found.as_ref().map_or("unmatched", |r| r.pattern);
        let address = request.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |peer| {
            client::address(peer.ip(), request.head().headers(), &self.gate.api.trusted_proxies)
        });
        let span = tracing::info_span!("upgrade", request_id = id.as_str(), path = request.path(), client = %address);
        let api = self.gate.api.clone();
        let admitted = self.gate.admit(&request, found, address).instrument(span.clone()).await;
        let status = match &admitted {
            Ok(_) => StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            Err(error) => error.code().status(),
        };
        let labels = [known_method(request.method()), pattern, &status.to_string()];
        api.metrics.http_requests_total.with_label_values(&labels).inc();
        span.in_scope(|| {
            tracing::info!(status, duration_ms = began.elapsed().as_millis() as u64, "upgrade request")
        });
        match admitted {
            Ok(admitted) => self.switch(&request, framed, admitted, &id).await,
            Err(error) => refuse(framed, &error, &id, api.deployment).await,
        }
    }

    async fn switch(
        self,
        request: &Request,
        mut framed: Framed<Connection, h1::Codec>,
        admitted: Admitted,
        id: &RequestId,
    ) -> Result<(), UpgradeError> {
        let mut answer = ws::handshake_response(request.head());
        answer.insert_header((REQUEST_ID, id.as_str()));
        protection::fields(self.gate.api.deployment, request.path()).for_each(|field| {
            answer.insert_header(field);
        });
        let answer = answer.finish().drop_body();
        framed.send(h1::Message::Item((answer, BodySize::None))).await?;
        let parts = framed.into_parts();
        let signed_in = admitted.opening.principal.session;
        let (stream, behind) = parts.io.into_socket();
        // A copy, mostly of nothing: frozen, the request's 8 KiB buffer would live as long as the socket.
        let early = Bytes::from([&parts.read_buf[..], &behind[..]].concat());
        session::open(&self.board, stream, early, admitted.opening, admitted.permit);
        // A sign-in that ended between the look at its token and here has told only the sockets that were there.
        if self.gate.api.revocations.contains(signed_in) {
            self.gate.sessions.end_session(signed_in);
        }
        Ok(())
    }
}

impl WorkerGate {
    /// A reader for a long poll or an event stream; it takes a place like a socket.
    ///
    /// # Errors
    /// 429 when the user or the address holds as many as it may.
    pub fn reader(
        &self,
        who: Principal,
        token_expires_at: Timestamp,
        address: AddressBlock,
    ) -> Result<Reader, ApiError> {
        let permit = self.gate.place(who.user, address)?;
        Ok(Reader::new(&self.board, who, token_expires_at, permit))
    }
}

impl SocketGate {
    fn place(&self, user: UserId, address: AddressBlock) -> Result<Permit, ApiError> {
        self.admission.admit(user, address).map_err(|refusal| {
            let (policy, most) = match refusal {
                TooManySockets::OfUser(most) => {
                    // Those of devices that vanished make room for the ones they come back with.
                    self.sessions.probe(user);
                    ("sockets-user", most)
                }
                TooManySockets::OfAddress(most) => ("sockets-address", most),
            };
            let wait = self.sessions.probe_time();
            let field =
                |text: String| HeaderValue::from_str(&text).expect("words and digits are a header value");
            ApiError::new(ProblemCode::TooManyRequests, "Close a socket or stream before you open another.")
                .retry_after(wait)
                .with_header(RATE_LIMIT, field(format!("\"{policy}\";r=0;t={}", wait.as_secs())))
                .with_header(
                    RATE_LIMIT_POLICY,
                    field(format!("\"{policy}\";q={most};qu=\"concurrent-requests\"")),
                )
        })
    }

    /// What is refused is not free, or it would be the one thing without a limit.
    async fn admit(
        &self,
        request: &Request,
        route: Option<Route>,
        address: IpAddr,
    ) -> Result<Admitted, ApiError> {
        let admitted = self.check(request, route, address).await;
        if let Err(error) = &admitted
            && !matches!(error.code().status(), 429 | 503)
        {
            self.api.spend(Class::Public, Subject::Address(AddressBlock::of(address))).await?;
        }
        admitted
    }

    async fn check(
        &self,
        request: &Request,
        route: Option<Route>,
        address: IpAddr,
    ) -> Result<Admitted, ApiError> {
        self.api.check_host(request.head())?;
        let route = route.ok_or_else(ApiError::not_found)?;
        check_handshake(request.head())?;
        if self.api.readiness.get() != Phase::Ready {
            return Err(unavailable());
        }
        self.api.check_origin(request.head())?;
        let query = web::Query::<SocketQuery>::from_query(request.uri().query().unwrap_or_default())
            .map_err(|_| {
                ApiError::new(ProblemCode::Malformed, "The query of the address could not be read.")
            })?
            .into_inner();
        let block = AddressBlock::of(address);
        let denied = |error: &ApiError| {
            if error.code().status() == 401 {
                self.api.denied(Subject::Address(block));
            }
        };
        let Shown { principal, device, token_expires_at, ticket } =
            self.credentials(request.head().headers(), &query).inspect_err(denied)?;
        self.api.spend(Class::Api, principal.into()).await?;
        let permit = self.place(principal.user, block)?;
        let room = match route.room {
            None => None,
            Some(room) => match room_access(&self.api.reads, principal, room).await? {
                RoomAccess::Granted => Some(room),
                RoomAccess::NoSuchRoom => None,
            },
        };
        // Last: who is refused before with 429 or 503 comes again with the same ticket.
        if let Some(ticket) = ticket {
            self.api.redeem_ticket(&ticket).await.inspect_err(denied)?;
        }
        Ok(Admitted {
            opening: Opening { principal, token_expires_at, device, room, cursor: query.cursor },
            permit,
        })
    }

    /// Who asks, by header, one-time ticket or token in the address, in this order.
    fn credentials(&self, headers: &HeaderMap, query: &SocketQuery) -> Result<Shown, ApiError> {
        let now = Timestamp::now();
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        match (bearer, &query.ticket, &query.token) {
            (Some(token), _, _) => self.access_token(token, now),
            (None, Some(ticket), _) => {
                let claims = self.api.ticket_claims(ticket, now)?;
                self.api.activity.seen(claims.principal.session, now);
                Ok(Shown {
                    principal: claims.principal,
                    device: claims.device.clone(),
                    token_expires_at: claims.access_expires_at,
                    ticket: Some(claims),
                })
            }
            (None, None, Some(token)) => self.access_token(token, now),
            (None, None, None) => Err(ApiError::new(
                ProblemCode::Unauthenticated,
                "Send a token as Authorization: Bearer, or a one-time ?ticket= from POST /api/v1/auth/ticket.",
            )),
        }
    }

    fn access_token(&self, token: &str, now: Timestamp) -> Result<Shown, ApiError> {
        let claims = self.api.access_claims(token, now)?;
        self.api.activity.used(&claims, now);
        Ok(Shown {
            principal: claims.principal,
            device: claims.device,
            token_expires_at: claims.expires_at,
            ticket: None,
        })
    }
}

/// The version of the protocol of sockets, the only one there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// Whether a path is an address of sockets.
pub(in crate::http) fn is_socket(path: &str) -> bool {
    route(path).is_some()
}

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

/// What a handshake has to be (RFC 6455 §4.2.1 and §11.3).
fn check_handshake(head: &RequestHead) -> Result<(), ApiError> {
    if head.version < Version::HTTP_11 {
        // Most often a proxy's: nginx speaks HTTP/1.0 to what is behind it unless it is told `proxy_http_version 1.1`.
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
        // A browser takes an answer that chooses none for a failure, without a word of why.
        return Err(ApiError::new(
            ProblemCode::Malformed,
            "There are no subprotocols here: offer none (no Sec-WebSocket-Protocol; in a browser, no second argument of \
             WebSocket). Credentials go into Authorization or ?ticket=.",
        ));
    }
    Ok(())
}

fn unavailable() -> ApiError {
    ApiError::new(ProblemCode::Unavailable, "This node takes no sockets now.")
        .retry_after(Duration::from_secs(1))
}

async fn refuse(
    mut framed: Framed<Connection, h1::Codec>,
    error: &ApiError,
    id: &RequestId,
    deployment: Deployment,
) -> Result<(), UpgradeError> {
    let mut problem = error.problem().clone();
    id.as_str().clone_into(&mut problem.request_id);
    let body = Bytes::from(serde_json::to_vec(&problem).expect("a problem is made of texts and numbers"));
    let refusal = error.error_response();
    let mut answer = Response::build(refusal.status());
    for (name, value) in refusal.headers() {
        answer.insert_header((name.clone(), value.clone()));
    }
    answer.insert_header((REQUEST_ID, id.as_str()));
    // Sockets are nowhere near the documentation, the only place with rules of its own.
    protection::fields(deployment, "").for_each(|field| {
        answer.insert_header(field);
    });
    let mut answer = answer.finish().drop_body();
    answer.head_mut().set_connection_type(ConnectionType::Close);
    framed.feed(h1::Message::Item((answer, BodySize::Sized(body.len() as u64)))).await?;
    framed.feed(h1::Message::Chunk(Some(body))).await?;
    framed.feed(h1::Message::Chunk(None)).await?;
    framed.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_paths_are_sockets() {
        let business = crate::domain::ids::BusinessId::generate();
        let order = crate::domain::ids::OrderId::generate();
        let room = |path: &str| route(path).map(|r| r.room);
        assert_eq!(room(&format!("/ws/notifications/{business}")), Some(Some(RoomId::Business(business))));
        assert_eq!(room(&format!("/ws/orders/{order}/")), Some(Some(RoomId::Order(order))));
        assert_eq!(room("/ws/orders/nonsense"), Some(None));
        assert_eq!(room(&format!("/ws/notifications/{business}/x")), Some(None));
        assert_eq!(room("/ws/elsewhere"), None);
        assert_eq!(room("/api/v1/orders"), None);
    }
}
