//! One campaign: hubs are started, people come, faults happen, everything comes to its end, and the history is gathered.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bellhop_client::{Client, ClientSettings, Rng, Room};
use serde_json::json;
use tokio::sync::watch;

use crate::cluster::{Cluster, ServerUrl};
use crate::history::{ClientLog, History};
use crate::listener::{Follower, Habits, Tally};
use crate::nodes::Nodes;
use crate::plan::{self, Planned, Stage};
use crate::provider::Provider;
use crate::report::Report;
use crate::riders;
use crate::stored::{Store, Unsettled};
use crate::town::{self, Size};
use crate::trade::{self, Run, SETTLING};

/// Interval of the look whether everything is at its end.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Looks after which a minute passes for refunds whose outcome is not known.
const LOOKS_A_MINUTE: u32 = 8;

/// Time for customers to see the end of their orders, once there is one.
const FOLLOWING: Duration = Duration::from_secs(15);

/// Longest time in which clients reach the heads of their rooms at the end.
const REACHING: Duration = Duration::from_secs(60);

/// Settings of every hub: short clocks, no limits, one thread of requests each, since all share one machine.
const SETTINGS: [(&str, &str); 18] = [
    ("RUST_LOG", "warn"),
    ("BELLHOP__LIMITS__ENABLED", "false"),
    ("BELLHOP__LIMITS__OPEN_ORDERS", "1000"),
    ("BELLHOP__SESSIONS__MAX_PER_USER", "1000"),
    ("BELLHOP__SESSIONS__MAX_PER_IP", "100000"),
    ("BELLHOP__SERVER__WORKERS", "1"),
    ("BELLHOP__DATABASE__MAX_CONNECTIONS", "10"),
    ("BELLHOP__DATABASE__LANES", "2"),
    // No shop is paused because the machine that runs everything is slow.
    ("BELLHOP__ALERTS__ACCEPT_S", "600"),
    ("BELLHOP__ALERTS__ESCALATE_S", "500"),
    ("BELLHOP__ALERTS__UNANSWERED_PAUSE", "100"),
    ("BELLHOP__ALERTS__UNREACHABLE_S", "60"),
    ("BELLHOP__PAYMENTS__UNPAID_S", "20"),
    ("BELLHOP__DISPATCH__OFFER_S", "8"),
    ("BELLHOP__DISPATCH__WAVE", "3"),
    ("BELLHOP__DISPATCH__GIVE_UP_S", "3600"),
    ("SECRET_KEY", "a-secret-of-the-campaign-that-all-hubs-share"),
    ("ENCRYPTION_KEY", "k1:YSBzZWNyZXQgb2YgdGhlIGNhbXBhaWduISEhISEhISE="),
];

/// What one campaign is to be like.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) program: PathBuf,
    pub(crate) postgres: ServerUrl,
    pub(crate) database: String,
    pub(crate) redis: Option<ServerUrl>,
    pub(crate) folder: PathBuf,
    pub(crate) nodes: usize,
    pub(crate) minutes: f64,
    pub(crate) seed: u64,
    pub(crate) pace: f64,
    pub(crate) quiet: bool,
}

/// Runs a campaign on an empty database.
///
/// # Errors
/// When the hubs cannot be started or the history not be read. A broken promise is none: it is in the report.
pub(crate) async fn run(wanted: &Wanted) -> Result<Report> {
    let mut rng = Rng::new(wanted.seed);
    let length = Duration::from_secs_f64(wanted.minutes * 60.0);
    let stage = Stage { nodes: wanted.nodes, redis: wanted.redis.is_some(), length };
    let plan = plan::draw(stage, &mut rng);
    let provider = Provider::start(rng.fork()).await?;
    let mut settings: Vec<(String, String)> =
        SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    settings.extend(provider.settings());
    say(&format!("starting {} hubs", wanted.nodes));
    let mut cluster = Cluster::start(
        (wanted.nodes, &wanted.program),
        (&wanted.postgres, &wanted.database),
        wanted.redis.as_ref(),
        (&wanted.folder, &settings),
    )
    .await?;
    let (end, over) = watch::channel(false);
    let run = people(&cluster, provider, &mut rng, over).await?;
    let mut followers = devices(&run);
    let mut riding = Vec::new();
    for n in 0..run.town.drivers.len() {
        riding.push(tokio::task::spawn_local(riders::ride(run.clone(), n, rng.fork())));
    }
    say(&format!("{} faults in {:.1} minutes", plan.len(), wanted.minutes));
    let quiet = wanted.quiet;
    let tell = move |text: &str| {
        if !quiet {
            say(text)
        }
    };
    let suffering = async {
        let began = Instant::now();
        cluster.suffer(&plan, &tell).await?;
        while began.elapsed() < length {
            tokio::time::sleep(Duration::from_millis(200)).await;
            cluster.watch()?;
        }
        Ok::<(), anyhow::Error>(())
    };
    tokio::select! {
        suffered = suffering => suffered?,
        () = trade::order_at_pace(&run, wanted.pace, rng.fork()) => {}
    }
    run.provider.become_reliable();
    let mut store = Store::connect(&wanted.postgres.at(wanted.postgres.address, &wanted.database)).await?;
    let settled = settle(&run, &mut cluster, &mut store).await?;
    let wishes = trade::ask_again(&run).await;
    let heads = store.heads().await?;
    reach(&mut followers, &heads).await;
    end.send_replace(true);
    for follower in followers {
        follower.task.await?;
    }
    for rider in riding {
        rider.await?;
    }
    cluster.stop_all().await?;
    let mut report = gather(&run, &mut store, wishes).await?;
    report.paused = store.paused().await?;
    (report.lost, report.panics) = (cluster.lost(), cluster.panics());
    (report.stops, report.ended) = (cluster.stops.clone(), cluster.ended.clone());
    (report.seed, report.minutes, report.redis) = (wanted.seed, wanted.minutes, wanted.redis.is_some());
    (report.plan, report.settled_s) = (plan as Vec<Planned>, settled.as_secs_f64());
    Ok(report)
}

