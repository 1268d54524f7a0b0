//! The figures of a report and how they are printed.

use std::fmt::{self, Display};
use std::time::Duration;

use prometheus::Histogram;

use crate::telemetry::quantile;

/// The usual three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// The median.
    pub p50: Duration,
    /// 95 of 100 were faster.
    pub p95: Duration,
    /// 99 of 100 were faster.
    pub p99: Duration,
}

impl Quantiles {
    /// Of histograms with the same buckets, together.
    pub(super) fn of(histograms: &[&Histogram]) -> Option<Self> {
        let at = |q| quantile(histograms, q);
        Some(Self { p50: at(0.5)?, p95: at(0.95)?, p99: at(0.99)? })
    }
}

/// Milliseconds as people read them, and seconds from ten on.
pub(super) fn millis(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 { format!("{:.1} ms", seconds * 1_000.0) } else { format!("{seconds:.1} s") }
}

pub(super) fn row(f: &mut fmt::Formatter<'_>, name: &str, value: &dyn Display) -> fmt::Result {
    writeln!(f, "  {name:<38} {value:>10}")
}

pub(super) fn quantiles(f: &mut fmt::Formatter<'_>, name: &str, of: Option<Quantiles>) -> fmt::Result {
    let Some(Quantiles { p50, p95, p99 }) = of else { return row(f, name, &"none") };
    let indent = " ".repeat(name.len());
    row(f, &format!("{name}, p50"), &millis(p50))?;
    row(f, &format!("{indent}  p95"), &millis(p95))?;
    row(f, &format!("{indent}  p99"), &millis(p99))
}

/// Minor units as an amount of a currency with cents.
pub(super) fn major(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", minor.unsigned_abs() / 100, minor.unsigned_abs() % 100)
}

/// Orders that drivers bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryReport {
    /// Orders of businesses that have drivers bring.
    pub orders: u64,
    /// Of them, those that were delivered.
    pub delivered: u64,
    /// Of them, those that ended otherwise: nobody answered or paid, or somebody called them off.
    pub ended_otherwise: u64,
    /// Of them, those that have not ended. Must be 0.
    pub open: u64,
    /// Offers to drivers, as the hub counted them.
    pub offers: u64,
    /// Of them, those that were declined, that another driver took, and that nobody answered in time.
    pub declined_taken_expired: (u64, u64, u64),
    /// Times a delivery left a driver who had it, and was offered anew.
    pub searched_anew: u64,
    /// From the first look for a driver until one has the delivery, as the hub measured it.
    pub time_to_assign: Option<Quantiles>,
}

impl Display for DeliveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (declined, taken, expired) = self.declined_taken_expired;
        row(f, "orders for drivers", &self.orders)?;
        row(f, "  delivered", &self.delivered)?;
        row(f, "  ended otherwise", &self.ended_otherwise)?;
        row(f, "  open (must be 0)", &self.open)?;
        row(f, "offers to drivers", &self.offers)?;
        row(f, "  declined", &declined)?;
        row(f, "  taken by another", &taken)?;
        row(f, "  expired", &expired)?;
        row(f, "deliveries offered to another driver", &self.searched_anew)?;
        quantiles(f, "time to assign", self.time_to_assign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_deliveries_names_what_is_counted() {
        let ms = Duration::from_millis;
        let table = DeliveryReport {
            orders: 58,
            delivered: 54,
            ended_otherwise: 4,
            open: 0,
            offers: 71,
            declined_taken_expired: (5, 6, 7),
            searched_anew: 3,
            time_to_assign: Some(Quantiles { p50: ms(300), p95: ms(5_100), p99: ms(11_000) }),
        };
        let table = table.to_string();
        for line in [
            "orders for drivers                             58",
            "  delivered                                    54",
            "  open (must be 0)                              0",
            "  declined                                      5",
            "  expired                                       7",
            "deliveries offered to another driver            3",
            "time to assign, p50                      300.0 ms",
            "                 p99                        11.0 s",
        ] {
            assert!(table.contains(line), "{table}");
        }
    }
}
