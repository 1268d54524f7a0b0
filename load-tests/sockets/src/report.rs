//! The figures of one run.

use std::time::Duration;

use serde::Serialize;

use crate::options::Options;
use crate::stalled::Outcome;
use crate::tally::Tally;

/// Events published in one way, and what they cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Phase {
    /// Events times those who hear each.
    pub(crate) deliveries: u64,
    pub(crate) took: Duration,
    /// CPU time of the server.
    pub(crate) cpu: Duration,
}

impl Phase {
    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.deliveries.max(1) as f64
    }

    fn deliveries_per_s(&self) -> f64 {
        self.deliveries as f64 / self.took.as_secs_f64()
    }
}

/// Figures of a run. Times are milliseconds unless they say otherwise.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    sockets: usize,
    rooms: usize,
    connects_per_s: f64,
    /// Growth of resident memory since the server was started, with every socket open and idle, by sockets.
    kib_per_idle_socket: f64,
    /// Server CPU of one delivery at the pace, publishing included, microseconds.
    paced_cpu_us: f64,
    paced_deliveries_per_s: f64,
    /// The same in the burst.
    burst_cpu_us: f64,
    burst_deliveries_per_s: f64,
    /// From when an event was due to be published to its receipt, at the pace.
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    events_missed: u64,
    out_of_order: u64,
    repeated_on_the_wire: u64,
    /// Number of times the publisher was told to come again.
    put_off: u64,
    #[serde(flatten)]
    stalled: Outcome,
}

impl Report {
    pub(crate) fn new(
        options: &Options,
        connects_per_s: f64,
        kib_per_idle_socket: f64,
        [paced, burst]: [&Phase; 2],
        put_off: u64,
        stalled: Outcome,
        tallies: &[Tally],
    ) -> Self {
        let mut latencies: Vec<u32> = tallies.iter().flat_map(|t| t.latencies.iter().copied()).collect();
        latencies.sort_unstable();
        let quantile = |q: f64| {
            let index = ((latencies.len() as f64 * q) as usize).min(latencies.len().saturating_sub(1));
            latencies.get(index).map_or(f64::NAN, |us| f64::from(*us) / 1000.0)
        };
        let fresh: u64 = tallies.iter().map(|t| t.fresh).sum();
        Self {
            sockets: tallies.len(),
            rooms: options.rooms,
            connects_per_s,
            kib_per_idle_socket,
            paced_cpu_us: paced.cpu_us(),
            paced_deliveries_per_s: paced.deliveries_per_s(),
            burst_cpu_us: burst.cpu_us(),
            burst_deliveries_per_s: burst.deliveries_per_s(),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            max_ms: quantile(1.0),
            events_missed: (paced.deliveries + burst.deliveries).saturating_sub(fresh),
            out_of_order: tallies.iter().map(|t| t.broken).sum(),
            repeated_on_the_wire: tallies.iter().map(|t| t.repeated).sum(),
            put_off,
            stalled,
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
        println!("rooms                            {:>10}", self.rooms);
        println!("opened per second                {:>10.0}", self.connects_per_s);
        println!("KiB per idle socket              {:>10.2}", self.kib_per_idle_socket);
        println!("CPU µs per delivery, at the pace {:>10.2}", self.paced_cpu_us);
        println!("                     in a burst  {:>10.2}", self.burst_cpu_us);
        println!("deliveries per second, paced     {:>10.0}", self.paced_deliveries_per_s);
        println!("                     in a burst  {:>10.0}", self.burst_deliveries_per_s);
        println!("publish to receipt, p50          {:>10.1} ms", self.p50_ms);
        println!("                    p99          {:>10.1} ms", self.p99_ms);
        println!("                    max          {:>10.1} ms", self.max_ms);
        println!(
            "missed {}, out of order {}, repeated on the wire {}, publisher told to come again {}",
            self.events_missed, self.out_of_order, self.repeated_on_the_wire, self.put_off
        );
        self.stalled.print();
    }
}