async fn people(
    cluster: &Cluster,
    provider: Provider,
    rng: &mut Rng,
    over: watch::Receiver<bool>,
) -> Result<Rc<Run>> {
    let addresses = cluster.addresses();
    let clients: reqwest::Result<Vec<Client>> =
        addresses.iter().map(|address| Client::new(*address, ClientSettings::default())).collect();
    say("people come");
    let town = town::build(&clients?, Size { shops: 6, customers: 20, drivers: 12 }).await?;
    let nodes = Rc::new(Nodes::new(&addresses, rng.fork())?);
    Ok(Rc::new(Run {
        town,
        nodes,
        provider,
        tally: Rc::default(),
        wishes: RefCell::default(),
        confirmed: RefCell::default(),
        taken: RefCell::default(),
        logs: RefCell::default(),
        open: Cell::default(),
        followed: Cell::default(),
        over,
    }))
}

/// A client that stays until the end.
struct Watched {
    follower: Rc<Follower>,
    task: tokio::task::JoinHandle<()>,
}

/// Three devices for each shop: the owner's and a member's by sockets, and one by long polls.
fn devices(run: &Rc<Run>) -> Vec<Watched> {
    let mut watched = Vec::new();
    for (n, shop) in run.town.shops.iter().enumerate() {
        for (device, token) in shop.tokens.iter().enumerate() {
            let follower = device_of(run, (format!("till {n}.{device}"), &shop.id, token));
            let name = format!("till-{n}-{device}");
            let (over, of_task) = (run.over.clone(), follower.clone());
            let task = tokio::task::spawn_local(async move {
                let says = || vec![json!({"type": "device", "id": name, "can_ring": true}).to_string()];
                let habits = Habits { says: &says, hears: &|_, _| {} };
                of_task.over_sockets(&habits, over).await;
            });
            watched.push(Watched { follower, task });
        }
        let follower = device_of(run, (format!("poll {n}"), &shop.id, &shop.tokens[0]));
        let (over, of_task) = (run.over.clone(), follower.clone());
        let task = tokio::task::spawn_local(async move { of_task.over_polls(over).await });
        watched.push(Watched { follower, task });
    }
    watched
}

fn device_of(run: &Run, (name, business, token): (String, &str, &str)) -> Rc<Follower> {
    let ways: (Rc<Nodes>, Rc<Tally>) = (run.nodes.clone(), run.tally.clone());
    let follower = Follower::new((name, true), Room::business(business), token.to_owned(), ways);
    run.logs.borrow_mut().push(follower.log.clone());
    Rc::new(follower)
}

/// Waits until everything is at its end; how long that took.
async fn settle(run: &Run, cluster: &mut Cluster, store: &mut Store) -> Result<Duration> {
    let began = Instant::now();
    let (mut looks, mut settled) = (0_u32, None);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        cluster.watch()?;
        let left = store.unsettled().await?;
        if left == Unsettled::default() && run.open.get() == 0 {
            let since = *settled.get_or_insert_with(Instant::now);
            // A customer who came when the order had ended already waits for nothing.
            if run.followed.get() == 0 || since.elapsed() > FOLLOWING {
                return Ok(since.duration_since(began));
            }
        } else {
            settled = None;
        }
        looks += 1;
        if looks.is_multiple_of(LOOKS_A_MINUTE) {
            say(&format!(
                "{:.0} s after the last order: {left:?}, {} people wait, {} follow",
                began.elapsed().as_secs_f64(),
                run.open.get(),
                run.followed.get()
            ));
            store.let_a_minute_pass().await?;
        }
        if began.elapsed() > SETTLING {
            say("not everything comes to its end");
            return Ok(began.elapsed());
        }
    }
}

/// Waits until every client has reached the head of its room.
async fn reach(followers: &mut [Watched], heads: &std::collections::HashMap<String, bellhop_client::Cursor>) {
    let began = Instant::now();
    let has_reached = |one: &Watched| {
        heads.get(one.follower.room()).is_none_or(|head| {
            one.follower.position().is_some_and(|at| at.epoch == head.epoch && at.seq >= head.seq)
        })
    };
    while began.elapsed() < REACHING && !followers.iter().all(has_reached) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn gather(run: &Run, store: &mut Store, wishes: Vec<crate::history::Wish>) -> Result<Report> {
    let logs = run.logs.take();
    let clients: Vec<ClientLog> = logs.into_iter().map(|log| log.borrow().clone()).collect();
    let (offers, deliveries, drivers) = store.deliveries().await?;
    let history = History {
        clients,
        rooms: store.rooms().await?,
        wishes,
        confirmed: run.confirmed.take(),
        orders: store.orders().await?,
        payments: store.payments().await?,
        held: run.provider.books(),
        offers,
        deliveries,
        drivers,
        taken: run.taken.take(),
    };
    let Tally { connections, repeated, resyncs, late_ms, .. } = &*run.tally;
    Ok(Report {
        history,
        connections: connections.get(),
        repeated_events: repeated.get(),
        resyncs: resyncs.get(),
        repeated_requests: run.nodes.repeated.get(),
        strange: run.nodes.strange.take(),
        late_ms: late_ms.take(),
        ..Report::default()
    })
}

pub(crate) fn say(text: &str) {
    eprintln!("== {text}");
}
