//! A TCP proxy before Redis, for what networks and servers do at the worst moment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use super::proxy::NetworkFault;

/// Stands between a hub and its Redis, on a thread of its own. Ends with its value.
pub struct RedisProxy {
    shared: Arc<Shared>,
    url: String,
    _alive: oneshot::Sender<()>,
}

struct Shared {
    network: watch::Sender<NetworkFault>,
    cuts: watch::Sender<usize>,
    opened: AtomicUsize,
    /// Published messages do not pass on connections with a lower number.
    silent_below: AtomicUsize,
    /// The count of messages that did not pass.
    swallowed: AtomicUsize,
}

impl RedisProxy {
    /// Before the Redis of this URL, which is a single one without TLS.
    pub async fn before(url: &str) -> Self {
        let rest = url.strip_prefix("redis://").expect("without TLS");
        let (credentials, place) = rest.rsplit_once('@').map_or(("", rest), |(user, place)| (user, place));
        let (server, database) = place.split_once('/').unwrap_or((place, ""));
        let server: SocketAddr = server.parse().expect("an address and a port");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("a socket option");
        let shared = Arc::new(Shared {
            network: watch::Sender::new(NetworkFault::None),
            cuts: watch::Sender::new(0),
            opened: AtomicUsize::new(0),
            silent_below: AtomicUsize::new(0),
            swallowed: AtomicUsize::new(0),
        });
        let (alive, ended) = oneshot::channel::<()>();
        let accepting = shared.clone();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the runtime takes it");
                tokio::select! {
                    () = accept(listener, server, accepting) => {}
                    _ = ended => {}
                }
            });
        });
        let at = if credentials.is_empty() { "" } else { "@" };
        Self { shared, url: format!("redis://{credentials}{at}{own}/{database}"), _alive: alive }
    }

    /// Where the hub finds its Redis.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `Refusing` also resets every connection there is.
    pub fn set(&self, network: NetworkFault) {
        self.shared.network.send_replace(network);
        if network == NetworkFault::Refusing {
            self.shared.cuts.send_modify(|cuts| *cuts += 1);
        }
    }

    /// Published messages reach the hub no more, on no connection; everything else does.
    pub fn swallow_messages(&self) {
        self.shared.silent_below.store(usize::MAX, Ordering::SeqCst);
    }

    /// The same on the connections that are open now; new ones deliver.
    pub fn swallow_messages_of_open_connections(&self) {
        self.shared.silent_below.store(self.shared.opened.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Published messages pass again.
    pub fn deliver_messages(&self) {
        self.shared.silent_below.store(0, Ordering::SeqCst);
    }

    /// Published messages that did not pass so far.
    pub fn swallowed(&self) -> usize {
        self.shared.swallowed.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, shared: Arc<Shared>) {
    loop {
        let (client, _) = listener.accept().await.expect("the listener lives");
        tokio::spawn(connection(client, server, shared.clone(), shared.cuts.subscribe()));
    }
}

async fn connection(
    client: TcpStream,
    server: SocketAddr,
    shared: Arc<Shared>,
    mut cuts: watch::Receiver<usize>,
) {
    let refused = *shared.network.borrow() == NetworkFault::Refusing;
    let server = if refused { None } else { TcpStream::connect(server).await.ok() };
    let Some(server) = server else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let number = shared.opened.fetch_add(1, Ordering::SeqCst);
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let upwards = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(read) = from_client.read(&mut bytes).await {
            shared.hold().await;
            if read == 0 || to_server.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    };
    let downwards = async {
        let (mut bytes, mut waiting) = (vec![0; 16 * 1024], Vec::new());
        while let Ok(read) = from_server.read(&mut bytes).await {
            if read == 0 {
                return;
            }
            waiting.extend_from_slice(&bytes[..read]);
            shared.hold().await;
            let passing = shared.without_swallowed(&mut waiting, number);
            if to_client.write_all(&passing).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = upwards => {}
        () = downwards => {}
        _ = cuts.changed() => {
            let _ = from_client.as_ref().set_zero_linger();
        }
    }
}

impl Shared {
    /// Holds bytes for as long as the network fault says.
    async fn hold(&self) {
        let now = *self.network.borrow();
        if let NetworkFault::Slow(delay) = now {
            tokio::time::sleep(delay).await;
        }
        let mut network = self.network.subscribe();
        let _ = network.wait_for(|network| *network != NetworkFault::Stalled).await;
    }

    /// Takes the whole answers out of what has come, and leaves out those that are swallowed.
    fn without_swallowed(&self, waiting: &mut Vec<u8>, number: usize) -> Vec<u8> {
        let (mut passing, mut begin) = (Vec::new(), 0);
        while let Some(end) = answer_end(waiting, begin) {
            let answer = &waiting[begin..end];
            if is_message(answer) && number < self.silent_below.load(Ordering::SeqCst) {
                self.swallowed.fetch_add(1, Ordering::SeqCst);
            } else {
                passing.extend_from_slice(answer);
            }
            begin = end;
        }
        waiting.drain(..begin);
        passing
    }
}

/// Whether an answer is a published message (RESP3: a push of three).
fn is_message(answer: &[u8]) -> bool {
    answer.starts_with(b">3\r\n$7\r\nmessage\r\n") || answer.starts_with(b">3\r\n$8\r\nsmessage\r\n")
}

/// The end of the RESP3 answer that begins here; none when it has not come whole.
fn answer_end(bytes: &[u8], begin: usize) -> Option<usize> {
    let line = bytes.get(begin..)?.windows(2).position(|pair| pair == b"\r\n")? + begin;
    let (mut end, count) = (line + 2, std::str::from_utf8(bytes.get(begin + 1..line)?).unwrap_or("0"));
    let count: i64 = count.parse().unwrap_or(0);
    match bytes[begin] {
        b'$' | b'=' | b'!' if count >= 0 => end += usize::try_from(count).ok()? + 2,
        kind @ (b'*' | b'>' | b'~' | b'%' | b'|') => {
            let of_pairs = matches!(kind, b'%' | b'|');
            let parts = if of_pairs { 2 * count } else { count };
            for _ in 0..parts {
                end = answer_end(bytes, end)?;
            }
        }
        _ => {}
    }
    (end <= bytes.len()).then_some(end)
}
