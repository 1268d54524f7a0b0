//! One measurement: sockets idle, then events at the pace, then a burst.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::crowd::Crowd;
use crate::options::Options;
use crate::process::Server;
use crate::report::{Phase, Report};
use crate::stalled::Stalled;
use crate::target::Target;

/// Events whose answer is awaited at once; beyond it the pace is not kept, which shows in the latency.
const UNDER_WAY: usize = 256;

/// Measures the server and checks what every socket got. `fresh_kib` is its resident memory before anything was asked of
/// it, so that what a socket takes is never less than it seems: a server that has kept memory in reserve since would
/// otherwise hand out of it and look as if sockets cost nothing.
///
/// # Errors
/// When a socket cannot be opened, an event is not taken, or the server is gone.
pub(crate) async fn measure(
    options: &Options,
    target: &Arc<Target>,
    server: &Server,
    fresh_kib: u64,
) -> Result<Report> {
    let mut crowd = Crowd::new(options.events);
    let opening = crowd.open(options, target, options.sockets).await?;
    tokio::time::sleep(Duration::from_secs(options.idle)).await;
    let idle = server.read()?;
    let connects_per_s = options.sockets as f64 / opening.as_secs_f64();
    let kib_per_socket = idle.rss.saturating_sub(fresh_kib) as f64 / options.sockets as f64;

    let stalled = Stalled::open(options, target, server).await?;
    let deliveries = |numbers: std::ops::RangeInclusive<u64>| {
        numbers.map(|n| target.hearers(n, options.sockets)).sum::<u64>()
    };
    let last = options.events + options.burst;
    let mut paced = Phase { deliveries: deliveries(1..=options.events), ..Phase::default() };
    let mut burst = Phase { deliveries: deliveries(options.events + 1..=last), ..Phase::default() };

    let (began, cpu) = (Instant::now(), server.read()?.cpu);
    publish_at_the_pace(options, target, crowd.from).await?;
    crowd.wait(paced.deliveries).await;
    (paced.took, paced.cpu) = (began.elapsed(), server.read()?.cpu - cpu);
    let stalled = stalled.end(target, server).await?;

    let (began, cpu) = (Instant::now(), server.read()?.cpu);
    for number in options.events + 1..=last {
        target.publish(options, number, crowd.from, Instant::now()).await?;
    }
    crowd.wait(paced.deliveries + burst.deliveries).await;
    (burst.took, burst.cpu) = (began.elapsed(), server.read()?.cpu - cpu);

    let tallies = crowd.leave().await?;
    let put_off = target.put_off();
    Ok(Report::new(options, connects_per_s, kib_per_socket, [&paced, &burst], put_off, stalled, &tallies))
}

/// Publishes each event when it is due, whether the one before was answered or not; in a single room only when it was,
/// since a server that numbers nothing itself would be told off for an order that the publisher mixed up.
async fn publish_at_the_pace(options: &Options, target: &Arc<Target>, from: Instant) -> Result<()> {
    let gate = Arc::new(Semaphore::new(if options.rooms == 1 { 1 } else { UNDER_WAY }));
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / options.pace.max(0.001)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    for number in 1..=options.events {
        let due = ticks.tick().await.into_std();
        let permit = gate.clone().acquire_owned().await?;
        let (target, options) = (target.clone(), options.clone());
        under_way.spawn(async move {
            let published = target.publish(&options, number, from, due).await;
            drop(permit);
            published
        });
        while let Some(published) = under_way.try_join_next() {
            published??;
        }
    }
    while let Some(published) = under_way.join_next().await {
        published??;
    }
    Ok(())
}
