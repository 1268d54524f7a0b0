//! Opens many sockets to a hub or to one of its peers, publishes at a pace or in a burst, checks that every socket
//! got every event once and in order, and prints what it cost the server.

mod process;
mod report;
mod socket;
mod tally;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use tokio::sync::{Semaphore, mpsc, watch};

use process::Server;
use report::Report;
use socket::Socket;
use tally::Tally;
use target::Target;

/// What to open, what to publish, whom to watch.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Options {
    /// Kind of server: a hub, or a plain publisher such as nchan
    #[arg(long, value_enum, default_value_t = target::Kind::Bellhop)]
    kind: target::Kind,
    /// Address of the server, host:port on loopback
    #[arg(long, default_value = "127.0.0.1:8000")]
    address: std::net::SocketAddr,
    /// Path that opens a socket on a plain server
    #[arg(long, default_value = "/sub")]
    subscribe: String,
    /// Path that publishes the body of a POST on a plain server
    #[arg(long, default_value = "/pub")]
    publish: String,
    /// Sockets to open
    #[arg(long, default_value_t = 5000)]
    sockets: usize,
    /// Handshakes under way at once
    #[arg(long, default_value_t = 128)]
    connecting: usize,
    /// Events published at the pace
    #[arg(long, default_value_t = 50)]
    events: u64,
    /// Events a second at the pace
    #[arg(long, default_value_t = 5.0)]
    pace: f64,
    /// Events published afterwards as fast as the server takes them
    #[arg(long, default_value_t = 50)]
    burst: u64,
    /// Bytes of a message; to a plain server, of the whole payload
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// Server processes whose memory and CPU are counted, separated by commas
    #[arg(long, value_delimiter = ',')]
    pids: Vec<u32>,
    /// Seconds to let the sockets idle before memory is read
    #[arg(long, default_value_t = 5)]
    idle: u64,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// When nothing has come for so long, nothing more will.
const SILENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.address.ip().is_loopback(), "load goes to loopback only");
    ensure!(options.sockets > 0 && options.sockets <= 60_000, "1 to 60000 sockets");
    let target = Target::prepare(&options).await.context("the server could not be prepared")?;
    let server = Server::new(options.pids.clone());
    let from = Instant::now();
    let mut sockets = Vec::with_capacity(options.sockets);
    let mut opening = Duration::ZERO;
    // Memory is the growth over the second half: what a server has kept from its start, or keeps in reserve after
    // hashing passwords, is taken up by the first half and would make sockets look cheaper than they are.
    let half = options.sockets / 2;
    opening += open(&options, &target, half, &mut sockets).await?;
    tokio::time::sleep(Duration::from_secs(options.idle)).await;
    let before = server.read()?;
    opening += open(&options, &target, options.sockets - half, &mut sockets).await?;
    tokio::time::sleep(Duration::from_secs(options.idle)).await;
    let idle = server.read()?;
    let connects_per_s = sockets.len() as f64 / opening.as_secs_f64();
    let kib_per_socket = idle.rss.saturating_sub(before.rss) as f64 / (options.sockets - half) as f64;

    let received = Arc::new(AtomicU64::new(0));
    let (stop, stopped) = watch::channel(());
    let tasks: Vec<_> = sockets
        .into_iter()
        .map(|socket| tokio::spawn(socket.listen(Tally::new(from), received.clone(), stopped.clone())))
        .collect();
    drop(stopped);
    let members = options.sockets as u64;

    let mut publisher = target.publisher(from);
    let paced_before = server.read()?;
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / options.pace.max(0.001)));
    for _ in 0..options.events {
        ticks.tick().await;
        publisher.publish().await?;
    }
    wait(&received, options.events * members).await;
    let paced = server.read()?.cpu - paced_before.cpu;

    let burst_before = server.read()?;
    let burst_began = Instant::now();
    for _ in 0..options.burst {
        publisher.publish().await?;
    }
    wait(&received, (options.events + options.burst) * members).await;
    let burst_took = burst_began.elapsed();
    let burst = server.read()?.cpu - burst_before.cpu;

    drop(stop);
    let mut tallies = Vec::with_capacity(tasks.len());
    for task in tasks {
        tallies.push(task.await?);
    }
    let report = Report::new(&options, connects_per_s, kib_per_socket, paced, burst, burst_took, &tallies);
    report.print(options.json);
    ensure!(report.is_whole(), "events were missed or came out of order");
    Ok(())
}

/// Opens `count` more sockets, a bounded number at once, and says how long that took.
async fn open(
    options: &Options,
    target: &Target,
    count: usize,
    sockets: &mut Vec<Socket>,
) -> Result<Duration> {
    let began = Instant::now();
    let gate = Arc::new(Semaphore::new(options.connecting));
    let (opened, mut openings) = mpsc::channel(options.connecting);
    for _ in 0..count {
        let permit = gate.clone().acquire_owned().await?;
        let ((request, greeting), address, opened) = (target.handshake(), options.address, opened.clone());
        tokio::spawn(async move {
            let socket = Socket::open(address, &request, greeting).await;
            drop(permit);
            // The receiver lives until every socket is there.
            let _ = opened.send(socket).await;
        });
        while let Ok(socket) = openings.try_recv() {
            sockets.push(socket?);
        }
    }
    drop(opened);
    while let Some(socket) = openings.recv().await {
        sockets.push(socket?);
    }
    Ok(began.elapsed())
}

/// Waits until so many events were taken in, or until nothing has come for [`SILENCE`].
async fn wait(received: &AtomicU64, wanted: u64) {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let now = received.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if now >= wanted || since.elapsed() > SILENCE {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
