//! Clients with a socket each in the room of a business. One that loses its node goes on at another with its cursor.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bellhop_client::lean::{Greeting, LeanError, Socket, handshake, masked};
use bellhop_client::{Arrival, Cursor, GapDetector, Rng};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::frame::{self, Heard};
use crate::nodes::{Nodes, Standing};
use crate::world::World;

/// Addresses that clients come from.
const SOURCES: u8 = 16;

/// The wait before a client that lost its node without a word tries another is random, up to this.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest random wait before a further try.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// Time in which a handshake has to be over.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// Handshakes at once while the crowd comes together.
const OPENING: usize = 64;

/// Time between two signs of life of a device: a hub believes each for longer.
const SAY_EVERY: Duration = Duration::from_secs(20);

/// Patience until every client has everything.
const COMPLETE_WITHIN: Duration = Duration::from_secs(30);

/// Where a client begins, and what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    /// The business whose room it is in.
    pub(crate) business: usize,
    /// The node it begins at.
    pub(crate) node: usize,
    /// Whether it is a device that can ring.
    pub(crate) rings: bool,
    /// Whether it stays away once it has lost its node.
    pub(crate) stays_away: bool,
}

/// Everything that clients noticed.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) events: u64,
    /// Events that came again, and were dropped by their cursor.
    pub(crate) repeated: u64,
    /// Events that never came, without a word.
    pub(crate) missed: u64,
    pub(crate) resyncs: u64,
    /// Attempts to open a socket that failed, by the beginning of the answer.
    pub(crate) refused: BTreeMap<String, u64>,
    /// The node and the time of each socket that was opened.
    pub(crate) opened: Vec<(usize, Duration)>,
    /// Times from the loss of a socket to the next one's first frame.
    pub(crate) away: Vec<Duration>,
    /// Whether devices of a business can ring, as a client heard it at this time.
    pub(crate) presence: Vec<(usize, bool, Duration)>,
    /// The first time at which a client heard of each ring of an order.
    pub(crate) rings: HashMap<(String, u64), Duration>,
    /// From the publisher's stamp to the client, and from the store's time of the event.
    pub(crate) from_sent: Vec<Duration>,
    pub(crate) from_store: Vec<Duration>,
}

/// Everything that clients share.
#[derive(Debug)]
pub(crate) struct Shared {
    nodes: Rc<Nodes>,
    world: Rc<World>,
    began: Instant,
    pub(crate) log: RefCell<Log>,
    /// The position of each client.
    cursors: RefCell<Vec<Option<Cursor>>>,
    /// Open sockets at each node.
    at: Vec<Cell<usize>>,
    timed: Cell<bool>,
    opening: Semaphore,
}

