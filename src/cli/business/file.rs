//! The file that holds one business.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::access::MemberRole;
use crate::domain::business::{Accepts, Business, BusinessContact, Location, MenuItem, Reach, Timezone};
use crate::domain::delivery::DeliveredBy;
use crate::domain::ids::BusinessId;
use crate::storage::commands::{AlertTimes, BusinessPatch};

/// The number of this form of the file.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
pub(super) struct Exported {
    pub(super) format: u32,
    pub(super) business: BusinessId,
    pub(super) settings: Kept,
    pub(super) menu: Vec<MenuItem>,
    pub(super) members: Vec<KeptMember>,
}

#[derive(PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    name: String,
    location: Location,
    zone: String,
    timezone: String,
    prep_minutes: u16,
    tables: u16,
    delivered_by: DeliveredBy,
    email: Option<String>,
    phone: Option<String>,
    accept_s: Option<u16>,
    ring_every_s: Option<u16>,
    auto_accept: bool,
    reach: Reach,
    accepts: Accepts,
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeptMember {
    pub(super) email: String,
    pub(super) role: MemberRole,
}

impl Kept {
    pub(super) fn of(business: &Business) -> Self {
        let (contact, alerts) = (&business.contact, &business.alerts);
        Self {
            name: business.name.clone(),
            location: business.location,
            zone: business.zone.clone(),
            timezone: business.timezone.name().to_owned(),
            prep_minutes: business.prep_minutes,
            tables: business.tables,
            delivered_by: business.delivered_by,
            email: contact.email.clone(),
            phone: contact.phone.clone(),
            accept_s: alerts.accept_s,
            ring_every_s: alerts.ring_every_s,
            auto_accept: alerts.auto_accept,
            reach: alerts.reach,
            accepts: business.accepts.clone(),
        }
    }

    pub(super) fn into_patch(self) -> Result<BusinessPatch, String> {
        Ok(BusinessPatch {
            name: Some(self.name),
            location: Some(self.location),
            zone: Some(self.zone),
            timezone: Some(Timezone::parse(&self.timezone).map_err(|error| error.to_string())?),
            prep_minutes: Some(self.prep_minutes),
            tables: Some(self.tables),
            delivered_by: Some(self.delivered_by),
            contact: Some(BusinessContact { email: self.email, phone: self.phone }),
            alert_times: Some(AlertTimes { accept_s: self.accept_s, ring_every_s: self.ring_every_s }),
            auto_accept: Some(self.auto_accept),
            reach: Some(self.reach),
            accepts: Some(self.accepts),
            ..BusinessPatch::default()
        })
    }
}

impl Exported {
    /// What is written of a business.
    pub(super) fn of(business: &Business, menu: Vec<MenuItem>, members: Vec<KeptMember>) -> Self {
        Self { format: FORMAT, business: business.id, settings: Kept::of(business), menu, members }
    }

    /// Reads a file; the error says what is wrong with it.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        let read: Self =
            serde_json::from_str(&text).map_err(|error| format!("no file of `business export`: {error}"))?;
        match read.format {
            FORMAT => Ok(read),
            other => Err(format!("its form is {other}, expected {FORMAT}")),
        }
    }
}
