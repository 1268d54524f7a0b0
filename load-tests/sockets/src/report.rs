//! The figures of one run.

use std::time::Duration;

use serde::Serialize;

use crate::Options;
use crate::tally::Tally;

/// What a run came to. Times are milliseconds unless they say otherwise.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    sockets: usize,
    connects_per_s: f64,
    /// Growth of resident memory over the second half of the sockets, open and idle.
    kib_per_idle_socket: f64,
    /// Server CPU of one delivery at the pace, publishing included, microseconds.
    paced_cpu_us: f64,
    /// The same in the burst.
    burst_cpu_us: f64,
    burst_deliveries_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    events_missed: u64,
    out_of_order: u64,
    repeated_on_the_wire: u64,
}

impl Report {
    pub(crate) fn new(
        options: &Options,
        connects_per_s: f64,
        kib_per_idle_socket: f64,
        paced: Duration,
        burst: Duration,
        burst_took: Duration,
        tallies: &[Tally],
    ) -> Self {
        let members = tallies.len() as u64;
        let each = |cpu: Duration, events: u64| cpu.as_secs_f64() * 1e6 / (events * members).max(1) as f64;
        // Latency is judged at the pace; in the burst it only says how long the burst is.
        let at_the_pace = usize::try_from(options.events).unwrap_or(usize::MAX);
        let mut latencies: Vec<u32> =
            tallies.iter().flat_map(|t| t.latencies.iter().take(at_the_pace)).copied().collect();
        latencies.sort_unstable();
        let quantile = |q: f64| {
            let index = ((latencies.len() as f64 * q) as usize).min(latencies.len().saturating_sub(1));
            latencies.get(index).map_or(f64::NAN, |us| f64::from(*us) / 1000.0)
        };
        let wanted = options.events + options.burst;
        Self {
            sockets: tallies.len(),
            connects_per_s,
            kib_per_idle_socket,
            paced_cpu_us: each(paced, options.events),
            burst_cpu_us: each(burst, options.burst),
            burst_deliveries_per_s: (options.burst * members) as f64 / burst_took.as_secs_f64(),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            max_ms: quantile(1.0),
            events_missed: tallies.iter().map(|t| wanted.saturating_sub(t.fresh)).sum(),
            out_of_order: tallies.iter().map(|t| t.broken).sum(),
            repeated_on_the_wire: tallies.iter().map(|t| t.repeated).sum(),
        }
    }

    /// Whether every socket got every event, in order.
    pub(crate) fn is_whole(&self) -> bool {
        self.events_missed == 0 && self.out_of_order == 0
    }

    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string(self).expect("numbers become JSON"));
            return;
        }
        println!("sockets                          {:>10}", self.sockets);
        println!("opened per second                {:>10.0}", self.connects_per_s);
        println!("KiB per idle socket              {:>10.2}", self.kib_per_idle_socket);
        println!("CPU µs per delivery, at the pace {:>10.2}", self.paced_cpu_us);
        println!("                     in a burst  {:>10.2}", self.burst_cpu_us);
        println!("deliveries per second in a burst {:>10.0}", self.burst_deliveries_per_s);
        println!("publish to receipt, p50          {:>10.1} ms", self.p50_ms);
        println!("                    p99          {:>10.1} ms", self.p99_ms);
        println!("                    max          {:>10.1} ms", self.max_ms);
        println!(
            "missed {}, out of order {}, repeated on the wire {}",
            self.events_missed, self.out_of_order, self.repeated_on_the_wire
        );
    }
}
