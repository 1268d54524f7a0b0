//! What happened in many evenings: a promise that is never put to the test holds without being kept.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::world::World;

/// What happens in a few of a thousand evenings only, and how many evenings have to know it.
const RARE: [&str; 3] = ["accepts without room", "offers withdrawn", "offers that ended in a grace"];
const MANY: u64 = 20_000;

/// The name of each thing that is counted, and how often it happened in an evening.
fn counts(world: &World) -> [(&'static str, u64); NUMBER] {
    let seen = world.seen;
    [
        ("orders", world.orders.len() as u64),
        ("cancelled", seen.cancelled),
        ("graced", seen.graced),
        ("rings", seen.rings),
        ("accepted by itself", seen.accepted_by_itself),
        ("paused", seen.paused),
        ("resumed", seen.resumed),
        ("braked", seen.braked),
        ("calls", seen.calls),
        ("forgotten", seen.forgotten),
        ("crashes", seen.crashes),
        ("captured", seen.captured),
        ("recorded", seen.recorded),
        ("captured too late or twice", seen.late_success),
        ("paid at a closed business", seen.closed),
        ("messages twice", seen.repeated),
        ("dead letters", seen.dead),
        ("payments asked for", seen.asked),
        ("refunds demanded", seen.demanded),
        ("refunds outside", seen.outside),
        ("refunds that came back", seen.bounced),
        ("calls without an answer", seen.unknown),
        ("refunds looked up", seen.looked),
        ("refunds sent again", seen.retried),
        ("refunds by hand", seen.by_hand),
        ("silences of the provider", seen.silent),
        ("rests", seen.rests),
        ("offers", seen.offers),
        ("offers accepted", seen.won),
        ("offers that another took", seen.taken),
        ("accepts without room", seen.over),
        ("accepts after the end", seen.too_late),
        ("offers declined", seen.declined),
        ("offers expired", seen.expired),
        ("offers withdrawn", seen.withdrawn),
        ("offers that ended in a grace", seen.graced_offers),
        ("drivers set off for silence to offers", seen.went_off),
        ("drivers suspended", seen.suspended),
        ("drivers set off as away", seen.silent_riders),
        ("waves too late", seen.fenced),
        ("looks lost", seen.lost_looks),
        ("orders without a driver in time", seen.nobody),
        ("orders given up", seen.given_up),
        ("drivers asked whether they come", seen.asked_riders),
        ("deliveries taken from a driver", seen.stalled),
        ("deliveries that left a driver", seen.left),
        ("deliveries assigned by hand", seen.assigned),
        ("deliveries handed over", seen.handed),
        ("steps too late", seen.late_steps),
        ("deliveries brought", seen.brought),
        ("deliveries failed", seen.failed_steps),
        ("other ways", seen.other_way),
    ]
}

const NUMBER: usize = 52;

/// Sums over evenings that are played by several threads.
#[derive(Debug)]
pub(crate) struct Counted {
    sums: [(std::sync::OnceLock<&'static str>, AtomicU64); NUMBER],
}

impl Default for Counted {
    fn default() -> Self {
        Self { sums: std::array::from_fn(|_| Default::default()) }
    }
}

impl Counted {
    /// Adds an evening.
    pub(crate) fn add(&self, world: &World) {
        for ((name, n), (names, sum)) in counts(world).into_iter().zip(&self.sums) {
            names.get_or_init(|| name);
            sum.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// What did not happen once in so many evenings, and should have.
    pub(crate) fn never(&self, evenings: u64) -> Vec<&'static str> {
        let never = self.iter().filter(|(_, sum)| *sum == 0).map(|(name, _)| name);
        never.filter(|name| evenings >= MANY || !RARE.contains(name)).collect()
    }

    fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.sums.iter().map(|(name, sum)| (*name.get().unwrap_or(&""), sum.load(Ordering::Relaxed)))
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(name, sum)| write!(f, "{sum} {name}, "))
    }
}
