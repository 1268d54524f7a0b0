//! A TCP proxy between one hub and one server, for what networks and servers do at the worst moment.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::plan::NetworkFault;
use crate::wire::{COMMITTED, Wire, is_commit, is_subscribed};

/// A message that is larger than this ends its connection.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

#[derive(Debug)]
struct Shared {
    wire: Wire,
    server: SocketAddr,
    fault: watch::Sender<Option<NetworkFault>>,
    /// How often everything was cut.
    cuts: watch::Sender<u64>,
    /// Connections opened so far, and how many of those say nothing any more.
    opened: AtomicU64,
    dead: AtomicU64,
    next_commit_fails: AtomicBool,
    lost: AtomicU64,
}

/// A proxy on a thread of its own, so that the load beside it delays nothing. It ends with its value.
#[derive(Debug)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    _alive: oneshot::Sender<()>,
}

impl Proxy {
    /// Before the server at this address, which speaks without TLS.
    ///
    /// # Errors
    /// When the system gives no port.
    pub(crate) fn before(server: SocketAddr, wire: Wire) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            wire,
            server,
            fault: watch::Sender::new(None),
            cuts: watch::Sender::new(0),
            opened: AtomicU64::new(0),
            dead: AtomicU64::new(0),
            next_commit_fails: AtomicBool::new(false),
            lost: AtomicU64::new(0),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (alive, ended) = oneshot::channel::<()>();
        let accepting = shared.clone();
        std::thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    // Without a listener the hub finds nobody, which the run shows.
                    _ = accept(listener, accepting) => {}
                    _ = ended => {}
                }
            });
        })?;
        Ok(Self { shared, address, _alive: alive })
    }

    /// Where the hub finds its server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins a fault; `None` ends the one there is.
    pub(crate) fn set(&self, fault: Option<NetworkFault>) {
        match fault {
            Some(NetworkFault::Cut) => return self.cut(),
            Some(NetworkFault::HalfOpen) => {
                let opened = self.shared.opened.load(Ordering::SeqCst);
                return self.shared.dead.store(opened, Ordering::SeqCst);
            }
            Some(NetworkFault::CommitAnswersLost | NetworkFault::CommitsLost) => {
                self.shared.next_commit_fails.store(true, Ordering::SeqCst);
            }
            _ => {}
        }
        self.shared.fault.send_replace(fault);
        if fault == Some(NetworkFault::Refuse) {
            self.cut();
        }
    }

    fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Messages and COMMITs that were lost so far.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passes,
    IsLost,
    EndsConnection,
}

impl Shared {
    fn fault(&self) -> Option<NetworkFault> {
        *self.fault.borrow()
    }

    fn count_lost(&self, verdict: Verdict) -> Verdict {
        self.lost.fetch_add(1, Ordering::Relaxed);
        verdict
    }

    /// A message from the hub.
    fn upwards(&self, message: &[u8], answer_is_lost: &AtomicBool) -> Verdict {
        let fault = self.fault();
        let is_lost = matches!(fault, Some(NetworkFault::CommitAnswersLost | NetworkFault::CommitsLost))
            && self.wire == Wire::Postgres
            && is_commit(message)
            && self.next_commit_fails.fetch_xor(true, Ordering::SeqCst);
        if !is_lost {
            return Verdict::Passes;
        }
        if fault == Some(NetworkFault::CommitsLost) {
            return self.count_lost(Verdict::EndsConnection);
        }
        answer_is_lost.store(true, Ordering::SeqCst);
        Verdict::Passes
    }

    /// A message from the server.
    fn downwards(&self, message: &[u8], answer_is_lost: &AtomicBool) -> Verdict {
        if answer_is_lost.load(Ordering::SeqCst) && message == COMMITTED {
            return self.count_lost(Verdict::EndsConnection);
        }
        let swallows = self.fault() == Some(NetworkFault::SwallowMessages);
        if swallows && self.wire == Wire::Redis && is_subscribed(message) {
            return self.count_lost(Verdict::IsLost);
        }
        Verdict::Passes
    }

    /// Holds what was read for as long as the fault says.
    async fn hold(&self) {
        if let Some(NetworkFault::Delay(delay)) = self.fault() {
            tokio::time::sleep(delay).await;
        }
        let mut fault = self.fault.subscribe();
        // The sender lives as long as this.
        let _ = fault.wait_for(|fault| *fault != Some(NetworkFault::BlackHole)).await;
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(client, shared.clone(), shared.cuts.subscribe()));
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// One side closed it.
    Closed,
    /// Both sides get a reset.
    Reset,
}

