//! Businesses and the items of their menus.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx_macros::FromRow;

use crate::domain::business::{Business, BusinessContact, BusinessState, Location, MenuItem, Timezone};
use crate::domain::delivery::DeliveredBy;
use crate::domain::ids::BusinessId;
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;
use crate::storage::crypto::cipher::{Aad, Cipher};
use crate::storage::error::StoreError;

use super::policy::PolicyRow;
use super::values::{corrupt, number, open, parse, seal};

/// The columns of [`BusinessRow`], of `businesses b`.
pub(in crate::storage::sql) const BUSINESS_COLUMNS: &str = "b.id, b.name, b.lat, b.lng, b.zone, b.timezone, b.currency, \
     b.prep_minutes, b.tables, b.state, b.extra_minutes, b.paused_until, b.version, b.created_at, b.updated_at, \
     b.delivered_by, b.contact_email, b.contact_phone, b.accept_s, b.ring_every_s, b.auto_accept, b.reach, \
     b.accepts_fulfilment, b.accepts_payment, b.delivery_radius_m, b.muted_until, b.can_ring_since, b.unanswered, \
     b.called_at, b.mailed_at, b.pauses, b.opened_at";

/// Businesses without an order for this long are in no figure about all of them: neither those that nobody uses, nor any number of
/// them that somebody made, say whether a network is lost.
pub(in crate::storage::sql) const BUSINESS_IN_USE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Whether a business `b` had an order since the time in `since`.
pub(in crate::storage::sql) fn is_in_use(since: &str) -> String {
    format!("EXISTS (SELECT 1 FROM orders o WHERE o.business_id = b.id AND o.created_at > {since} {{one}})")
}

#[derive(Debug, Serialize, Deserialize, FromRow)]
pub(in crate::storage::sql) struct BusinessRow {
    id: String,
    name: String,
    lat: f64,
    lng: f64,
    zone: String,
    timezone: String,
    currency: String,
    prep_minutes: i64,
    tables: i64,
    state: String,
    extra_minutes: Option<i64>,
    paused_until: Option<i64>,
    version: i64,
    created_at: i64,
    updated_at: i64,
    #[serde(default)]
    delivered_by: String,
    #[serde(default)]
    contact_email: Option<String>,
    #[serde(default)]
    contact_phone: Option<String>,
    #[serde(flatten)]
    #[sqlx(flatten)]
    policy: PolicyRow,
}

fn business_aad<'a>(column: &'static str, row: &'a str) -> Aad<'a> {
    Aad { table: "businesses", column, row }
}

/// The two columns of the contact of a business, sealed.
pub(in crate::storage::sql) fn sealed_contact(
    contact: &BusinessContact,
    business: BusinessId,
    cipher: &Cipher,
) -> Result<(Option<String>, Option<String>), StoreError> {
    let row = business.to_string();
    let sealed = |column, plain: &Option<String>| {
        plain.as_ref().map(|plain| seal(cipher, business_aad(column, &row), plain)).transpose()
    };
    Ok((sealed("contact_email", &contact.email)?, sealed("contact_phone", &contact.phone)?))
}

/// A state as its three columns.
pub(in crate::storage::sql) fn state_columns(
    state: BusinessState,
) -> (&'static str, Option<i64>, Option<i64>) {
    match state {
        BusinessState::Open => ("open", None, None),
        BusinessState::Busy { extra_minutes } => ("busy", Some(extra_minutes.into()), None),
        BusinessState::Paused { until } => ("paused", None, Some(until.as_micros())),
        BusinessState::Closed => ("closed", None, None),
    }
}

impl BusinessRow {
    pub(in crate::storage::sql) fn of(business: &Business, cipher: &Cipher) -> Result<Self, StoreError> {
        let (state, extra_minutes, paused_until) = state_columns(business.state);
        let (contact_email, contact_phone) = sealed_contact(&business.contact, business.id, cipher)?;
        Ok(Self {
            id: business.id.to_string(),
            name: business.name.clone(),
            lat: business.location.lat,
            lng: business.location.lng,
            zone: business.zone.clone(),
            timezone: business.timezone.name().to_owned(),
            currency: business.currency.to_string(),
            prep_minutes: business.prep_minutes.into(),
            tables: business.tables.into(),
            state: state.to_owned(),
            extra_minutes,
            paused_until,
            version: business.version,
            created_at: business.created_at.as_micros(),
            updated_at: business.updated_at.as_micros(),
            delivered_by: business.delivered_by.as_str().to_owned(),
            contact_email,
            contact_phone,
            policy: PolicyRow::of(business),
        })
    }

    /// The business, its contact opened.
    pub(in crate::storage::sql) fn into_business(mut self, cipher: &Cipher) -> Result<Business, StoreError> {
        let id = std::mem::take(&mut self.id);
        let opened = |column, sealed: Option<String>| {
            sealed.map(|sealed| open(cipher, business_aad(column, &id), &sealed)).transpose()
        };
        let contact = BusinessContact {
            email: opened("contact_email", self.contact_email.take())?,
            phone: opened("contact_phone", self.contact_phone.take())?,
        };
        Ok(Business { contact, ..Self { id, ..self }.into_business_without_contact()? })
    }

    /// The business as far as orders are decided by it, which the contact is not.
    pub(in crate::storage::sql) fn into_business_without_contact(self) -> Result<Business, StoreError> {
        let delivered_by = match self.delivered_by.as_str() {
            "" => DeliveredBy::default(),
            word => parse("businesses.delivered_by", word)?,
        };
        let state = match (self.state.as_str(), self.extra_minutes, self.paused_until) {
            ("open", None, None) => BusinessState::Open,
            ("busy", Some(extra), None) => {
                BusinessState::Busy { extra_minutes: number("businesses.extra_minutes", extra)? }
            }
            ("paused", None, Some(until)) => BusinessState::Paused { until: Timestamp::from_micros(until) },
            ("closed", None, None) => BusinessState::Closed,
            _ => return Err(corrupt("businesses.state")),
        };
        Ok(Business {
            id: parse("businesses.id", &self.id)?,
            name: self.name,
            location: Location { lat: self.lat, lng: self.lng },
            zone: self.zone,
            timezone: Timezone::parse(&self.timezone).map_err(|_| corrupt("businesses.timezone"))?,
            currency: Currency::stored(&self.currency).map_err(|_| corrupt("businesses.currency"))?,
            prep_minutes: number("businesses.prep_minutes", self.prep_minutes)?,
            tables: number("businesses.tables", self.tables)?,
            delivered_by,
            contact: BusinessContact::default(),
            state,
            pauses: self.policy.pauses()?,
            accepts: self.policy.accepts()?,
            alerts: self.policy.alerts()?,
            version: self.version,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

/// An item of a menu, in the menu it belongs to.
#[derive(Debug, FromRow)]
pub(in crate::storage::sql) struct MenuItemRow {
    pub(in crate::storage::sql) business_id: String,
    sku: String,
    name: String,
    category: Option<String>,
    price_minor: i64,
    available: bool,
}

impl From<MenuItemRow> for MenuItem {
    fn from(row: MenuItemRow) -> Self {
        let MenuItemRow { sku, name, category, price_minor, available, .. } = row;
        Self { sku, name, category, price_minor, available }
    }
}
