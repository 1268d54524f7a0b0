//! Simulated customers and merchants against a real hub: everything over its own port, nothing behind its back.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids and owns the tasks that it starts")]

mod business_kind;
mod clocks;
mod counts;
mod customer;
mod dashboard;
mod error;
mod figures;
mod hubs;
mod ledger;
mod merchant;
mod options;
mod payer;
mod play;
mod provider;
mod report;
mod rider;
mod scenario;
mod serving;
mod simulation;
mod temp_data_dir;
mod words;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use bellhop_client::{Client, ClientSettings, Rng};
use secrecy::SecretString;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::Stopper;
use crate::domain::ids::OrderId;

pub use error::DemoError;
pub use options::Options;
pub use report::{DeliveryReport, Quantiles, RunReport};

use counts::Counts;
use dashboard::Dashboard;
use hubs::{Hubs, Shared};
use ledger::Ledger;
use play::{Findings, Plan};
use provider::Provider;
use temp_data_dir::DataDir;
use words::{say, welcome};

/// Starts a hub with short clocks on a database of its own, an embedded one unless another is named, or several nodes on one database, plays customers
/// and merchants against it, prints what happens and what it came to. Reads no configuration files, and no environment variables but `DATABASE_URL` and
/// `REDIS_URL` for several nodes. Ctrl-C ends it like `run_for`; one after that waits for nothing, and what is open then is not judged. Must be
/// called inside an actix system.
///
/// # Errors
/// When the hub or the simulation could not run; lost orders are no error but in the [`RunReport`].
pub async fn run(options: Options) -> Result<RunReport, DemoError> {
    let shared = Shared::find(&options)?;
    let folder = match &options.data {
        Some(path) => DataDir::kept(path.clone()),
        None => DataDir::temporary().map_err(DemoError::DataDir)?,
    };
    let began = Instant::now();
    let (closing, hurry) = (CancellationToken::new(), CancellationToken::new());
    // Claim before anything is said: whoever reads it may press Ctrl-C at once.
    let interrupts = interrupts().map_err(|error| DemoError::Simulation(error.to_string()))?;
    let signals = actix::spawn(heed_signals(interrupts, closing.clone(), hurry.clone()));
    say(&beginning(&options));
    // Whoever interrupts waits for it: half a start could still write into the folder when that is removed.
    let secret = SecretString::from(Uuid::new_v4().simple().to_string());
    let hubs = Hubs::start(folder.path(), &options, &shared, &secret).await?;
    let (addresses, counts, stoppers) = (hubs.addresses(), hubs.counts(), hubs.stoppers());
    let mut hub = actix::spawn(hubs.run());
    let simulated =
        simulate(&options, (addresses, secret), counts.clone(), [closing.clone(), hurry.clone()])?;
    let played = tokio::select! {
        played = simulated => played.unwrap_or_else(|_| Err(DemoError::Simulation("it panicked".to_owned()))),
        ended = &mut hub => {
            closing.cancel();
            hurry.cancel();
            return Err(match ended {
                Ok(Err(error)) => error.into(),
                Ok(Ok(())) | Err(_) => DemoError::HubGone,
            });
        }
    };
    stoppers.iter().for_each(Stopper::stop);
    let stopped = hub.await;
    signals.abort();
    let (ledger, findings) = played?;
    stopped.map_err(|_| DemoError::HubGone)??;
    let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let verdict = RunReport::new(&ledger, findings, &counts, began.elapsed());
    say(&format!("\n{verdict}"));
    Ok(verdict)
}

fn beginning(options: &Options) -> String {
    let (businesses, devices) = (options.businesses, usize::from(options.businesses) * ledger::DEVICES);
    let hubs = if options.nodes == 1 { "a hub".to_owned() } else { format!("{} hubs", options.nodes) };
    format!("setting up {businesses} businesses with {devices} devices on {hubs} of their own…\n")
}

/// SIGINT and SIGTERM of this process from now on.
fn interrupts() -> io::Result<[Signal; 2]> {
    Ok([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?])
}

/// The first signal closes the scenario; one that comes when it is closed hurries.
async fn heed_signals(
    [mut interrupt, mut terminate]: [Signal; 2],
    closing: CancellationToken,
    hurry: CancellationToken,
) {
    while !hurry.is_cancelled() {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if closing.is_cancelled() { hurry.cancel() } else { closing.cancel() }
    }
}

fn clients_of(addresses: &[SocketAddr]) -> Result<Vec<Client>, reqwest::Error> {
    addresses.iter().map(|address| Client::new(*address, ClientSettings::default())).collect()
}

type SharedLedger = Arc<Mutex<Ledger>>;
type Played = Result<(SharedLedger, Findings), DemoError>;

/// Plays the scenario on a thread of its own, so that clients and hub share nothing but the machine.
fn simulate(
    options: &Options,
    (addresses, secret): (Vec<SocketAddr>, SecretString),
    counts: Counts,
    [closing, hurry]: [CancellationToken; 2],
) -> Result<oneshot::Receiver<Played>, DemoError> {
    let refused = |error: &dyn std::error::Error| DemoError::Simulation(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| refused(&error))?;
    let clients = clients_of(&addresses).map_err(|error| refused(&error))?;
    let businesses = usize::from(options.businesses);
    let run = Uuid::now_v7();
    // The last bits of a UUIDv7 are drawn at random.
    let seed = options.seed.unwrap_or(run.as_u64_pair().1);
    let plan = Plan::new(options, [closing, hurry]);
    let (done, played) = oneshot::channel();
    let work = async move {
        let scenario = tokio::select! {
            scenario = scenario::build(&clients, businesses) => scenario?,
            () = plan.closing.cancelled() => return Err(DemoError::Interrupted),
        };
        say(&welcome(&addresses, seed, &scenario));
        let ledger: SharedLedger = Arc::new(Mutex::new(Ledger::new(OrderId::from_uuid(run))));
        let names = scenario.businesses.iter().map(|place| place.name.clone()).collect();
        let screen = Dashboard::start(ledger.clone(), counts, names, plan.closing.clone())
            .map_err(|e| DemoError::Simulation(e.to_string()))?;
        let provider = Provider::new(clients, &secret);
        let played = play::play(scenario, run, ledger.clone(), provider, (Rng::new(seed), plan)).await;
        screen.finish();
        let (simulation, findings) = played?;
        simulation.go_home().await;
        Ok((ledger, findings))
    };
    // Who no longer waits for the outcome has heard that the hub is gone.
    let thread = move || drop(done.send(runtime.block_on(work)));
    thread::Builder::new().name("demo".to_owned()).spawn(thread).map_err(|error| refused(&error))?;
    Ok(played)
}
