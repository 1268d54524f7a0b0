//! Upgrade requests: each becomes a session, or a refusal with a problem body.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_codec::Framed;
use actix_http::body::{BodySize, BoxBody};
use actix_http::header::HeaderValue;
use actix_http::{Request, Response, StatusCode, h1, ws};
use actix_web::web;
use bytes::Bytes;
use futures_util::SinkExt as _;
use tracing::Instrument as _;

use crate::actors::reader::Reader;
use crate::actors::session::{self, ConnectParams, Sessions};
use crate::actors::worker::Worker;
use crate::auth::authorization::{RoomAccess, room_access};
use crate::domain::access::{Principal, Role};
use crate::domain::address::AddressBlock;
use crate::domain::ids::UserId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::http::app_state::AppState;
use crate::http::authorization::check_approval;
use crate::http::connection::Connection;
use crate::http::extractors::credentials::redeem_ticket;
use crate::http::limits::consume::consume;
use crate::http::limits::{QuotaSubject, RATE_LIMIT, RATE_LIMIT_POLICY, RateClass};
use crate::http::middleware::client_address;
use crate::http::middleware::header_memory::own_headers;
use crate::http::middleware::origin_check::check_origin;
use crate::http::middleware::request_id::{REQUEST_ID, RequestId};
use crate::http::middleware::request_log::known_method;
use crate::http::middleware::security_headers;
use crate::http::middleware::trusted_hosts::check_host;
use crate::http::readiness::Phase;
use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

use super::admission::{Admission, Permit, TooManySockets};
use super::credentials::{Credentials, SocketQuery};
use super::handshake::check_handshake;
use super::path::{PathRoom, SocketPath, socket_path};
use super::refusal::refuse;

/// The parts that upgrades need; one for the whole node.
#[derive(Clone)]
pub struct Upgrader {
    app: web::Data<AppState>,
    sessions: Sessions,
    admission: Admission,
}

/// The upgrader of one worker thread.
#[derive(Clone)]
pub struct WorkerUpgrader {
    upgrader: Upgrader,
    worker: Rc<Worker>,
}

/// An upgrade that passed every check and waits for the switch of protocols.
struct Admitted {
    params: ConnectParams,
    permit: Permit,
}

impl Upgrader {
    /// An upgrader to these sessions.
    pub fn new(app: web::Data<AppState>, sessions: Sessions, admission: Admission) -> Self {
        Self { app, sessions, admission }
    }

