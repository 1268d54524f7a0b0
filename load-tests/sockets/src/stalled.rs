//! Readers that stop reading right after their greeting, and what becomes of them.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use bellhop_client::lean::Socket;
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::crowd;
use crate::options::Options;
use crate::process::Server;
use crate::target::Target;

/// The smallest a kernel gives is about this.
const RECEIVE_BUFFER: u32 = 2304;

/// Interval of memory samples while they stall.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Longer than a hub waits for a stalled write (10 s), for the events that are needed to stall it, and for the close.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

/// Sockets that are open and not read; none is a case too, to compare with.
#[derive(Debug)]
pub(crate) struct Stalled {
    /// Held open: only the hub ends them.
    sockets: Vec<Socket>,
    too_slow: u64,
    descriptors: usize,
    rss: u64,
    most: Arc<AtomicU64>,
    watching: JoinHandle<()>,
}

/// Results of the readers that stopped reading.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Outcome {
    stalled: usize,
    /// By the hub's own metric.
    closed_as_too_slow: u64,
    /// Of everything, connections that publish among them.
    descriptors_before: usize,
    descriptors_after: usize,
    /// Sockets that stopped reading and still have a descriptor in the hub.
    descriptors_kept: usize,
    /// The most that resident memory grew by from before they came until they were gone, KiB; of everything, not of
    /// them alone.
    grown_kib: u64,
}

impl Outcome {
    /// One line; none when everybody read.
    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self) {
        if self.stalled > 0 {
            println!(
                "{} stopped reading: {} closed as too slow, {} descriptors kept ({} of all before, {} after), memory \
                 grew by {} KiB",
                self.stalled,
                self.closed_as_too_slow,
                self.descriptors_kept,
                self.descriptors_before,
                self.descriptors_after,
                self.grown_kib
            );
        }
    }
}

impl Stalled {
    /// Opens them beside those who read, and watches memory from then on.
    ///
    /// # Errors
    /// When one of them cannot be opened, or the server is gone.
    pub(crate) async fn open(options: &Options, target: &Target, server: &Server) -> Result<Self> {
        let before = server.read()?;
        let too_slow = too_slow(target).await?;
        let mut sockets = Vec::with_capacity(options.stalled);
        for _ in 0..options.stalled {
            sockets.push(crowd::one(options, target, 0, Some(RECEIVE_BUFFER)).await?);
        }
        let most = Arc::new(AtomicU64::new(before.rss));
        let (seen, server) = (most.clone(), server.clone());
        let watching = tokio::spawn(async move {
            while let Ok(usage) = server.read() {
                seen.fetch_max(usage.rss, Ordering::Relaxed);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Ok(Self { sockets, too_slow, descriptors: before.descriptors, rss: before.rss, most, watching })
    }

    /// Waits until the hub has closed all of them and their descriptors are free, thirty seconds at most.
    ///
    /// # Errors
    /// When the server is gone.
    pub(crate) async fn end(self, target: &Target, server: &Server) -> Result<Outcome> {
        let since = Instant::now();
        let mut outcome = Outcome {
            stalled: self.sockets.len(),
            descriptors_before: self.descriptors,
            ..Outcome::default()
        };
        loop {
            outcome.closed_as_too_slow = too_slow(target).await? - self.too_slow;
            outcome.descriptors_after = server.read()?.descriptors;
            outcome.descriptors_kept = kept(&self.sockets)?;
            let gone = outcome.closed_as_too_slow >= outcome.stalled as u64 && outcome.descriptors_kept == 0;
            if gone || outcome.stalled == 0 || since.elapsed() > CLOSED_WITHIN {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.watching.abort();
        outcome.grown_kib = self.most.load(Ordering::Relaxed) - self.rss;
        Ok(outcome)
    }
}

/// Number of these connections with a descriptor at their other end: without one a connection has no inode.
fn kept(sockets: &[Socket]) -> Result<usize> {
    let mut open = HashSet::new();
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        open.extend(text.lines().skip(1).filter_map(with_descriptor));
    }
    let ends = sockets.iter().map(Socket::ports).collect::<Result<Vec<_>, _>>()?;
    Ok(ends.iter().filter(|(mine, hubs)| open.contains(&(*hubs, *mine))).count())
}

/// The ports of a line of the kernel's table, its own first, unless the connection has lost its descriptor.
fn with_descriptor(line: &str) -> Option<(u16, u16)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let port = |field: &str| u16::from_str_radix(field.rsplit(':').next()?, 16).ok();
    let ports = (port(fields.get(1)?)?, port(fields.get(2)?)?);
    (*fields.get(9)? != "0").then_some(ports)
}

async fn too_slow(target: &Target) -> Result<u64> {
    Ok(target.closes().await?.get("too_slow").copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_without_an_inode_has_no_descriptor() {
        let line = "  3: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 INODE 1";
        assert_eq!(with_descriptor(&line.replace("INODE", "61172")), Some((8080, 54321)));
        assert_eq!(with_descriptor(&line.replace("INODE", "0")), None);
    }
}
