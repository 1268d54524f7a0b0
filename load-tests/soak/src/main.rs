//! Keeps a steady mixed load on a hub for a long time, checks every event and every order by what the hub promises,
//! samples what the hub says of itself, and judges whether memory, descriptors and queues level off.

mod devices;
mod event_reader;
mod ledger;
mod orders;
mod page;
mod sampler;
mod scenario;
mod short_sessions;
mod slow;
mod trend;
mod verdict;

use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bellhop_client::{Cursor, GapDetector, Request, Rng};
use clap::Parser;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use devices::{Device, stand_by};
use event_reader::Transport;
use orders::order_at_pace;
use page::Circumstances;
use sampler::{Sample, Sampler};
use scenario::Scenario;
use short_sessions::Activity;
use slow::stop_reading_now_and_then;
use verdict::{Counted, DESCRIPTORS, MEMORY, SOCKETS, Verdict, may_keep};

/// Interval of samples.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks that may fail in a row before the hub counts as gone.
const BLIND: u32 = 6;

/// Time limit for running tasks at the end: the slow reader takes longest.
const ENDING_WITHIN: Duration = Duration::from_secs(120);

/// Silence after which no event is on its way any more.
const SILENCE: Duration = Duration::from_secs(6);

/// Time limit for the hub to free the resources of clients that are gone.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// Load, duration and output of a run.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Options {
    /// Room of the hub, host:port on loopback
    #[arg(long, default_value = "127.0.0.1:8000")]
    address: SocketAddr,
    /// Minutes under load
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Sockets of businesses that stay
    #[arg(long, default_value_t = 500)]
    sockets: usize,
    /// Businesses they are spread over
    #[arg(long, default_value_t = 50)]
    businesses: usize,
    /// Orders a second, on average
    #[arg(long, default_value_t = 3.0)]
    orders_per_second: f64,
    /// Sockets a second that go away and come back
    #[arg(long, default_value_t = 2.0)]
    returns_per_second: f64,
    /// Standing long polls, and as many event streams
    #[arg(long, default_value_t = 10)]
    readers: usize,
    /// Makes the same choices again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The hub's SQLite file, if it has one
    #[arg(long)]
    sqlite: Option<PathBuf>,
    /// Where the samples are written
    #[arg(long)]
    csv: PathBuf,
    /// Folder that soak.md and soak.svg are written to
    #[arg(long)]
    page: Option<PathBuf>,
    /// What the page says of the store
    #[arg(long, default_value = "SQLite")]
    store: String,
    /// What the page says of the commit
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// What the page says of the hub's settings
    #[arg(long, default_value = "none")]
    settings: String,
    /// The command that the page names
    #[arg(long, default_value = "scripts/soak")]
    command: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    ensure!(options.address.ip().is_loopback(), "load goes to loopback only");
    ensure!((0.5..=1440.0).contains(&options.minutes), "half a minute to a day");
    ensure!((1..=5_000).contains(&options.sockets), "1 to 5000 sockets");
    ensure!((1..=500).contains(&options.businesses), "1 to 500 businesses");
    ensure!(
        options.orders_per_second > 0.0 && options.orders_per_second <= 100.0,
        "up to 100 orders a second"
    );
    ensure!(
        options.returns_per_second > 0.0 && options.returns_per_second <= 100.0,
        "up to 100 returns a second"
    );
    let scenario = Scenario::build(options.address, options.businesses)
        .await
        .context("the scenario could not be built")?;
    let sampler = Sampler::new(scenario.client.clone(), options.sqlite.clone());
    let before = sampler.look(Duration::ZERO).await?;
    let devices = move_in(&scenario, &options);
    let began = Instant::now();
    let samples = watch(&scenario, &sampler, &options, began).await?;
    let length = began.elapsed().as_secs_f64();

    let counted = close(&scenario, devices).await?;
    drop(scenario);
    let after = gone(&sampler, began, &before).await?;
    let closes = sampler.closes().await?;
    let verdict = Verdict::new(&samples, [&before, &after], length, counted, closes);
    say(&format!("\n{verdict}\n"));
    write(&options.csv, &sampler::csv(&samples))?;
    if let Some(folder) = &options.page {
        std::fs::create_dir_all(folder)?;
        write(&folder.join("soak.md"), &page::page(&circumstances(&options), &verdict))?;
        write(&folder.join("soak.svg"), &page::svg(&samples, length))?;
    }
    Ok(if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts every task of the load.
fn move_in(scenario: &Arc<Scenario>, options: &Options) -> Vec<JoinHandle<(usize, Option<Cursor>)>> {
    let mut rng = Rng::new(options.seed);
    let stay = Duration::from_secs_f64(options.sockets as f64 / options.returns_per_second);
    let devices = (0..options.sockets)
        .map(|number| {
            let (scenario, rng) = (scenario.clone(), rng.fork());
            tokio::spawn(Device { scenario, number, stay, rng, gaps: GapDetector::default() }.run())
        })
        .collect();
    for number in 0..options.readers {
        for transport in [Transport::Poll, Transport::Stream] {
            let reader = stand_by(scenario.clone(), number % options.businesses, transport, rng.fork());
            scenario.residents.spawn(reader);
        }
    }
    scenario.tasks.spawn(order_at_pace(scenario.clone(), options.orders_per_second, rng.fork()));
    scenario.tasks.spawn(stop_reading_now_and_then(scenario.clone(), rng.fork()));
    for (activity, per_second) in Activity::ALL {
        scenario.tasks.spawn(activity.run(scenario.clone(), per_second, rng.fork()));
    }
    devices
}

/// Looks at the hub until the time is over, or somebody asks for an early end; then nobody begins anything new.
async fn watch(
    scenario: &Scenario,
    sampler: &Sampler,
    options: &Options,
    began: Instant,
) -> Result<Vec<Sample>> {
    let length = Duration::from_secs_f64(options.minutes * 60.0);
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut samples, mut blind) = (Vec::new(), 0);
    while began.elapsed() < length {
        tokio::select! {
            _ = looks.tick() => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        match sampler.look(began.elapsed()).await {
            Ok(sample) => {
                blind = 0;
                progress(scenario, &sample, length);
                samples.push(sample);
            }
            Err(error) => {
                blind += 1;
                scenario.fault(format!("the hub could not be looked at: {error:#}"));
                if blind == BLIND {
                    bail!("the hub is gone: {error:#}");
                }
            }
        }
        // What is known so far survives whatever happens to this process.
        if samples.len() % 12 == 0 {
            write(&options.csv, &sampler::csv(&samples))?;
        }
    }
    scenario.closing.cancel();
    Ok(samples)
}

/// Lets everything run to its end, compares heads and lists with what was seen and acknowledged, and sends everybody
/// home.
async fn close(
    scenario: &Arc<Scenario>,
    devices: Vec<JoinHandle<(usize, Option<Cursor>)>>,
) -> Result<Counted> {
    scenario.tasks.close();
    if timeout(ENDING_WITHIN, scenario.tasks.wait()).await.is_err() {
        scenario.fault("not everything that was begun came to its end");
    }
    let (mut heard, mut since) = (0, Instant::now());
    while since.elapsed() < SILENCE {
        let now = scenario.ledger(|ledger| ledger.heard);
        if now != heard {
            (heard, since) = (now, Instant::now());
        }
        sleep(Duration::from_millis(200)).await;
    }
    let mut heads = HashMap::new();
    for (number, business) in scenario.businesses.iter().enumerate() {
        let answer =
            business.owner.call(&Request::get(format!("/rooms/business:{}/events", business.id))).await?;
        heads.insert(
            number,
            answer["cursor"].as_str().and_then(|text| text.parse::<Cursor>().ok()).context("a head")?,
        );
    }
    scenario.over.cancel();
    scenario.residents.close();
    let mut behind = 0;
    for device in devices {
        let (business, stands) = timeout(ENDING_WITHIN, device).await.context("a device does not end")??;
        behind += u64::from(stands.as_ref() != heads.get(&business));
    }
    timeout(ENDING_WITHIN, scenario.residents.wait()).await.context("a reader does not end")?;
    let listed = scenario.every_order().await?;
    scenario.ledger(|ledger| {
        let (faults, named) = ledger.faults();
        for fault in named {
            say(&format!("fault: {fault}\n"));
        }
        Ok(Counted {
            heard: ledger.heard,
            repeated: ledger.repeated,
            missed: ledger.missed,
            resyncs: ledger.resyncs,
            behind,
            faults,
            audit: ledger.audit(&listed),
            done: ledger.done().clone(),
            repeated_requests: scenario.client.repeated(),
        })
    })
}

/// The hub when everybody has gone: looked at until no socket is left and no more descriptors than it may keep.
async fn gone(sampler: &Sampler, began: Instant, before: &Sample) -> Result<Sample> {
    let since = Instant::now();
    loop {
        let sample = sampler.look(began.elapsed()).await?;
        let rid = sample.of(SOCKETS) == 0.0 && sample.of(DESCRIPTORS) <= may_keep(before, &sample);
        if rid || since.elapsed() > GONE_WITHIN {
            return Ok(sample);
        }
        sleep(Duration::from_secs(1)).await;
    }
}

fn circumstances(options: &Options) -> Circumstances {
    let Options { sockets, businesses, orders_per_second, returns_per_second, readers, .. } = options;
    Circumstances {
        store: options.store.clone(),
        commit: options.commit.clone(),
        command: options.command.clone(),
        settings: options.settings.clone(),
        load: format!(
            "{sockets} sockets in the rooms of {businesses} businesses acknowledge every event.\n\
             {returns_per_second} a second go away (with a good-bye, without one, or by falling silent until they are\n\
             closed) and come back by their cursor. {orders_per_second} orders a second go through their whole life,\n\
             each followed by its customer over a socket, long polls or an event stream; some are sent again with\n\
             their key. {readers} long polls and {readers} event streams stand by. People sign in and out, read lists\n\
             and figures, post notifications and send bad requests; one reader stops reading now and then until it is\n\
             closed as too slow."
        ),
    }
}

/// One line that replaces itself.
fn progress(scenario: &Scenario, sample: &Sample, length: Duration) {
    let depth: f64 =
        sample.values.iter().filter(|(name, _)| name.contains("_depth")).map(|(_, depth)| depth).sum();
    let (heard, missed, orders, faults) = scenario
        .ledger(|ledger| (ledger.heard, ledger.missed + ledger.repeated, ledger.orders(), ledger.faults().0));
    let line = format!(
        "\r{:6.1} of {:.0} min  {:6.1} MiB  {:4.0} descriptors  {:4.0} sockets  {depth:3.0} waiting  {orders} orders  \
         {heard} events, {missed} wrong  {faults} faults ",
        sample.at / 60.0,
        length.as_secs_f64() / 60.0,
        sample.of(MEMORY) / 1_048_576.0,
        sample.of(DESCRIPTORS),
        sample.of(SOCKETS),
    );
    let mut out = std::io::stderr().lock();
    // Nobody has to read it.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads any more: the exit status still tells.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} could not be written", path.display()))
}
