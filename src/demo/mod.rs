//! Simulated customers and merchants against a real hub: everything over its own port, nothing behind its back.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids and owns the tasks that it starts")]

mod business_kind;
mod clocks;
mod customer;
mod dashboard;
mod figures;
mod ledger;
mod merchant;
mod payer;
mod play;
mod provider;
mod report;
mod rider;
mod scenario;
mod serving;
mod simulation;
mod temp_data_dir;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bellhop_client::{CallError, Client, ClientSettings, Rng};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::{App, RunError, StartError};
use crate::config::{ConfigError, Settings, Sources};
use crate::domain::ids::OrderId;
use crate::telemetry::{Metrics, logs};

pub use report::{DeliveryReport, Quantiles, RunReport};

use dashboard::Dashboard;
use ledger::Ledger;
use play::{Findings, Plan};
use provider::Provider;
use scenario::Scenario;
use temp_data_dir::DataDir;

/// Options of the demo.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Stop taking orders after this long (20s, 2m, 1m30s), let what is open run to its end and print a table;
    /// without it, until Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub run_for: Option<Duration>,
    /// Port to listen on; a free one is taken when it is in use, or 0
    #[arg(long, default_value_t = 8000)]
    pub port: u16,
    /// Folder of the database; a temporary one that is removed at the end unless given.
    #[arg(skip)]
    pub data: Option<PathBuf>,
    /// Use this Postgres database (postgres://user:password@host/name) instead of an SQLite file. It has to exist and to be
    /// the demo's own, empty or of an earlier demo: accounts in it have a known password
    #[arg(long, value_name = "URL")]
    pub database: Option<SecretString>,
    /// Orders a second, on average
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub orders_per_second: u32,
    /// How many businesses there are, each with two devices; of four and more, one never answers, one loses its devices for a
    /// while, one accepts by itself, and of five and more one has drivers bring its orders
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub businesses: u16,
    /// Makes the same choices again; drawn unless given
    #[arg(long)]
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        let (run_for, data, database, seed) = (None, None, None, None);
        Self { run_for, port: 8000, data, database, orders_per_second: 20, businesses: 20, seed }
    }
}

/// Seals the phone numbers of the demo's customers in a database that outlives its folder. They are the same made-up number.
const SHARED_KEY: &str = "demo:cmluZy11bnRpbC1hbnN3ZXJlZC1pbi10aGUtZGVtbyE=";

