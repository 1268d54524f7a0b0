//! More orders than the hub can take: what it does with them, and how soon it is itself again.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::hub::Hub;
use crate::open::{Crowd, Phase, Second};
use crate::process::Server;
use crate::tally::Figures;

/// Seconds in a row that have to be normal before the hub counts as itself again.
const CALM: usize = 3;

/// A p99 is normal up to so many times the worst second before the overload.
const TOLERANCE: f64 = 1.5;

/// Rates and times of the load.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Plan {
    /// Orders a second that the hub can take.
    pub(crate) capacity: f64,
    /// Times the capacity during the overload.
    pub(crate) factor: f64,
    /// Share of the capacity before and after.
    pub(crate) normal: f64,
    /// Seconds of overload.
    pub(crate) seconds: u64,
    /// Seconds of normal load before it, and again after it.
    pub(crate) around: u64,
    /// Most orders under way at once.
    pub(crate) bound: usize,
}

/// Results of the run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    plan: Plan,
    before: Figures,
    overload: Figures,
    after: Figures,
    /// Orders placed while the overload went on as a share of the capacity.
    goodput: f64,
    /// The same of its worst second.
    worst_second: f64,
    rss_before_kib: u64,
    rss_peak_kib: u64,
    /// Seconds after the overload until p99 and refusals were normal, three seconds in a row; absent: not in this run.
    recovered_after_s: Option<usize>,
    seconds: Vec<Second>,
}

/// Normal load, overload, normal load; `each` hears of every second.
pub(crate) async fn run(
    hub: &Rc<Hub>,
    plan: Plan,
    server: &Server,
    run: &str,
    mut each: impl FnMut(&Second),
) -> Result<Report> {
    let mut crowd = Crowd::new(hub.clone(), plan.bound, run);
    let around = Duration::from_secs(plan.around);
    let normal = plan.capacity * plan.normal;
    let before = crowd.come(normal, around, server, &mut each).await;
    let seconds = Duration::from_secs(plan.seconds);
    let overload = crowd.come(plan.capacity * plan.factor, seconds, server, &mut each).await;
    let after = crowd.come(normal, around, server, &mut each).await;
    crowd.settle().await?;
    let figures = |phase: &Phase| phase.tally.borrow().figures(201, phase.took);
    let worst = before.seconds.iter().map(|second| second.p99_ms).fold(0.0, f64::max);
    let recovered_after_s = recovered(&after.seconds, worst * TOLERANCE);
    let placed = |second: &Second| second.placed as f64 / plan.capacity;
    let in_time: u64 = overload.seconds.iter().map(|second| second.placed).sum();
    let report = Report {
        before: figures(&before),
        overload: figures(&overload),
        after: figures(&after),
        goodput: in_time as f64 / overload.took.as_secs_f64() / plan.capacity,
        worst_second: overload.seconds.iter().map(placed).fold(f64::INFINITY, f64::min),
        rss_before_kib: before.seconds.last().map_or(0, |second| second.rss_kib),
        rss_peak_kib: overload.seconds.iter().map(|second| second.rss_kib).max().unwrap_or(0),
        recovered_after_s,
        seconds: [before.seconds, overload.seconds, after.seconds].concat(),
        plan,
    };
    Ok(report)
}

/// The first second from which three in a row had a p99 of at most `normal_ms` and refused nothing.
fn recovered(seconds: &[Second], normal_ms: f64) -> Option<usize> {
    let calm =
        |second: &Second| second.p99_ms <= normal_ms && second.refused + second.others + second.unsent == 0;
    seconds.windows(CALM).position(|window| window.iter().all(calm))
}

impl Report {
    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self) {
        self.before.print("before");
        self.overload.print("overload");
        self.after.print("after");
        println!(
            "goodput {:.0} % of the capacity ({:.0} /s), worst second {:.0} %",
            self.goodput * 100.0,
            self.plan.capacity,
            self.worst_second * 100.0
        );
        println!(
            "refusals without Retry-After {}, unsent {}, memory {} MiB before, {} MiB at most",
            self.overload.refusals_without_advice,
            self.overload.unsent,
            self.rss_before_kib / 1024,
            self.rss_peak_kib / 1024
        );
        match self.recovered_after_s {
            Some(seconds) => println!("normal again {seconds} s after the overload"),
            None => println!("not normal again {} s after the overload", self.plan.around),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(p99_ms: f64, refused: u64) -> Second {
        Second {
            sent: 1,
            placed: 1,
            refused,
            refusals_without_advice: 0,
            others: 0,
            unsent: 0,
            under_way: 0,
            p99_ms,
            rss_kib: 0,
        }
    }

    #[test]
    fn the_hub_is_itself_again_after_three_normal_seconds_in_a_row() {
        let seconds = [(9.0, 3), (1.0, 0), (1.0, 1), (1.0, 0), (1.0, 0), (1.0, 0)].map(|(p, r)| second(p, r));
        assert_eq!(recovered(&seconds, 2.0), Some(3));
        assert_eq!(recovered(&seconds[..5], 2.0), None);
    }
}
