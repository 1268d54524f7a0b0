//! Metrics of the whole machine, read at each scrape.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntGauge};

/// CPU, memory and disk usage. A value that the platform does not provide is left out instead of shown as zero.
pub(super) struct SystemCollector {
    cpu_percent: Gauge,
    memory_bytes: IntGauge,
    disk_percent: Gauge,
    /// A path on the filesystem whose usage is reported.
    volume: PathBuf,
    last_cpu: Mutex<CpuTicks>,
}

/// CPU ticks of all cores together since boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct CpuTicks {
    busy: u64,
    total: u64,
}

impl SystemCollector {
    pub(super) fn new(volume: &Path) -> prometheus::Result<Self> {
        Ok(Self {
            cpu_percent: Gauge::new(
                "system_cpu_usage_percent",
                "Used share of all cores since the last scrape, 0 to 100; at the first scrape since boot.",
            )?,
            memory_bytes: IntGauge::new(
                "system_memory_usage_bytes",
                "Memory of the machine that is not available to processes.",
            )?,
            disk_percent: Gauge::new(
                "system_disk_usage_percent",
                "Used share of the filesystem that holds the data folder, 0 to 100.",
            )?,
            volume: volume.to_path_buf(),
            last_cpu: Mutex::default(),
        })
    }

    fn cpu(&self) -> Option<f64> {
        let now = parse_cpu(&fs::read_to_string("/proc/stat").ok()?)?;
        // A sample is a plain value, so one from before a panic is still valid.
        let mut last = self.last_cpu.lock().unwrap_or_else(PoisonError::into_inner);
        let share = now.share_since(*last);
        *last = now;
        Some(share)
    }

    fn memory(&self) -> Option<i64> {
        parse_memory(&fs::read_to_string("/proc/meminfo").ok()?)
    }

    fn disk(&self) -> Option<f64> {
        disk_usage_percent(&self.volume)
    }
}

/// The used share of the filesystem that holds `path`, 0 to 100, as `df` counts: without the blocks reserved for root. `None` where
/// the system does not say.
pub(super) fn disk_usage_percent(path: &Path) -> Option<f64> {
    let volume = rustix::fs::statvfs(path).ok()?;
    let used = volume.f_blocks.saturating_sub(volume.f_bfree);
    let usable = used.saturating_add(volume.f_bavail);
    (usable > 0).then(|| used as f64 * 100.0 / usable as f64)
}

impl CpuTicks {
    fn share_since(self, earlier: Self) -> f64 {
        let total = self.total.saturating_sub(earlier.total);
        let busy = self.busy.saturating_sub(earlier.busy);
        if total == 0 { 0.0 } else { busy.min(total) as f64 * 100.0 / total as f64 }
    }
}

impl Collector for SystemCollector {
    fn desc(&self) -> Vec<&Desc> {
        let mut descriptions = self.cpu_percent.desc();
        descriptions.extend(self.memory_bytes.desc());
        descriptions.extend(self.disk_percent.desc());
        descriptions
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        if let Some(percent) = self.cpu() {
            self.cpu_percent.set(percent);
            families.extend(self.cpu_percent.collect());
        }
        if let Some(bytes) = self.memory() {
            self.memory_bytes.set(bytes);
            families.extend(self.memory_bytes.collect());
        }
        if let Some(percent) = self.disk() {
            self.disk_percent.set(percent);
            families.extend(self.disk_percent.collect());
        }
        families
    }
}

/// Reads the first line of `/proc/stat`: user nice system idle iowait irq softirq steal, then guest times, which `user` includes.
fn parse_cpu(stat: &str) -> Option<CpuTicks> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<u64> = fields.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let idle = ticks.get(3)? + ticks.get(4)?;
    let total: u64 = ticks.iter().sum();
    Some(CpuTicks { busy: total.saturating_sub(idle), total })
}

fn parse_memory(meminfo: &str) -> Option<i64> {
    let kib = |name: &str| -> Option<i64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some((kib("MemTotal:")? - kib("MemAvailable:")?) * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_disks_is_not_work() {
        let stat = "cpu  100 0 50 800 40 5 5 0 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_cpu(stat), Some(CpuTicks { busy: 160, total: 1000 }));
        assert_eq!(parse_cpu("intr 1"), None);
    }

    #[test]
    fn cpu_is_the_share_since_the_last_look() {
        let then = CpuTicks { busy: 100, total: 1000 };
        assert_eq!(CpuTicks { busy: 150, total: 1200 }.share_since(then), 25.0);
        assert_eq!(then.share_since(then), 0.0);
    }

    #[test]
    fn memory_in_use_is_what_is_not_available() {
        let meminfo = "MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     600 kB\n";
        assert_eq!(parse_memory(meminfo), Some(400 * 1024));
        assert_eq!(parse_memory("MemTotal: 1000 kB"), None);
    }

    #[test]
    fn the_filesystem_of_the_data_folder_has_a_share_in_use() {
        let collector = SystemCollector::new(&std::env::temp_dir()).unwrap();
        assert!((0.0..=100.0).contains(&collector.disk().unwrap()));
        assert_eq!(SystemCollector::new(Path::new("/no/such/folder")).unwrap().disk(), None);
    }
}
