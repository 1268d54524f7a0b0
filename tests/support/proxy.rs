//! A TCP proxy before Postgres, for what networks and servers do at the worst moment.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// The fault of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    /// Everything passes.
    None,
    /// Every message passes after this long.
    Slow(Duration),
    /// Connections are accepted, nothing passes, nothing is lost.
    Stalled,
    /// Every connection is reset, also every new one.
    Refusing,
}

/// The fault of a COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// It happens, and the connection is reset in place of the answer.
    AnswerLost,
    /// The connection is reset before the server has heard of it.
    NeverArrives,
}

/// The COMMITs that fail.
struct CommitPlan {
    fault: CommitFault,
    next_fails: bool,
}

struct Shared {
    network: watch::Sender<NetworkFault>,
    /// How often everything was cut.
    cuts: watch::Sender<usize>,
    /// Connections opened so far, and how many of those say nothing any more.
    opened: AtomicUsize,
    swallowed: AtomicUsize,
    /// Start-up options do not pass, as with a pooler that was told to ignore them.
    strips_options: AtomicBool,
    plan: Mutex<Option<CommitPlan>>,
    failed_commits: AtomicUsize,
    /// The database of the same server that new connections are for, instead of the one they ask for.
    promoted: Mutex<Option<String>>,
}

/// Stands between the hub and its Postgres, on a thread of its own: a hub that stops while a test waits for it still
/// has something to write. Ends with its value.
pub struct Proxy {
    shared: Arc<Shared>,
    url: String,
    _alive: oneshot::Sender<()>,
}

