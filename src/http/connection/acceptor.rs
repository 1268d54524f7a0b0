//! Accepting TCP connections, a bounded number for each address.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::Protocol;
use actix_http::error::DispatchError;
use actix_service::{ServiceFactory, ServiceFactoryExt as _, fn_service};
use tokio::net::TcpStream;

use crate::http::deployment::Deployment;
use crate::http::middleware::cidr::Network;
use crate::http::settings::ServerSettings;
use crate::telemetry::Metrics;

use super::address_places::{AddressPlaces, TooManyConnections};
use super::refusal::{Reason, Refusals, Refused};
use super::shared::{Deadlines, Permission, Shared};
use super::stream::Connection;

/// Time for which a connection without a request is kept for the next one.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Connections of one worker thread that get a refusal at the same time; others are closed without an answer.
const REFUSED_AT_ONCE: usize = 64;

/// The parts of acceptors; one for the whole node, shared by its listeners.
#[derive(Clone, Debug)]
pub struct AcceptorConfig {
    places: AddressPlaces,
    deadlines: Deadlines,
    deployment: Deployment,
    allowed_origins: Arc<[String]>,
    metrics: Metrics,
}

impl AcceptorConfig {
    /// No connection is open yet.
    pub fn new(
        settings: &ServerSettings,
        proxies: Vec<Network>,
        deployment: Deployment,
        metrics: Metrics,
    ) -> Self {
        Self {
            places: AddressPlaces::new(settings.connections_per_address, proxies),
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

    /// The acceptor of the worker thread this is called on. `sockets` says whether some addresses take an upgrade.
    pub fn acceptor(self, sockets: bool) -> Acceptor {
        let refusals = Refusals::new(self.deployment, self.allowed_origins, self.metrics);
        let shared = Rc::new(Shared { deadlines: self.deadlines, refusals, sockets });
        Acceptor { places: self.places, shared, refused: Rc::new(()) }
    }
}

/// Accepts connections on one worker thread.
#[derive(Clone, Debug)]
pub struct Acceptor {
    places: AddressPlaces,
    shared: Rc<Shared>,
    /// Its count is one more than the refusals under way.
    refused: Rc<()>,
}

impl Acceptor {
    /// Takes a connection, or refuses it because its address has too many.
    pub(super) fn open(
        &self,
        io: TcpStream,
    ) -> Result<(Connection, Protocol, Option<SocketAddr>), DispatchError> {
        let peer = io.peer_addr().map_err(DispatchError::Io)?;
        match self.places.take(peer.ip()) {
            Ok(place) => {
                let connection = Connection::new(io, Permission::Requests(place), self.shared.clone());
                Ok((connection, Protocol::Http1, Some(peer)))
            }
            Err(TooManyConnections) if Rc::strong_count(&self.refused) <= REFUSED_AT_ONCE => {
                let permission = Permission::Refusal(self.refused.clone());
                let mut connection = Connection::new(io, permission, self.shared.clone());
                connection.refuse(Refused::new(Reason::TooMany, "Close connections before you open others."));
                Ok((connection, Protocol::Http1, Some(peer)))
            }
            Err(TooManyConnections) => {
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
                (Connection, Protocol, Option<SocketAddr>),
                Config = (),
                Response = (),
                Error = DispatchError,
                InitError = (),
            >,
    {
        fn_service(move |io: TcpStream| std::future::ready(self.open(io))).and_then(http)
    }
}
