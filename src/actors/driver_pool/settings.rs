//! Settings of the search for drivers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::delivery::ProofRule;
use crate::domain::dispatch::{DispatchRules, GiveUp, Payout};
use crate::settings::{Checks, SettingProblem};

/// Messages waiting for a pool: a position a second of a thousand drivers, and as many looks beside them.
pub(super) const MAILBOX: usize = 4_096;

/// Most pools on one node; that of the zone that was wanted least recently makes room.
pub(super) const MAX_POOLS: usize = 1_024;

/// Most drivers of one pool.
pub(super) const MAX_DRIVERS: u32 = 10_000;

/// Looks that wait until a pool knows its drivers.
pub(super) const MAX_WAITING: usize = 1_024;

/// Drivers proposed beyond the size of a wave, for those whom the store knows to be asked or off.
pub(super) const RESERVE: usize = 3;

/// A driver counts as asked so long after the end of an offer of which the end was not heard.
pub(super) const ASKED_MARGIN: Duration = Duration::from_secs(30);

/// A read of drivers does not know what was committed so shortly before it arrived.
pub(super) const READ_WITHIN: Duration = Duration::from_secs(3);

/// A pool reads all of its drivers anew this often, should it have missed something.
pub(super) const RELOAD_EVERY: Duration = Duration::from_secs(60);

/// A pool tries again after this when the store did not answer.
pub(super) const LOAD_AGAIN: Duration = Duration::from_secs(1);

/// Rows of drivers that other nodes changed are read this often, so many at once, and from so long before the last one on.
pub(super) const CHANGED_EVERY: Duration = Duration::from_secs(2);
pub(super) const CHANGED_AT_ONCE: u32 = 1_000;
pub(super) const CHANGED_OVERLAP: Duration = Duration::from_secs(2);

/// The drivers of each zone are counted this often, of so many zones at most.
pub(super) const COUNT_EVERY: Duration = Duration::from_secs(10);
pub(super) const COUNTED_ZONES: u32 = 100;

/// Searches that are told at once that their last offer is gone.
pub(super) const LOOKS_AGAIN_AT_ONCE: usize = 64;

/// `[dispatch]`: how drivers are searched and watched.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DispatchSettings {
    /// How long an offer can be accepted, seconds, 5–600.
    pub offer_s: u64,
    /// How many drivers each wave asks, the last number for all later ones, 0–100; 0: everybody in the radius.
    #[serde(deserialize_with = "numbers")]
    pub wave: Vec<u32>,
    /// How far around the business each wave looks, metres, 100–100000, not falling; the last one for all later ones.
    #[serde(deserialize_with = "numbers")]
    pub radius_m: Vec<u32>,
    /// An order that is ready is searched for this long, seconds, 60–86400.
    pub give_up_s: u64,
    /// What happens then: `cancel` with a refund, or `hold` for operators.
    pub on_give_up: GiveUp,
    /// A driver on the way to the business without a position for so long is asked, seconds, 30–3600.
    pub silent_s: u64,
    /// A driver who comes no nearer to the business for so long is asked, seconds, 60–7200.
    pub stalled_s: u64,
    /// A driver who waits at the business for so long may leave without fault, seconds, 0–7200.
    pub wait_s: u64,
    /// A customer who cannot be reached is waited for so long, seconds, 0–3600.
    pub unreachable_s: u64,
    /// The proof that a delivery needs: `none`, `code`, `photo` or `either`.
    pub proof: ProofRule,
    /// What a driver gets.
    pub payout: PayoutSettings,
    /// Zones that pay otherwise, each `zone:base:per_km` in minor units; at most 1000.
    pub zone_payouts: Vec<String>,
}

