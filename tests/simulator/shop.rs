//! A business and its devices.

use bellhop::domain::business::{
    Business, BusinessContact, BusinessState, MenuItem, Pause, Pauses, Timezone,
};
use bellhop::domain::delivery::DeliveredBy;
use bellhop::domain::hold::{HeldAction, Hold, is_held};
use bellhop::domain::ids::BusinessId;
use bellhop::domain::location::Location;
use bellhop::domain::time::Timestamp;
use uuid::Uuid;

use crate::random::Random;
use crate::riders::near;

/// A business as the store keeps it, and its people.
pub(crate) struct Shop {
    pub(crate) business: Business,
    /// Its pauses as JSON, as the store keeps them.
    pub(crate) pauses: String,
    pub(crate) holds: Vec<Hold>,
    /// Devices that can ring now.
    pub(crate) devices: u64,
    /// When a device could ring last; `None`: never.
    pub(crate) reachable_at: Option<Timestamp>,
    /// Calls and mail to it, of the oracle: the store has the last ones.
    pub(crate) calls: Vec<Timestamp>,
    pub(crate) mails: Vec<Timestamp>,
    /// The customers whose orders ran out since a member answered, of the oracle.
    pub(crate) in_a_row: Vec<usize>,
}

impl Shop {
    pub(crate) fn new(n: u64, random: &mut Random, now: Timestamp) -> Self {
        let mut business = Business {
            id: BusinessId::from_uuid(Uuid::from_u128(0x1000 + u128::from(n))),
            name: format!("Shop {n}"),
            location: near(Location { lat: 0.0, lng: 0.0 }, 2_000, random),
            zone: if n.is_multiple_of(2) { "north" } else { "south" }.to_owned(),
            timezone: Timezone::parse(if n == 0 { "Europe/Lisbon" } else { "Asia/Tokyo" })
                .expect("both are known"),
            currency: "EUR".parse().expect("a currency"),
            prep_minutes: 20,
            tables: 0,
            delivered_by: if n.is_multiple_of(2) { DeliveredBy::Business } else { DeliveredBy::Drivers },
            contact: BusinessContact::default(),
            state: BusinessState::Open,
            pauses: Pauses::default(),
            accepts: Default::default(),
            alerts: Default::default(),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        business.alerts.auto_accept = random.chance(25);
        business.alerts.accept_s = random.chance(30).then(|| random.between(120, 1200) as u16);
        business.alerts.ring_every_s = random.chance(30).then(|| random.between(15, 60) as u16);
        let devices = random.below(3);
        business.alerts.can_ring_since = (devices > 0).then_some(now);
        Self {
            business,
            pauses: "[]".to_owned(),
            holds: Vec::new(),
            devices,
            reachable_at: (devices > 0).then_some(now),
            calls: Vec::new(),
            mails: Vec::new(),
            in_a_row: Vec::new(),
        }
    }

    /// The pauses, read back from the store.
    pub(crate) fn stored_pauses(&self) -> Pauses {
        serde_json::from_str(&self.pauses).expect("pauses read back")
    }

    /// The business with its pauses, as a transaction reads it.
    pub(crate) fn read(&self) -> Business {
        Business { pauses: self.stored_pauses(), ..self.business.clone() }
    }

    pub(crate) fn write_pauses(&mut self, pauses: &Pauses) {
        self.pauses = serde_json::to_string(pauses).expect("pauses are written");
    }

    pub(crate) fn pause(&mut self, pause: Pause) {
        let mut pauses = self.stored_pauses();
        pauses.put(pause);
        self.write_pauses(&pauses);
    }

    pub(crate) fn holds(&self, what: HeldAction, now: Timestamp) -> bool {
        is_held(&self.holds, what, self.business.id, &self.business.zone, now)
    }
}

/// The one thing on every menu.
pub(crate) fn soup() -> MenuItem {
    MenuItem {
        sku: "soup".to_owned(),
        name: "Soup".to_owned(),
        category: None,
        price_minor: 250,
        available: true,
    }
}