/// All clients of a run, who go on as long as this is kept.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) shared: Rc<Shared>,
    seats: Vec<Seat>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Crowd {
    /// Nobody yet. Times of the log count from `began`.
    pub(crate) fn new(nodes: &Rc<Nodes>, world: &Rc<World>, began: Instant) -> Self {
        let shared = Shared {
            nodes: nodes.clone(),
            world: world.clone(),
            began,
            log: RefCell::default(),
            cursors: RefCell::default(),
            at: nodes.all.iter().map(|_| Cell::default()).collect(),
            timed: Cell::new(false),
            opening: Semaphore::new(OPENING),
        };
        Self { shared: Rc::new(shared), seats: Vec::new(), tasks: Vec::new() }
    }

    /// Lets these clients come, and waits until each has its socket.
    pub(crate) async fn open(&mut self, seats: &[Seat]) -> Result<()> {
        for seat in seats {
            let number = self.seats.len();
            self.seats.push(*seat);
            self.shared.cursors.borrow_mut().push(None);
            let member = Member::new(number, *seat, self.shared.clone());
            self.tasks.push(tokio::task::spawn_local(member.live()));
        }
        let all = async {
            while self.count() < self.seats.len() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let wait = Duration::from_secs(60 + self.seats.len() as u64 / 100);
        let waited = tokio::time::timeout(wait, all).await;
        let refused = self.shared.log.borrow().refused.clone();
        waited.with_context(|| format!("{} of {} sockets: {refused:?}", self.count(), self.seats.len()))
    }

    /// Open sockets.
    pub(crate) fn count(&self) -> usize {
        self.shared.at.iter().map(Cell::get).sum()
    }

    /// Open sockets at a node.
    pub(crate) fn at(&self, node: usize) -> usize {
        self.shared.at[node].get()
    }

    /// Time since the beginning of the run.
    pub(crate) fn now(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// From now on events are timed, or are not.
    pub(crate) fn time_events(&self, timed: bool) {
        self.shared.timed.set(timed);
    }

    /// Waits until every client that came back is at the head of its room, which a new socket tells; the number of those that
    /// are not after half a minute.
    pub(crate) async fn incomplete(&self) -> Result<usize> {
        let deadline = Instant::now() + COMPLETE_WITHIN;
        loop {
            let mut heads = Vec::new();
            for business in 0..self.shared.world.businesses.len() {
                heads.push(self.shared.head(business).await?);
            }
            let behind = self.behind(&heads);
            if behind == 0 || Instant::now() > deadline {
                return Ok(behind);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn behind(&self, heads: &[Cursor]) -> usize {
        let cursors = self.shared.cursors.borrow();
        let is_behind = |(seat, cursor): &(&Seat, &Option<Cursor>)| {
            let head = heads[seat.business];
            !seat.stays_away && cursor.is_none_or(|at| at.epoch != head.epoch || at.seq < head.seq)
        };
        self.seats.iter().zip(cursors.iter()).filter(is_behind).count()
    }
}

impl Shared {
    fn request(&self, business: usize, node: usize, cursor: Option<Cursor>) -> (SocketAddr, String) {
        let (address, business) = (self.nodes.all[node].address, &self.world.businesses[business]);
        let query = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        let path = format!("/ws/notifications/{}{query}", business.id);
        (address, handshake(address, &path, &business.owner))
    }

    /// The position of a room's last event, as a new socket hears it.
    async fn head(&self, business: usize) -> Result<Cursor> {
        let node = self.pick(&mut Rng::new(business as u64), None).context("no node is open")?;
        let (address, request) = self.request(business, node, None);
        let mut socket = Socket::open(address, &request, Greeting::None, None).await?;
        let mut head = None;
        while head.is_none() {
            socket.readable().await?;
            let open = socket.read(|text| {
                if let Heard::Hello(cursor) = frame::read(text) {
                    head.get_or_insert(cursor);
                }
            })?;
            ensure!(open || head.is_some(), "a socket was closed before it was greeted");
        }
        head.context("it is greeted")
    }

    /// A node that takes sockets, another than `but` if there is one: as a balancer would choose that knows which are ready.
    fn pick(&self, rng: &mut Rng, but: Option<usize>) -> Option<usize> {
        let open = |node: &usize| self.nodes.standing(*node) == Standing::Open;
        let nodes: Vec<usize> = (0..self.nodes.all.len()).filter(open).collect();
        let others: Vec<usize> = nodes.iter().copied().filter(|node| Some(*node) != but).collect();
        let choices = if others.is_empty() { nodes } else { others };
        if choices.is_empty() { None } else { Some(*rng.pick(&choices)) }
    }
}

/// How a socket ended.
enum End {
    /// Without a word.
    Lost,
    /// The hub said when to come back.
    Told(Duration),
}

/// One client.
struct Member {
    number: usize,
    seat: Seat,
    shared: Rc<Shared>,
    rng: Rng,
    gap: GapDetector,
    /// Events that a hello passed over, unless a resync follows.
    doubted: u64,
    lost_at: Option<Instant>,
}

impl Member {
    fn new(number: usize, seat: Seat, shared: Rc<Shared>) -> Self {
        let rng = Rng::new(number as u64 + 1);
        Self { number, seat, shared, rng, gap: GapDetector::default(), doubted: 0, lost_at: None }
    }

    async fn live(mut self) {
        let (mut node, mut wait) = (self.seat.node, FIRST_WAIT);
        loop {
            let opened = {
                let coming = self.shared.clone();
                let _permit = match self.lost_at {
                    None => coming.opening.acquire().await.ok(),
                    Some(_) => None,
                };
                let opening = self.open(node);
                tokio::time::timeout(OPEN_WITHIN, opening).await
            };
            let next = match opened {
                Ok(Ok(socket)) => {
                    wait = FIRST_WAIT;
                    let end = self.listen(socket, node).await;
                    self.lost_at = Some(Instant::now());
                    if self.seat.stays_away {
                        return;
                    }
                    match end {
                        End::Lost => self.random(FIRST_WAIT),
                        End::Told(after) => after,
                    }
                }
                failed => {
                    let cause = match &failed {
                        Ok(Err(LeanError::Refused(status))) => status.clone(),
                        Ok(Err(LeanError::Io(error))) => error.kind().to_string(),
                        Ok(Err(error)) => error.to_string(),
                        _ => "no answer in time".to_owned(),
                    };
                    *self.shared.log.borrow_mut().refused.entry(cause).or_default() += 1;
                    let next = self.random(wait);
                    wait = (wait * 2).min(LONGEST_WAIT);
                    next
                }
            };
            tokio::time::sleep(next).await;
            if self.lost_at.is_some() {
                node = self.shared.pick(&mut self.rng, Some(node)).unwrap_or(node);
            }
        }
    }

    fn random(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.rng.share())
    }

    async fn open(&self, node: usize) -> Result<Socket, LeanError> {
        let (address, request) = self.shared.request(self.seat.business, node, self.gap.cursor());
        let last = (self.number % usize::from(SOURCES)) as u8;
        let source = Ipv4Addr::new(127, 0, 0, 2 + last);
        Socket::open_from(source, address, &request, Greeting::None).await
    }

    /// Takes in everything until the socket ends.
    async fn listen(&mut self, mut socket: Socket, node: usize) -> End {
        let mut says = tokio::time::interval(SAY_EVERY);
        let (mut greeted, mut told) = (false, None);
        let device = format!(r#"{{"type":"device","id":"cluster-{}","can_ring":true}}"#, self.number);
        loop {
            let ready = tokio::select! {
                ready = socket.readable() => ready.is_ok(),
                _ = says.tick(), if self.seat.rings && greeted => {
                    if socket.send_raw(&masked(&device)).await.is_err() { break }
                    continue;
                }
            };
            let mut frames = Vec::new();
            let read = ready && socket.read(|text| frames.push(self.heard(text))).unwrap_or(false);
            for heard in frames {
                match heard {
                    Heard::Hello(_) if !greeted => {
                        greeted = true;
                        self.greeted(node);
                    }
                    Heard::Reconnect(after) => told = Some(after),
                    _ => {}
                }
            }
            if !read {
                break;
            }
        }
        if greeted {
            let at = &self.shared.at[node];
            at.set(at.get() - 1);
        }
        told.map_or(End::Lost, End::Told)
    }

    fn greeted(&mut self, node: usize) {
        let at = &self.shared.at[node];
        at.set(at.get() + 1);
        let mut log = self.shared.log.borrow_mut();
        log.opened.push((node, self.shared.began.elapsed()));
        log.away.extend(self.lost_at.take().map(|at| at.elapsed()));
    }

    /// Takes one frame in.
    fn heard(&mut self, text: &[u8]) -> Heard {
        let heard = frame::read(text);
        let mut log = self.shared.log.borrow_mut();
        let now = self.shared.began.elapsed();
        let doubted = std::mem::take(&mut self.doubted);
        if !matches!(heard, Heard::Resync(_)) {
            log.missed += doubted;
        }
        let arrival = match &heard {
            Heard::Hello(cursor) => {
                if let Arrival::Missed(events) = self.gap.on_hello(*cursor) {
                    self.doubted = events;
                }
                Arrival::Next
            }
            Heard::Event(cursor) => {
                let arrival = self.gap.on_event(*cursor);
                if arrival != Arrival::Repeated {
                    log.events += 1;
                    if self.shared.timed.get() {
                        let sent = frame::stamp(text).map(Duration::from_micros);
                        log.from_sent.extend(sent.map(|sent| now.saturating_sub(sent)));
                        log.from_store.extend(frame::age(text));
                    }
                }
                arrival
            }
            Heard::Resync(cursor) => {
                self.gap.on_resync(*cursor);
                log.resyncs += 1;
                Arrival::Next
            }
            Heard::Presence(reachable) => {
                log.presence.push((self.seat.business, *reachable, now));
                Arrival::Next
            }
            Heard::Ring(order, ring) => {
                log.rings.entry((order.clone(), *ring)).or_insert(now);
                Arrival::Next
            }
            Heard::Reconnect(_) | Heard::Other => Arrival::Next,
        };
        match arrival {
            Arrival::Next => {}
            Arrival::Repeated => log.repeated += 1,
            Arrival::Missed(events) => log.missed += events,
        }
        self.shared.cursors.borrow_mut()[self.number] = self.gap.cursor();
        heard
    }
}

/// Fails unless clients heard everything.
pub(crate) fn judge(log: &Log, incomplete: usize) -> Result<()> {
    if log.missed > 0 || incomplete > 0 {
        bail!("{} events were missed, {incomplete} clients are not at the head of their room", log.missed);
    }
    Ok(())
}
