//! The rules of the search, as the operator sets them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::delivery::ProofRule;
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

string_enum! {
    /// What happens to an order for which no driver is found.
    #[derive(Default)]
    pub enum GiveUp {
        /// It is cancelled, and what was paid goes back.
        #[default]
        Cancel = "cancel",
        /// It is kept for an operator, who is told every five minutes.
        Hold = "hold",
    }
}

/// What a driver gets for a delivery, in minor units of the order's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payout {
    /// For every delivery.
    pub base_minor: i64,
    /// For each kilometre from the business to the customer, as the crow flies.
    pub per_km_minor: i64,
}

impl Payout {
    /// What this way is worth, rounded to whole minor units.
    pub fn of(self, metres: i64) -> i64 {
        self.base_minor + self.per_km_minor.saturating_mul(metres.max(0)) / 1_000
    }
}

/// Every number by which drivers are searched and watched. The defaults are those of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispatchRules {
    /// How long an offer can be accepted.
    pub offer: Duration,
    /// How many drivers a wave asks, the last number for all later ones; 0 asks everybody in the radius (broadcast).
    pub wave: Vec<u32>,
    /// How far around the business a wave looks, metres; the last number for all later ones.
    pub radius_m: Vec<u32>,
    /// Between two looks for a driver when nobody could be asked.
    pub look_every: Duration,
    /// The search starts so long before the driver is to arrive.
    pub ahead: Duration,
    /// How fast a driver is taken to be, metres a second.
    pub speed_mps: u32,
    /// From the start of the search until operators and the business are told that nobody has it; at `ready_at` at the latest.
    pub late: Duration,
    /// From `ready_at` until the search is given up.
    pub give_up: Duration,
    /// What happens then.
    pub on_give_up: GiveUp,
    /// Between two alarms for an order that is held.
    pub held_every: Duration,
    /// A driver on the way to the business without a position for so long is asked.
    pub silent: Duration,
    /// A driver who has come no nearer to the business for so long is asked.
    pub stalled: Duration,
    /// After the question: without an answer the delivery goes to somebody else.
    pub asked: Duration,
    /// A driver with the food without a position for so long is told to operators.
    pub silent_under_way: Duration,
    /// So long past the expected arrival operators are told.
    pub late_under_way: Duration,
    /// From the later of the driver's arrival and `ready_at` until the driver may leave without fault.
    pub wait: Duration,
    /// From the driver's arrival at the customer's until it may fail for a customer who cannot be reached.
    pub unreachable: Duration,
    /// Offers in a row without an answer that set a driver offline.
    pub ignored_offline: u8,
    /// Without a sign of life for so long a driver gets no offers.
    pub alive: Duration,
    /// Most deliveries at once that a driver can allow themselves.
    pub max_capacity: u8,
    /// The proof that a delivery needs.
    pub proof: ProofRule,
    /// What a driver gets, unless the zone says otherwise.
    pub payout: Payout,
    /// What a driver gets in zones that differ.
    pub zone_payouts: BTreeMap<String, Payout>,
}

impl Default for DispatchRules {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            offer: seconds(45),
            wave: vec![1, 1, 3],
            radius_m: vec![1_500, 3_000, 6_000],
            look_every: seconds(10),
            ahead: seconds(120),
            speed_mps: 5,
            late: seconds(300),
            give_up: seconds(1_800),
            on_give_up: GiveUp::Cancel,
            held_every: seconds(300),
            silent: seconds(120),
            stalled: seconds(300),
            asked: seconds(60),
            silent_under_way: seconds(180),
            late_under_way: seconds(1_200),
            wait: seconds(600),
            unreachable: seconds(300),
            ignored_offline: 3,
            alive: seconds(90),
            max_capacity: 3,
            proof: ProofRule::None,
            payout: Payout { base_minor: 250, per_km_minor: 50 },
            zone_payouts: BTreeMap::new(),
        }
    }
}

impl DispatchRules {
    /// Most drivers that one wave asks, however many are there.
    pub const MAX_WAVE: usize = 100;

    /// How far wave `n`, from 1, looks, metres.
    pub fn radius_of(&self, wave: u32) -> u32 {
        nth(&self.radius_m, wave).unwrap_or(6_000)
    }

    /// How many drivers wave `n`, from 1, asks.
    pub fn size_of(&self, wave: u32) -> usize {
        match nth(&self.wave, wave).unwrap_or(1) {
            0 => Self::MAX_WAVE,
            size => Self::MAX_WAVE.min(size as usize),
        }
    }

    /// Whether wave `n`, from 1, asks everybody: then a driver may have several open offers.
    pub fn is_broadcast(&self, wave: u32) -> bool {
        nth(&self.wave, wave) == Some(0)
    }

    /// Whether no later wave looks farther than wave `n`.
    pub fn is_widest(&self, wave: u32) -> bool {
        wave as usize >= self.radius_m.len()
    }

    /// The time a driver takes for so many metres.
    pub fn way(&self, metres: u32) -> Duration {
        Duration::from_secs(u64::from(metres / self.speed_mps.max(1)))
    }

    /// When the search for a driver starts, so that the first radius is crossed when the food is ready.
    pub fn start_at(&self, ready_at: Timestamp) -> Timestamp {
        ready_at.minus(self.way(self.radius_of(1))).minus(self.ahead)
    }

    /// What a delivery of this length pays in a zone.
    pub fn payout_in(&self, zone: &str, metres: i64) -> i64 {
        self.zone_payouts.get(zone).copied().unwrap_or(self.payout).of(metres)
    }
}

fn nth(list: &[u32], wave: u32) -> Option<u32> {
    list.get((wave.max(1) - 1) as usize).or(list.last()).copied()
}