/// The reason why the demo did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder for the data could not be made.
    #[error("no folder for the data: {0}")]
    DataDir(io::Error),
    /// The hub's settings were refused.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// The hub did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The hub ended before the demo did, or badly.
    #[error("the hub ended: {0}")]
    Hub(#[from] RunError),
    /// The hub ended without a fault before it was told to.
    #[error("the hub ended early")]
    HubGone,
    /// It was told to end before it had begun.
    #[error("the demo was stopped before it began")]
    Interrupted,
    /// The system gave no thread, signal handler or HTTP client.
    #[error("the simulation could not be started: {0}")]
    Simulation(String),
    /// The scenario could not be built, or the lists at the end not be read.
    #[error(transparent)]
    Request(#[from] CallError),
}

/// Starts a hub with short clocks on a database of its own, an embedded one unless another is named, plays customers and merchants against it, prints what happens and
/// what it came to. Reads no environment variables and no configuration files. Ctrl-C ends it like `run_for`; one after that
/// waits for nothing, and what is open then is not judged. Must be called inside an actix system.
///
/// # Errors
/// When the hub or the simulation could not run; lost orders are no error but in the [`RunReport`].
pub async fn run(options: Options) -> Result<RunReport, DemoError> {
    let folder = match &options.data {
        Some(path) => DataDir::kept(path.clone()),
        None => DataDir::temporary().map_err(DemoError::DataDir)?,
    };
    let began = Instant::now();
    let (closing, hurry) = (CancellationToken::new(), CancellationToken::new());
    // Claim before anything is said: whoever reads it may press Ctrl-C at once.
    let interrupts = interrupts().map_err(|error| DemoError::Simulation(error.to_string()))?;
    let signals = actix::spawn(heed_signals(interrupts, closing.clone(), hurry.clone()));
    let (businesses, devices) = (options.businesses, usize::from(options.businesses) * ledger::DEVICES);
    say(&format!("setting up {businesses} businesses with {devices} devices on a hub of their own…\n"));
    // Whoever interrupts waits for it: half a start could still write into the folder when that is removed.
    let secret = SecretString::from(Uuid::new_v4().simple().to_string());
    let app = start_hub(folder.path(), &options, &secret).await?;
    let (address, metrics, stopper) = (app.address(), app.metrics().clone(), app.stopper());
    let mut hub = actix::spawn(app.run());

    let simulated = simulate(&options, (address, secret), metrics.clone(), [closing.clone(), hurry.clone()])?;
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
    stopper.stop();
    let stopped = hub.await;
    signals.abort();
    let (ledger, findings) = played?;
    stopped.map_err(|_| DemoError::HubGone)??;
    let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let verdict = RunReport::new(&ledger, findings, &metrics, began.elapsed());
    say(&format!("\n{verdict}"));
    Ok(verdict)
}

/// Only warnings are logged: a line for each request would bury the screen. Limits of requests are not in force.
async fn start_hub(data: &Path, options: &Options, secret: &SecretString) -> Result<App, DemoError> {
    let port = options.port;
    let sources = |port: u16| {
        let sources = clocks::shortened(Sources::bare(data)).with("server.port", port.to_string());
        let sources = sources.with("payments.webhook_secrets", secret.expose_secret());
        let sources =
            sources.with("server.drain_s", "5").with("log.level", "warn").with("limits.enabled", "false");
        match &options.database {
            // A later run has to read what this one leaves there.
            Some(url) => {
                sources.with("database.url", url.expose_secret()).with("encryption.keys", SHARED_KEY)
            }
            None => sources,
        }
    };
    let settings = Settings::load(&sources(port))?;
    // Whoever started logging before, as tests do, keeps it as it is.
    let _logging = logs::init(&settings.telemetry.log);
    match App::build(settings).await {
        Err(StartError::Listen { cause, .. }) if cause.kind() == io::ErrorKind::AddrInUse => {
            let app = App::build(Settings::load(&sources(0))?).await?;
            say(&format!("port {port} is in use; taking {}\n", app.address().port()));
            Ok(app)
        }
        built => Ok(built?),
    }
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

type SharedLedger = Arc<Mutex<Ledger>>;
type Played = Result<(SharedLedger, Findings), DemoError>;

/// Plays the scenario on a thread of its own, so that clients and hub share nothing but the machine.
fn simulate(
    options: &Options,
    (address, secret): (SocketAddr, SecretString),
    metrics: Metrics,
    [closing, hurry]: [CancellationToken; 2],
) -> Result<oneshot::Receiver<Played>, DemoError> {
    let refused = |error: &dyn std::error::Error| DemoError::Simulation(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| refused(&error))?;
    let client = Client::new(address, ClientSettings::default()).map_err(|error| refused(&error))?;
    let businesses = usize::from(options.businesses);
    let run = Uuid::now_v7();
    // The last bits of a UUIDv7 are drawn at random.
    let seed = options.seed.unwrap_or(run.as_u64_pair().1);
    let plan = Plan { pace: f64::from(options.orders_per_second), run_for: options.run_for, closing, hurry };
    let (done, played) = oneshot::channel();
    let work = async move {
        let scenario = tokio::select! {
            scenario = scenario::build(&client, businesses) => scenario?,
            () = plan.closing.cancelled() => return Err(DemoError::Interrupted),
        };
        say(&welcome(address, seed, &scenario));
        let ledger: SharedLedger = Arc::new(Mutex::new(Ledger::new(OrderId::from_uuid(run))));
        let names = scenario.businesses.iter().map(|place| place.name.clone()).collect();
        let screen = Dashboard::start(ledger.clone(), metrics, names, plan.closing.clone())
            .map_err(|e| DemoError::Simulation(e.to_string()))?;
        let provider = Provider::new(client, &secret);
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

fn welcome(address: SocketAddr, seed: u64, scenario: &Scenario) -> String {
    let (customer, owner, password) = (scenario::CUSTOMER_EMAIL, scenario::OWNER_EMAIL, scenario::PASSWORD);
    let (clocks, kinds) = (clocks::told(), scenario.told());
    format!(
        "Bellhop is taking orders at http://{address}\n\
         \x20 API documentation   http://{address}/docs/\n\
         \x20 sign in as customer {customer}  password {password}\n\
         \x20 sign in as merchant {owner}     password {password}\n\
         \x20 an order that you place yourself is answered by the devices too, and disturbs nothing\n\
         Devices lose their connection all the time and come back where they were; some customers send their order twice.\n\
         {clocks}{kinds}Seed {seed}; Ctrl-C stops taking orders and counts\n"
    )
}

fn say(text: &str) {
    let mut out = io::stdout().lock();
    // Nobody reads any more: the exit status still tells.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Reads `90s`, `2m`, `1m30s`, `500ms`: whole numbers with ms, s, m or h, the larger units first or not.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a duration like 20s, 2m or 1m30s, not '{text}'");
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = rest.split_at(digits);
        let letters = unit.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = unit.split_at(letters);
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(millis)).ok_or_else(wrong)?;
        total = total.checked_add(Duration::from_millis(part)).ok_or_else(wrong)?;
        rest = after;
    }
    if total.is_zero() || total > Duration::from_secs(30 * 86_400) { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn durations_are_read_as_people_write_them_and_nothing_else() {
        for (text, millis) in
            [("20s", 20_000), ("2m", 120_000), ("1m30s", 90_000), ("500ms", 500), ("1h", 3_600_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in
            ["", "20", "s", "0s", "-1s", "1.5s", "20 s", "1d", "20S", "99999999999999999999s", "5000000h"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_defaults_of_the_command_line_are_the_defaults() {
        let parsed = Line::try_parse_from(["demo"]).unwrap().options;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Options::default()));
        let parsed =
            Line::try_parse_from(["demo", "--database", "postgres://u:hunter2@h/d"]).unwrap().options;
        assert!(parsed.database.is_some() && !format!("{parsed:?}").contains("hunter2"));
        let parsed = Line::try_parse_from(["demo", "--for", "20s", "--businesses", "3"]).unwrap().options;
        assert_eq!((parsed.run_for, parsed.businesses), (Some(Duration::from_secs(20)), 3));
        assert!(Line::try_parse_from(["demo", "--businesses", "0"]).is_err());
    }

    #[test]
    fn the_welcome_says_where_to_look_and_how_to_sign_in() {
        let none = Scenario { businesses: Vec::new(), customers: Vec::new(), couriers: Vec::new() };
        let text = welcome(SocketAddr::from(([127, 0, 0, 1], 8000)), 7, &none);
        for part in [
            "http://127.0.0.1:8000/docs/",
            "customer1@bellhop.example",
            "owner1@bellhop.example",
            "is cancelled after 8 s",
            "Seed 7",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
