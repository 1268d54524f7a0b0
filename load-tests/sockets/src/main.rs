//! Opens many sockets to a hub or to one of its peers, publishes at a pace or in a burst, checks that every socket
//! got every event once and in order, and prints what it cost the server.

mod crowd;
mod options;
mod process;
mod report;
mod run;
mod stalled;
mod tally;
mod target;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use crowd::Crowd;
use options::Options;
use process::Server;
use target::Target;

/// `too_big`.
const TOO_BIG: u16 = 1009;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    options.check()?;
    let server = Server::new(options.pids.clone());
    // Before anything is asked of it: what it takes for signing in counts as the sockets', not for them.
    let fresh = server.read()?;
    let target = Target::prepare(&options).await.context("the server could not be prepared")?;
    let target = Arc::new(target);
    if options.hold {
        return hold(&options, target).await;
    }
    if let Some(mib) = options.claim {
        return claim(&options, &target, &server, mib).await;
    }
    let report = run::measure(&options, &target, &server, fresh.rss).await?;
    report.print(options.json);
    ensure!(report.is_whole(), "events were missed or came out of order");
    Ok(())
}

/// Holds sockets until somebody ends this process, or cuts its network.
#[allow(clippy::print_stdout)]
async fn hold(options: &Options, target: Arc<Target>) -> Result<()> {
    let mut crowd = Crowd::new(0);
    crowd.open(options, &target, options.sockets).await?;
    // Its own connections end here: what is left are the sockets.
    drop(target);
    println!("open");
    std::future::pending().await
}

/// Claims a frame of `mib` MiB on every socket; the payload never comes. Prints what that cost the server.
#[allow(clippy::print_stdout)]
async fn claim(options: &Options, target: &Target, server: &Server, mib: u64) -> Result<()> {
    let mut sockets = Vec::with_capacity(options.sockets);
    for number in 0..options.sockets {
        sockets.push(crowd::one(options, target, number, None).await?);
    }
    tokio::time::sleep(Duration::from_secs(options.idle)).await;
    let before = server.read()?;
    // FIN and text, masked, a length of eight bytes, the mask.
    let mut header = vec![0x81, 0x80 | 127];
    header.extend((mib << 20).to_be_bytes());
    header.extend([1, 2, 3, 4]);
    let mut refused = 0;
    let mut most = before;
    for mut socket in sockets {
        socket.send_raw(&header).await?;
        let code = tokio::time::timeout(Duration::from_secs(10), socket.close_code()).await;
        refused += u64::from(code.context("a claim was not refused in time")? == Some(TOO_BIG));
        most.rss = most.rss.max(server.read()?.rss);
    }
    let grown = most.rss - before.rss;
    if options.json {
        println!("{{\"claims\":{},\"refused\":{refused},\"grown_kib\":{grown}}}", options.sockets);
    } else {
        println!(
            "{} frames of {mib} MiB claimed, {refused} refused with 1009; memory grew by {grown} KiB",
            options.sockets
        );
    }
    ensure!(refused == options.sockets as u64, "some claims were not refused");
    Ok(())
}