    /// The upgrader of the thread this is called on.
    pub fn start_worker(self) -> WorkerUpgrader {
        let worker = self.sessions.start_worker();
        WorkerUpgrader { upgrader: self, worker }
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

impl WorkerUpgrader {
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
        let found = socket_path(request.path());
        let pattern = found.as_ref().map_or("unmatched", |r| r.pattern);
        let address = request.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |peer| {
            client_address::address(peer.ip(), request.head().headers(), &self.upgrader.app.trusted_proxies)
        });
        let span = tracing::info_span!("upgrade", request_id = id.as_str(), path = request.path(), client = %address);
        let app = self.upgrader.app.clone();
        let admitted = self.upgrader.admit(&request, found, address).instrument(span.clone()).await;
        let status = match &admitted {
            Ok(_) => StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            Err(error) => error.code().status(),
        };
        let labels = [known_method(request.method()), pattern, &status.to_string()];
        app.metrics.http_requests_total.with_label_values(&labels).inc();
        span.in_scope(|| {
            tracing::info!(status, duration_ms = began.elapsed().as_millis() as u64, "upgrade request")
        });
        match admitted {
            Ok(admitted) => self.switch(&request, framed, admitted, &id).await,
            Err(error) => Ok(refuse(framed, &error, &id, app.deployment).await?),
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
        security_headers::fields(self.upgrader.app.deployment, request.path()).for_each(|field| {
            answer.insert_header(field);
        });
        let answer = answer.finish().drop_body();
        framed.send(h1::Message::Item((answer, BodySize::None))).await?;
        let parts = framed.into_parts();
        let signed_in = admitted.params.principal.session;
        let (stream, behind) = parts.io.into_socket();
        // A copy, mostly of nothing: frozen, the request's 8 KiB buffer would live as long as the socket.
        let early = Bytes::from([&parts.read_buf[..], &behind[..]].concat());
        session::open(&self.worker, stream, early, admitted.params, admitted.permit);
        // The end of a login session between the check of its token and here closed only the sockets that were open.
        if self.upgrader.app.revocations.contains(signed_in) {
            self.upgrader.sessions.workers().end_session(signed_in);
        }
        Ok(())
    }
}

impl WorkerUpgrader {
    /// A reader for a long poll or an event stream; it takes a place like a socket.
    ///
    /// # Errors
    /// 429 when the user or the address holds as many as it may.
    pub async fn reader(
        &self,
        who: Principal,
        token_expires_at: Timestamp,
        address: AddressBlock,
    ) -> Result<Reader, ApiError> {
        let permit = self.upgrader.place(who.user, address).await?;
        Ok(Reader::new(&self.worker, who, token_expires_at, permit))
    }
}

impl Upgrader {
    async fn place(&self, user: UserId, address: AddressBlock) -> Result<Permit, ApiError> {
        self.admission.admit(user, address).await.map_err(|refusal| {
            let (policy, most) = match refusal {
                TooManySockets::OfUser(most) => {
                    // Sockets of devices that vanished make room for the new ones of the same devices.
                    self.sessions.workers().probe(user);
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

    /// Checks an upgrade. A refusal costs a request of the address: otherwise refusals would be the only requests without a
    /// limit.
    async fn admit(
        &self,
        request: &Request,
        path: Option<SocketPath>,
        address: IpAddr,
    ) -> Result<Admitted, ApiError> {
        let admitted = self.check(request, path, address).await;
        if let Err(error) = &admitted
            && !matches!(error.code().status(), 429 | 503)
        {
            let subject = QuotaSubject::Address(AddressBlock::of(address));
            consume(&self.app, RateClass::Public, subject).await?;
        }
        admitted
    }

    async fn check(
        &self,
        request: &Request,
        path: Option<SocketPath>,
        address: IpAddr,
    ) -> Result<Admitted, ApiError> {
        check_host(&self.app, request.head())?;
        let path = path.ok_or_else(ApiError::not_found)?;
        check_handshake(request.head())?;
        if self.app.readiness.get() != Phase::Ready {
            return Err(unavailable());
        }
        check_origin(&self.app, request.head())?;
        let query = query_of(request)?;
        let block = AddressBlock::of(address);
        let denied = |error: &ApiError| {
            if error.code().status() == 401 {
                self.app.denials.record(&self.app.metrics, QuotaSubject::Address(block));
            }
        };
        let Credentials { principal, device, token_expires_at, ticket } =
            Credentials::of(&self.app, request.head().headers(), &query).inspect_err(denied)?;
        consume(&self.app, RateClass::Api, principal.into()).await?;
        let permit = self.place(principal.user, block).await?;
        let room = match self.room_of(path.room, principal).await? {
            None => None,
            Some(room) => match room_access(&self.app.reads, principal, room).await? {
                RoomAccess::Granted => Some(room),
                RoomAccess::NoSuchRoom => None,
            },
        };
        // Last: a caller who is refused before with 429 or 503 comes again with the same ticket.
        if let Some(ticket) = ticket {
            redeem_ticket(&self.app, &ticket).await.inspect_err(denied)?;
        }
        Ok(Admitted {
            params: ConnectParams { principal, token_expires_at, device, room, cursor: query.cursor },
            permit,
        })
    }
}

impl Upgrader {
    /// The room that a path names for this caller. A driver who is not approved yet is told so, instead of getting a socket.
    async fn room_of(&self, room: PathRoom, who: Principal) -> Result<Option<RoomId>, ApiError> {
        match room {
            PathRoom::Named(room) => Ok(Some(room)),
            PathRoom::OfTheDriver if who.role == Role::Driver => {
                check_approval(&self.app, who).await?;
                Ok(Some(RoomId::Driver(who.user)))
            }
            PathRoom::OfTheDriver | PathRoom::Invalid => Ok(None),
        }
    }
}

fn unavailable() -> ApiError {
    ApiError::new(ProblemCode::Unavailable, "This node takes no sockets now.")
        .retry_after(Duration::from_secs(1))
}

fn query_of(request: &Request) -> Result<SocketQuery, ApiError> {
    web::Query::<SocketQuery>::from_query(request.uri().query().unwrap_or_default())
        .map(web::Query::into_inner)
        .map_err(|_| ApiError::new(ProblemCode::Malformed, "The query of the address could not be read."))
}
