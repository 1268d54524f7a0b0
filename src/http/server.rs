//! One port for the web application and the sockets.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::body::BoxBody;
use actix_http::{Extensions, HttpServiceBuilder, KeepAlive, Request, Response};
use actix_server::{GracefulShutdownSignal, Server, ServerBuilder, ServerHandle};
use actix_service::{Service, ServiceFactory, fn_factory, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::web;

use super::app_state::AppState;
use super::connection::{AcceptorConfig, Connection, reporting};
use super::router;
use super::settings::ServerSettings;
use super::sockets::Upgrader;

/// Longest time a connection may take to end after its last answer.
const DISCONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Connections waiting to be accepted; the kernel may have a lower bound.
const BACKLOG: i32 = 4096;

/// Time after which the kernel gives a peer up that acknowledges or reads nothing of what it was sent: with the heartbeats
/// of sockets and event streams this frees every descriptor within 45 s of its peer's end.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Silence after which the kernel asks a peer whether it is still there; with the time-out above it gives it up within
/// 45 s: for connections on which nothing is sent, waiting for a request or for an event. Longer than
/// the silence of a socket between its pings.
const TCP_KEEP_ALIVE_AFTER: Duration = Duration::from_secs(28);

/// Time between two such questions.
const TCP_KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);

/// Bytes that the kernel holds for one connection. Bounded, so that a slow peer shows in our queues and not in megabytes
/// of kernel memory.
const SEND_BUFFER: usize = 64 * 1024;

/// A listener that is bound and not served yet.
pub struct Listening {
    listener: TcpListener,
    /// The address it listens on.
    pub address: SocketAddr,
}

impl Listening {
    /// Binds an address, so that a port in use is found before anything else is started.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(wanted: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(wanted),
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        tune(&socket);
        socket.bind(&wanted.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The same listener, for a server that answers on it until the hub does.
    pub(super) fn shared(&self) -> io::Result<TcpListener> {
        self.listener.try_clone()
    }

    /// Serves the application and the sockets on worker threads, and operators' routes on `ops`, where there is such a
    /// listener. The server runs once it is awaited or spawned.
    ///
    /// # Errors
    /// When a listener is not usable.
    pub fn serve(
        self,
        ops: Option<Self>,
        settings: &ServerSettings,
        app: web::Data<AppState>,
        upgrader: Upgrader,
    ) -> io::Result<(Server, ServerHandle)> {
        let connections =
            AcceptorConfig::new(settings, app.trusted_proxies.clone(), app.deployment, app.metrics.clone());
        let mut builder = Server::build()
            .workers(settings.worker_threads())
            .shutdown_timeout(settings.drain_s)
            .disable_signals();
        let stopping = builder.graceful_shutdown_signal();
        if let Some(ops) = ops {
            builder = ops.serve_operators(builder, app.clone(), stopping.clone(), connections.clone())?;
        }
        let server = builder
            .listen("bellhop", self.listener, move || {
                // Runs on the worker thread.
                let worker = upgrader.clone().start_worker();
                let (stopping, application) =
                    (stopping.clone(), router::application(app.clone(), worker.clone()));
                let sockets = fn_factory(move || {
                    let worker = worker.clone();
                    std::future::ready(Ok::<_, ()>(fn_service(move |upgrade| {
                        worker.clone().upgrade(upgrade)
                    })))
                });
                let application = map_config(application, |()| AppConfig::default());
                let http = http_service(move || stopped(stopping.clone()))
                    .upgrade(sockets)
                    .finish(reporting(application));
                connections.clone().acceptor(true).before(http)
            })?
            .run();
        let handle = server.handle();
        Ok((server, handle))
    }

    fn serve_operators(
        self,
        builder: ServerBuilder,
        app: web::Data<AppState>,
        stopping: GracefulShutdownSignal,
        connections: AcceptorConfig,
    ) -> io::Result<ServerBuilder> {
        builder.listen("bellhop-ops", self.listener, move || {
            let stopping = stopping.clone();
            let application = map_config(router::operations(app.clone()), |()| AppConfig::default());
            let http = http_service(move || stopped(stopping.clone())).finish(reporting(application));
            connections.clone().acceptor(false).before(http)
        })
    }
}

/// A builder of the HTTP service. It has no deadlines of its own: those of a connection are its stream's, which sees each
/// of its states.
fn http_service<S, F>(stopped: impl Fn() -> F + 'static) -> HttpServiceBuilder<Connection, S>
where
    S: ServiceFactory<Request, Config = ()>,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: Debug,
    <S::Service as Service<Request>>::Future: 'static,
    F: Future<Output = ()> + 'static,
{
    HttpServiceBuilder::default()
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(DISCONNECT_WITHIN)
        .h1_allow_half_closed(true)
        .on_connect_ext(introduce)
        .graceful_shutdown_signal(stopped)
}

async fn stopped(signal: GracefulShutdownSignal) {
    signal.notified().await
}

/// Lets the requests of a connection know it.
fn introduce(connection: &Connection, data: &mut Extensions) {
    data.insert(connection.exchange());
}

/// Connections take these over from their listener, which saves three system calls each. None is needed for a
/// connection to work, so a kernel that refuses only costs what it would have given.
fn tune(socket: &socket2::Socket) {
    let keep_alive =
        socket2::TcpKeepalive::new().with_time(TCP_KEEP_ALIVE_AFTER).with_interval(TCP_KEEP_ALIVE_EVERY);
    let tuned = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&keep_alive))
        .and_then(|()| socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT)))
        .and_then(|()| socket.set_send_buffer_size(SEND_BUFFER));
    if let Err(error) = tuned {
        tracing::debug!(%error, "a socket option was refused");
    }
}