impl Proxy {
    /// Before the Postgres of this URL, which speaks without TLS.
    pub async fn before(url: &str) -> Self {
        let (credentials, place) = url.rsplit_once('@').expect("a URL with a user");
        let (server, database) = place.split_once('/').expect("a URL with a database");
        let server: SocketAddr = tokio::net::lookup_host(server)
            .await
            .expect("the host is known")
            .next()
            .expect("the host has an address");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            network: watch::Sender::new(NetworkFault::None),
            cuts: watch::Sender::new(0),
            opened: AtomicUsize::new(0),
            swallowed: AtomicUsize::new(0),
            strips_options: AtomicBool::new(false),
            plan: Mutex::new(None),
            failed_commits: AtomicUsize::new(0),
            promoted: Mutex::new(None),
        });
        listener.set_nonblocking(true).expect("a socket option");
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
        Self { shared, url: format!("{credentials}@{own}/{database}?sslmode=disable"), _alive: alive }
    }

    /// Where the hub finds its Postgres.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn set(&self, network: NetworkFault) {
        self.shared.network.send_replace(network);
        if network == NetworkFault::Refusing {
            self.cut();
        }
    }

    /// Resets every connection there is.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Swallows everything on the connections that are open now, for ever, and takes it like a peer that is there; new ones
    /// are served.
    pub fn swallow_open_connections(&self) {
        self.shared.swallowed.store(self.shared.opened.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Start-up options do not pass any more, as with a pooler that was told to ignore them.
    pub fn strip_options(&self) {
        self.shared.strips_options.store(true, Ordering::SeqCst);
    }

    /// Another database of the same server takes the place of the one there was: every connection is reset, and new ones
    /// are to that.
    pub fn promote(&self, database: &str) {
        *self.shared.promoted.lock().unwrap() = Some(database.to_owned());
        self.cut();
    }

    /// From now on every other COMMIT fails, the next one first: with one lane that is each that carries work,
    /// while the one that asks again passes.
    pub fn fail_every_other_commit(&self, fault: CommitFault) {
        *self.shared.plan.lock().unwrap() = Some(CommitPlan { fault, next_fails: true });
    }

    /// How many COMMITs failed so far.
    pub fn failed_commits(&self) -> usize {
        self.shared.failed_commits.load(Ordering::Relaxed)
    }

    /// Lets every COMMIT pass again; how many failed so far.
    pub fn let_commits_pass(&self) -> usize {
        *self.shared.plan.lock().unwrap() = None;
        self.shared.failed_commits.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// The fault of a COMMIT that has come.
    fn next_commit_fault(&self) -> Option<CommitFault> {
        let mut plan = self.plan.lock().unwrap();
        let plan = plan.as_mut()?;
        let fails = plan.next_fails;
        plan.next_fails = !fails;
        fails.then(|| {
            self.failed_commits.fetch_add(1, Ordering::Relaxed);
            plan.fault
        })
    }

    /// Whether this connection says nothing any more.
    fn swallows(&self, number: usize) -> bool {
        number < self.swallowed.load(Ordering::SeqCst)
    }

    /// Holds a message for as long as the network fault says.
    async fn hold(&self) {
        let now = *self.network.borrow();
        if let NetworkFault::Slow(delay) = now {
            tokio::time::sleep(delay).await;
        }
        let mut network = self.network.subscribe();
        let _ = network.wait_for(|network| *network != NetworkFault::Stalled).await;
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("the listener lives");
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(client, server, shared.clone(), shared.cuts.subscribe()));
    }
}

/// How a connection ends.
#[derive(PartialEq, Eq)]
enum End {
    /// One side closed it.
    Closed,
    /// Both sides get a reset.
    Reset,
}

async fn connection(
    mut client: TcpStream,
    server: SocketAddr,
    shared: Arc<Shared>,
    mut cuts: watch::Receiver<usize>,
) {
    let refused = *shared.network.borrow() == NetworkFault::Refusing;
    let server = if refused { None } else { TcpStream::connect(server).await.ok() };
    let Some(mut server) = server else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let number = shared.opened.fetch_add(1, Ordering::SeqCst);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let answer_lost = AtomicBool::new(false);
    let end = tokio::select! {
        end = upwards(from_client, to_server, number, &shared, &answer_lost) => end,
        end = downwards(from_server, to_client, number, &shared, &answer_lost) => end,
        _ = cuts.changed() => End::Reset,
    };
    if end == End::Reset {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// From the hub to the server.
async fn upwards(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    number: usize,
    shared: &Shared,
    answer_lost: &AtomicBool,
) -> End {
    // The first message of a connection has no type.
    let mut typed = false;
    while let Ok(mut message) = read(&mut from, typed).await {
        if shared.swallows(number) {
            continue;
        }
        if !typed && shared.strips_options.load(Ordering::SeqCst) {
            message = without_options(&message);
        }
        if !typed && let Some(database) = &*shared.promoted.lock().unwrap() {
            message = with_database(&message, database);
        }
        if typed && is_commit(&message) {
            match shared.next_commit_fault() {
                None => {}
                Some(CommitFault::NeverArrives) => return End::Reset,
                Some(CommitFault::AnswerLost) => answer_lost.store(true, Ordering::Relaxed),
            }
        }
        typed = true;
        shared.hold().await;
        if to.write_all(&message).await.is_err() {
            return End::Reset;
        }
    }
    End::Closed
}

/// From the server to the hub.
async fn downwards(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    number: usize,
    shared: &Shared,
    answer_lost: &AtomicBool,
) -> End {
    while let Ok(message) = read(&mut from, true).await {
        if shared.swallows(number) {
            continue;
        }
        if answer_lost.load(Ordering::Relaxed) && message == COMMITTED {
            return End::Reset;
        }
        shared.hold().await;
        if to.write_all(&message).await.is_err() {
            return End::Reset;
        }
    }
    End::Closed
}

/// A StartupMessage without its parameter `options`: length, version, then names and values.
fn without_options(message: &[u8]) -> Vec<u8> {
    let (head, parameters) = message.split_at(8);
    let texts: Vec<&[u8]> = parameters.split(|byte| *byte == 0).collect();
    let mut kept = head.to_vec();
    for pair in texts.chunks_exact(2).filter(|pair| !pair[0].is_empty() && pair[0] != b"options") {
        for text in pair {
            kept.extend_from_slice(text);
            kept.push(0);
        }
    }
    kept.push(0);
    let length = u32::try_from(kept.len()).expect("it is short");
    kept[..4].copy_from_slice(&length.to_be_bytes());
    kept
}

/// A StartupMessage for another database: a length, the protocol's version, names and values that end with a zero.
fn with_database(message: &[u8], database: &str) -> Vec<u8> {
    let mut texts: Vec<&[u8]> = message[8..].split(|byte| *byte == 0).collect();
    if let Some(name) = texts.iter().step_by(2).position(|name| *name == b"database") {
        texts[2 * name + 1] = database.as_bytes();
    }
    let mut changed = [&[0; 4], &message[4..8], &texts.join(&0)].concat();
    let length = u32::try_from(changed.len()).expect("it is short");
    changed[..4].copy_from_slice(&length.to_be_bytes());
    changed
}

/// CommandComplete of a COMMIT (PostgreSQL documentation, 55.7 Message Formats).
const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

/// Query (simple) or Parse (extended) of a COMMIT; the name of the parsed statement does not matter.
fn is_commit(message: &[u8]) -> bool {
    let text = match message {
        [b'Q', _, _, _, _, text @ ..] => text,
        [b'P', _, _, _, _, rest @ ..] => rest.splitn(2, |byte| *byte == 0).nth(1).unwrap_or_default(),
        _ => return false,
    };
    text.get(..7).is_some_and(|text| text.eq_ignore_ascii_case(b"COMMIT\0"))
}

/// One message: a type unless it is the first, a length that counts itself, the rest.
async fn read(from: &mut ReadHalf<'_>, typed: bool) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(typed) + 4];
    from.read_exact(&mut message).await?;
    let length = &message[usize::from(typed)..];
    let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
    let head = message.len();
    message.resize(head - 4 + length.max(4), 0);
    from.read_exact(&mut message[head..]).await?;
    Ok(message)
}