impl Default for DispatchSettings {
    fn default() -> Self {
        let rules = DispatchRules::default();
        Self {
            offer_s: rules.offer.as_secs(),
            wave: rules.wave,
            radius_m: rules.radius_m,
            give_up_s: rules.give_up.as_secs(),
            on_give_up: rules.on_give_up,
            silent_s: rules.silent.as_secs(),
            stalled_s: rules.stalled.as_secs(),
            wait_s: rules.wait.as_secs(),
            unreachable_s: rules.unreachable.as_secs(),
            proof: rules.proof,
            payout: PayoutSettings::default(),
            zone_payouts: Vec::new(),
        }
    }
}

/// `[dispatch.payout]`: what a driver gets, in minor units of the order's currency.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PayoutSettings {
    /// For a delivery, 0–100000000.
    pub base_minor: i64,
    /// For each kilometre from the business to the customer, 0–100000000.
    pub per_km_minor: i64,
}

impl Default for PayoutSettings {
    fn default() -> Self {
        let Payout { base_minor, per_km_minor } = DispatchRules::default().payout;
        Self { base_minor, per_km_minor }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Numbers {
    One(u32),
    Many(Vec<u32>),
}

/// Reads a number, or a list of numbers.
fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    let wanted = |_| D::Error::custom("expected a whole number, or a list of whole numbers");
    match Numbers::deserialize(deserializer).map_err(wanted)? {
        Numbers::One(number) => Ok(vec![number]),
        Numbers::Many(numbers) => Ok(numbers),
    }
}

/// Most waves, and most radii, that have a number of their own.
const MAX_WAVES: usize = 20;

/// Most that a driver gets for anything, minor units.
const MAX_PAYOUT: i64 = 100_000_000;

impl DispatchSettings {
    /// Everything wrong with these settings.
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("dispatch");
        checks.range("offer_s", self.offer_s, 5..=600);
        checks.range("give_up_s", self.give_up_s, 60..=86_400);
        checks.range("silent_s", self.silent_s, 30..=3_600);
        checks.range("stalled_s", self.stalled_s, 60..=7_200);
        checks.range("wait_s", self.wait_s, 0..=7_200);
        checks.range("unreachable_s", self.unreachable_s, 0..=3_600);
        checks.range("payout.base_minor", self.payout.base_minor, 0..=MAX_PAYOUT);
        checks.range("payout.per_km_minor", self.payout.per_km_minor, 0..=MAX_PAYOUT);
        for (name, list) in [("wave", &self.wave), ("radius_m", &self.radius_m)] {
            if list.is_empty() || list.len() > MAX_WAVES {
                checks.refuse(name, format!("must have 1 to {MAX_WAVES} numbers"));
            }
        }
        if self.wave.iter().any(|size| *size as usize > DispatchRules::MAX_WAVE) {
            checks.refuse("wave", format!("each must be 0 to {}", DispatchRules::MAX_WAVE));
        }
        if self.radius_m.iter().any(|radius| !(100..=100_000).contains(radius)) {
            checks.refuse("radius_m", "each must be 100 to 100000");
        }
        if !self.radius_m.is_sorted() {
            checks.refuse("radius_m", "none may be smaller than the one before");
        }
        if self.zone_payouts.len() > 1_000 {
            checks.refuse("zone_payouts", "has more than 1000 zones");
        }
        if let Some(wrong) = self.zone_payouts.iter().find(|text| zone_payout(text).is_none()) {
            let form = "is not zone:base:per_km with two numbers of minor units";
            checks.refuse("zone_payouts", format!("{wrong:?} {form}"));
        }
        checks.found()
    }
}

fn zone_payout(text: &str) -> Option<(String, Payout)> {
    let (rest, per_km) = text.rsplit_once(':')?;
    let (zone, base) = rest.rsplit_once(':')?;
    let minor = |text: &str| text.trim().parse().ok().filter(|minor| (0..=MAX_PAYOUT).contains(minor));
    let payout = Payout { base_minor: minor(base)?, per_km_minor: minor(per_km)? };
    let zone = zone.trim();
    (!zone.is_empty()).then(|| (zone.to_owned(), payout))
}

