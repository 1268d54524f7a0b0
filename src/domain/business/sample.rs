//! A business for tests.

use super::{Business, BusinessContact, BusinessState, Location, Timezone};
use crate::domain::delivery::DeliveredBy;
use crate::domain::ids::BusinessId;
use crate::domain::time::Timestamp;

/// An open business with every default, made at `now`.
pub(crate) fn business(now: Timestamp) -> Business {
    Business {
        id: BusinessId::generate(),
        name: "Soup".to_owned(),
        location: Location { lat: 0.0, lng: 0.0 },
        zone: "z".to_owned(),
        timezone: Timezone::utc(),
        currency: "EUR".parse().expect("a currency"),
        prep_minutes: 20,
        tables: 0,
        delivered_by: DeliveredBy::Business,
        contact: BusinessContact::default(),
        state: BusinessState::Open,
        pauses: Default::default(),
        accepts: Default::default(),
        alerts: Default::default(),
        version: 1,
        created_at: now,
        updated_at: now,
    }
}
