//! Memory, CPU and descriptors of the server's processes, from the kernel's accounts.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The kernel counts CPU in these (USER_HZ is 100 on every Linux that is built for general use).
const TICK: Duration = Duration::from_millis(10);

/// Processes that together are one server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pids: Vec<u32>,
}

/// Accounts of all processes added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Resident memory in KiB.
    pub(crate) rss: u64,
    /// CPU time of user and kernel.
    pub(crate) cpu: Duration,
    /// Open descriptors.
    pub(crate) descriptors: usize,
}

impl Server {
    /// Watches these processes.
    pub(crate) fn new(pids: Vec<u32>) -> Self {
        Self { pids }
    }

    /// Reads the accounts.
    ///
    /// # Errors
    /// When a process is gone.
    pub(crate) fn read(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        for pid in &self.pids {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))
                .with_context(|| format!("process {pid}"))?;
            let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            usage.rss += rss.and_then(|r| r.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            // The name in brackets may hold spaces; utime and stime are the 12th and 13th fields after it.
            let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let ticks: u32 =
                fields.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<u32>().ok()).sum();
            usage.cpu += TICK * ticks;
            usage.descriptors += fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        }
        Ok(usage)
    }
}
