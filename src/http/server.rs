//! One port for the web application and the sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::{Extensions, HttpService, KeepAlive};
use actix_server::{Server, ServerHandle};
use actix_service::{fn_factory, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::web;

use super::connection::{Connection, Entrance, reporting};
use super::router;
use super::settings::ServerSettings;
use super::sockets::SocketGate;
use super::app_state::Api;

/// How long a connection may take to end after its last answer.
const DISCONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Connections waiting to be accepted; the kernel may have a lower bound.
const BACKLOG: i32 = 4096;

/// The kernel gives a peer up when nothing it was sent has been acknowledged, or taken, for so long: with the heartbeats
/// of sockets and event streams this frees every descriptor within 45 s of its peer's end.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The kernel asks a peer that nothing was heard of for this long whether it is still there, and with the time-out above
/// gives it up within 45 s: for connections on which nothing is sent, waiting for a request or for an event. Longer than
/// the silence of a socket between its pings.
const TCP_KEEP_ALIVE_AFTER: Duration = Duration::from_secs(28);

/// How often the kernel asks again.
const TCP_KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);

/// What the kernel may hold for one connection. Bounded, so that a slow peer shows here and not in megabytes of
/// kernel memory.
const SEND_BUFFER: usize = 64 * 1024;

/// A listener that is bound but not served yet.
pub struct Listening {
    listener: TcpListener,
    /// Where it listens.
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

    /// The same listener for somebody who answers on it until it is served.
    pub(super) fn shared(&self) -> io::Result<TcpListener> {
        self.listener.try_clone()
    }

    /// Serves the application and the sockets on worker threads, and what is for operators on `ops`, where there is
    /// such a listener. The server runs once it is awaited or spawned.
    ///
    /// # Errors
    /// When a listener is not usable.
    pub fn serve(
        self,
        ops: Option<Self>,
        settings: &ServerSettings,
        api: web::Data<Api>,
        gate: SocketGate,
    ) -> io::Result<(Server, ServerHandle)> {
        let workers = settings.worker_threads();
        let entrance =
            Entrance::new(settings, api.trusted_proxies.clone(), api.deployment, api.metrics.clone());
        let mut builder =
            Server::build().workers(workers).shutdown_timeout(settings.drain_s).disable_signals();
        let stopping = builder.graceful_shutdown_signal();
        if let Some(ops) = ops {
            let (api, stopping, entrance) = (api.clone(), stopping.clone(), entrance.clone());
            builder = builder.listen("bellhop-ops", ops.listener, move || {
                let stopping = stopping.clone();
                let application = map_config(router::operations(api.clone()), |()| AppConfig::default());
                let http = HttpService::build()
                    .keep_alive(KeepAlive::Os)
                    .client_request_timeout(Duration::ZERO)
                    .client_disconnect_timeout(DISCONNECT_WITHIN)
                    .h1_allow_half_closed(true)
                    .on_connect_ext(introduce)
                    .graceful_shutdown_signal(move || {
                        let stopping = stopping.clone();
                        async move { stopping.notified().await }
                    })
                    .finish(reporting(application));
                entrance.clone().door(false).before(http)
            })?;
        }
        let server = builder
            .listen("bellhop", self.listener, move || {
                // Runs on the worker thread.
                let worker = gate.clone().start_worker();
                let (stopping, application) =
                    (stopping.clone(), router::application(api.clone(), worker.clone()));
                let sockets = fn_factory(move || {
                    let worker = worker.clone();
                    std::future::ready(Ok::<_, ()>(fn_service(move |upgrade| {
                        worker.clone().upgrade(upgrade)
                    })))
                });
                let application = map_config(application, |()| AppConfig::default());
                // The deadlines of a connection are its stream's, which sees each of its states.
                let http = HttpService::build()
                    .keep_alive(KeepAlive::Os)
                    .client_request_timeout(Duration::ZERO)
                    .client_disconnect_timeout(DISCONNECT_WITHIN)
                    .h1_allow_half_closed(true)
                    .on_connect_ext(introduce)
                    .graceful_shutdown_signal(move || {
                        let stopping = stopping.clone();
                        async move { stopping.notified().await }
                    })
                    .upgrade(sockets)
                    .finish(reporting(application));
                entrance.clone().door(true).before(http)
            })?
            .run();
        let handle = server.handle();
        Ok((server, handle))
    }
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