/// The rules by which drivers are searched and watched; a driver carries at most `max_capacity` deliveries at once.
pub fn rules(settings: &DispatchSettings, max_capacity: u8) -> DispatchRules {
    let s = Duration::from_secs;
    let zone_payouts: BTreeMap<_, _> =
        settings.zone_payouts.iter().filter_map(|text| zone_payout(text)).collect();
    let PayoutSettings { base_minor, per_km_minor } = settings.payout;
    let payout = Payout { base_minor, per_km_minor };
    DispatchRules {
        offer: s(settings.offer_s),
        wave: settings.wave.clone(),
        radius_m: settings.radius_m.clone(),
        give_up: s(settings.give_up_s),
        on_give_up: settings.on_give_up,
        silent: s(settings.silent_s),
        stalled: s(settings.stalled_s),
        wait: s(settings.wait_s),
        unreachable: s(settings.unreachable_s),
        max_capacity,
        proof: settings.proof,
        payout,
        zone_payouts,
        ..DispatchRules::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_rules_of_the_search() {
        let defaults = DispatchRules::default();
        assert_eq!(rules(&DispatchSettings::default(), defaults.max_capacity), defaults);
        assert_eq!(DispatchSettings::default().problems(), []);
    }

    #[test]
    fn a_zone_pays_what_its_line_says() {
        let zone_payouts = vec!["old town: 300:0".to_owned(), "a:b:1:2".to_owned()];
        let settings = DispatchSettings { zone_payouts, ..DispatchSettings::default() };
        assert_eq!(settings.problems(), []);
        let rules = rules(&settings, 3);
        assert_eq!((rules.payout_in("old town", 5_000), rules.payout_in("a:b", 5_000)), (300, 11));
        assert_eq!(rules.payout_in("elsewhere", 2_000), rules.payout.of(2_000));
    }

    #[test]
    fn waves_are_a_number_or_a_list() {
        for (text, wave) in [("wave = 0", vec![0]), ("wave = [1, 2]", vec![1, 2])] {
            assert_eq!(toml::from_str::<DispatchSettings>(text).unwrap().wave, wave, "{text}");
        }
        for bad in ["wave = 'many'", "wave = [-1]", "wave = ['x']", "wave = 1.5"] {
            assert!(toml::from_str::<DispatchSettings>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_value_out_of_its_range_is_named() {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        for (settings, key) in [
            (DispatchSettings { offer_s: 4, ..DispatchSettings::default() }, "dispatch.offer_s"),
            (DispatchSettings { wave: vec![], ..DispatchSettings::default() }, "dispatch.wave"),
            (DispatchSettings { wave: vec![1, 101], ..DispatchSettings::default() }, "dispatch.wave"),
            (DispatchSettings { radius_m: vec![99], ..DispatchSettings::default() }, "dispatch.radius_m"),
            (
                DispatchSettings { radius_m: vec![300, 200], ..DispatchSettings::default() },
                "dispatch.radius_m",
            ),
            (
                DispatchSettings {
                    payout: PayoutSettings { base_minor: -1, per_km_minor: 0 },
                    ..DispatchSettings::default()
                },
                "dispatch.payout.base_minor",
            ),
            (
                DispatchSettings { zone_payouts: texts(&["a:1"]), ..DispatchSettings::default() },
                "dispatch.zone_payouts",
            ),
            (
                DispatchSettings { zone_payouts: texts(&[":1:2"]), ..DispatchSettings::default() },
                "dispatch.zone_payouts",
            ),
            (
                DispatchSettings { zone_payouts: texts(&["a:1:-2"]), ..DispatchSettings::default() },
                "dispatch.zone_payouts",
            ),
        ] {
            let keys: Vec<_> = settings.problems().into_iter().map(|problem| problem.key).collect();
            assert_eq!(keys, [key]);
        }
    }
}