async fn connection(mut client: TcpStream, shared: Arc<Shared>, mut cuts: watch::Receiver<u64>) {
    let refused = shared.fault() == Some(NetworkFault::Refuse);
    let server = if refused { None } else { TcpStream::connect(shared.server).await.ok() };
    let Some(mut server) = server else {
        // A socket option that cannot be set makes a close of the reset.
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let number = shared.opened.fetch_add(1, Ordering::SeqCst);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let answer_is_lost = AtomicBool::new(false);
    let up = |message: &[u8]| shared.upwards(message, &answer_is_lost);
    let down = |message: &[u8]| shared.downwards(message, &answer_is_lost);
    let end = tokio::select! {
        end = pass(from_client, to_server, (number, shared.wire == Wire::Postgres), &shared, up) => end,
        end = pass(from_server, to_client, (number, false), &shared, down) => end,
        _ = cuts.changed() => End::Reset,
    };
    if end == End::Reset {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Passes whole messages on in one direction.
async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    (number, mut untyped): (u64, bool),
    shared: &Shared,
    judge: impl Fn(&[u8]) -> Verdict,
) -> End {
    let (mut held, mut out) = (Vec::with_capacity(16 * 1024), Vec::new());
    loop {
        match from.read_buf(&mut held).await {
            Ok(0) | Err(_) => return End::Closed,
            Ok(_) if held.len() > MAX_MESSAGE => return End::Reset,
            Ok(_) => {}
        }
        let mut taken = 0;
        out.clear();
        while let Some(length) = shared.wire.length(&held[taken..], untyped) {
            let message = &held[taken..taken + length];
            match judge(message) {
                Verdict::Passes => out.extend_from_slice(message),
                Verdict::IsLost => {}
                Verdict::EndsConnection => return End::Reset,
            }
            taken += length;
            untyped = false;
        }
        held.drain(..taken);
        shared.hold().await;
        // Dead to both sides, who hear nothing of it.
        if number < shared.dead.load(Ordering::SeqCst) {
            continue;
        }
        if to.write_all(&out).await.is_err() {
            return End::Reset;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n+OK\r\n";

    /// A server that answers each of its clients' lines with the same subscription message and an OK.
    async fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut line = [0; 64];
                    while client.read(&mut line).await.is_ok_and(|read| read > 0) {
                        if client.write_all(ANSWER).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    async fn ask(client: &mut TcpStream, wanted: usize) -> io::Result<Vec<u8>> {
        client.write_all(b"+PING\r\n").await?;
        let mut answer = vec![0; wanted];
        client.read_exact(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn messages_of_subscriptions_are_swallowed_and_nothing_else_is() {
        let proxy = Proxy::before(server().await, Wire::Redis).unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(ask(&mut client, ANSWER.len()).await.unwrap().starts_with(b"*3"));
        proxy.set(Some(NetworkFault::SwallowMessages));
        assert_eq!(ask(&mut client, 5).await.unwrap(), b"+OK\r\n");
        proxy.set(None);
        assert!(ask(&mut client, ANSWER.len()).await.unwrap().starts_with(b"*3"));
        assert_eq!(proxy.lost(), 1);
    }

    #[tokio::test]
    async fn open_connections_are_cut_and_new_ones_are_served_or_refused() {
        let proxy = Proxy::before(server().await, Wire::Redis).unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut client, ANSWER.len()).await.unwrap();
        proxy.set(Some(NetworkFault::Cut));
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut client, ANSWER.len()).await.unwrap();
        proxy.set(Some(NetworkFault::Refuse));
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
        // The reset may be there before the connection is.
        let answer = async {
            let mut client = TcpStream::connect(proxy.address()).await?;
            ask(&mut client, ANSWER.len()).await
        };
        assert!(answer.await.is_err());
    }

    #[tokio::test]
    async fn a_black_hole_keeps_what_is_sent_and_a_dead_connection_loses_it() {
        let proxy = Proxy::before(server().await, Wire::Redis).unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut client, ANSWER.len()).await.unwrap();
        proxy.set(Some(NetworkFault::BlackHole));
        client.write_all(b"+PING\r\n").await.unwrap();
        proxy.set(None);
        let mut answer = [0; ANSWER.len()];
        client.read_exact(&mut answer).await.unwrap();
        proxy.set(Some(NetworkFault::HalfOpen));
        client.write_all(b"+PING\r\n").await.unwrap();
        let mut fresh = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut fresh, ANSWER.len()).await.unwrap();
        proxy.set(Some(NetworkFault::Cut));
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}
