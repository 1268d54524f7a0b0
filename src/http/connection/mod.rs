//! A TCP connection before and around its requests: one request at a time, a deadline for each of its states, a bound on
//! what it may hold, and refusals that look like all others (decision 0017).

mod chunks;
mod exchange;
mod head;
mod places;
mod refusal;
mod stream;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::Protocol;
use actix_http::error::DispatchError;
use actix_service::{ServiceFactory, ServiceFactoryExt as _, fn_service};
use tokio::net::TcpStream;

use crate::telemetry::Metrics;

use super::middleware::cidr::Network;
use super::settings::ServerSettings;
use super::app_state::Deployment;

use places::{Place, Places};
use refusal::{Reason, Refusals, Refused};

pub use exchange::{Answer, Exchange, reporting};
pub(in crate::http) use exchange::{awaits_continue, end_with_client};
pub use refusal::REFUSALS;
pub use stream::Connection;

/// A connection without a request is kept this long for the next one.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Connections of one worker thread that are told at once that they are too many; others are closed without a word.
const TOLD_AT_ONCE: usize = 64;

/// What is needed to let connections in; one for the whole node, shared by its listeners.
#[derive(Clone, Debug)]
pub struct Entrance {
    places: Places,
    deadlines: Deadlines,
    deployment: Deployment,
    allowed_origins: Arc<[String]>,
    metrics: Metrics,
}

/// How long a connection may stay in each of its states.
#[derive(Clone, Copy, Debug)]
struct Deadlines {
    /// From the first byte of a head, or from the connection's first moment, to the head's last byte.
    head: Duration,
    /// From a head to the last byte of its body. Whoever reads a body has a deadline of its own, which is earlier.
    body: Duration,
    /// Between an answer and the next request.
    idle: Duration,
}

impl Entrance {
    /// An entrance nobody has gone through yet.
    pub fn new(
        settings: &ServerSettings,
        proxies: Vec<Network>,
        deployment: Deployment,
        metrics: Metrics,
    ) -> Self {
        Self {
            places: Places::new(settings.connections_per_address, proxies),
            deadlines: Deadlines {
                head: Duration::from_secs(settings.header_timeout_s),
                body: Duration::from_secs(settings.body_timeout_s) + Duration::from_secs(5),
                idle: KEEP_ALIVE,
            },
            deployment,
            allowed_origins: settings.allowed_origins.as_slice().into(),
            metrics,
        }
    }

    /// The door of the worker thread this is called on. `sockets` says whether some addresses take an upgrade.
    pub fn door(self, sockets: bool) -> Door {
        let refusals = Refusals::new(self.deployment, self.allowed_origins, self.metrics);
        let shared = Rc::new(Shared { deadlines: self.deadlines, refusals, sockets });
        Door { places: self.places, shared, told: Rc::new(()) }
    }
}

/// What all connections of one worker thread and listener share.
#[derive(Debug)]
struct Shared {
    deadlines: Deadlines,
    refusals: Refusals,
    sockets: bool,
}

/// What a connection may be there for, given back when it is dropped.
#[derive(Debug)]
enum Permission {
    /// To ask.
    Place(#[expect(dead_code, reason = "held for its drop")] Place),
    /// To be told that it is one too many.
    Told(#[expect(dead_code, reason = "held for its drop")] Rc<()>),
}

/// Lets connections in on one worker thread.
#[derive(Clone, Debug)]
pub struct Door {
    places: Places,
    shared: Rc<Shared>,
    /// One more for each connection that is being told that it is one too many.
    told: Rc<()>,
}

impl Door {
    /// Takes a connection that was accepted, or tells it that there are too many and closes it.
    fn open(
        &self,
        io: TcpStream,
    ) -> Result<(Connection, Protocol, Option<std::net::SocketAddr>), DispatchError> {
        let peer = io.peer_addr().map_err(DispatchError::Io)?;
        match self.places.take(peer.ip()) {
            Ok(place) => {
                let connection = Connection::new(io, Permission::Place(place), self.shared.clone());
                Ok((connection, Protocol::Http1, Some(peer)))
            }
            Err(places::TooMany) if Rc::strong_count(&self.told) <= TOLD_AT_ONCE => {
                let told = Permission::Told(self.told.clone());
                let mut connection = Connection::new(io, told, self.shared.clone());
                connection.refuse(Refused::new(Reason::TooMany, "Close connections before you open others."));
                Ok((connection, Protocol::Http1, Some(peer)))
            }
            Err(places::TooMany) => {
                self.shared.refusals.count(Reason::TooMany, "", "");
                Err(DispatchError::Io(io::ErrorKind::ConnectionRefused.into()))
            }
        }
    }

    /// A service for accepted connections on top of one for [`Connection`]s.
    pub fn before<S>(
        self,
        http: S,
    ) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()>
    where
        S: ServiceFactory<
                (Connection, Protocol, Option<std::net::SocketAddr>),
                Config = (),
                Response = (),
                Error = DispatchError,
                InitError = (),
            >,
    {
        fn_service(move |io: TcpStream| std::future::ready(self.open(io))).and_then(http)
    }
}
