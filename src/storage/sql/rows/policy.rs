//! Columns of a business that say which orders it takes and how they ring.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sqlx_macros::FromRow;

use crate::domain::business::{Accepts, AlertPolicy, Business, Pauses};
use crate::domain::ids::BusinessId;
use crate::domain::order::{Fulfilment, PaymentMethod};
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::sql::statement::Arg;

use super::values::{corrupt, number};

/// Columns of a business that say which orders it takes and how they ring.
#[derive(Debug, Default, Serialize, Deserialize, FromRow)]
#[serde(default)]
pub(in crate::storage::sql) struct PolicyRow {
    accept_s: Option<i64>,
    ring_every_s: Option<i64>,
    auto_accept: bool,
    reach: String,
    accepts_fulfilment: Option<String>,
    accepts_payment: Option<String>,
    delivery_radius_m: Option<i64>,
    muted_until: Option<i64>,
    can_ring_since: Option<i64>,
    unanswered: Option<String>,
    called_at: Option<i64>,
    mailed_at: Option<i64>,
    pauses: Option<String>,
    opened_at: Option<i64>,
}

/// What is counted of a business while orders live and end.
#[derive(Serialize)]
pub(in crate::storage::sql) struct BusinessFactsRow {
    id: BusinessId,
    unanswered: Option<String>,
    called_at: Option<i64>,
    mailed_at: Option<i64>,
    pauses: Option<String>,
    version: i64,
    updated_at: i64,
}

impl BusinessFactsRow {
    pub(in crate::storage::sql) fn of(business: &Business) -> Self {
        let PolicyRow { unanswered, called_at, mailed_at, pauses, .. } = PolicyRow::of(business);
        let (version, updated_at) = (business.version, business.updated_at.as_micros());
        Self { id: business.id, unanswered, called_at, mailed_at, pauses, version, updated_at }
    }
}

/// The words of a list, separated by spaces; `None` for all there are.
fn listed<T: Copy + PartialEq>(words: &[T], all: &[T], word: impl Fn(T) -> &'static str) -> Option<String> {
    let is_all = all.iter().all(|one| words.contains(one));
    (!is_all).then(|| words.iter().map(|one| word(*one)).collect::<Vec<_>>().join(" "))
}

/// The columns that people set of how a business takes orders, in the order of [`terms_args`].
pub(in crate::storage::sql) const TERMS_COLUMNS: [&str; 11] = [
    "accept_s",
    "ring_every_s",
    "auto_accept",
    "reach",
    "accepts_fulfilment",
    "accepts_payment",
    "delivery_radius_m",
    "muted_until",
    "unanswered",
    "pauses",
    "opened_at",
];

/// The values of [`TERMS_COLUMNS`].
pub(in crate::storage::sql) fn terms_args(business: &Business) -> [Arg; 11] {
    let row = PolicyRow::of(business);
    [
        Arg::OptInt(row.accept_s),
        Arg::OptInt(row.ring_every_s),
        Arg::Bool(row.auto_accept),
        Arg::Text(row.reach),
        Arg::OptText(row.accepts_fulfilment),
        Arg::OptText(row.accepts_payment),
        Arg::OptInt(row.delivery_radius_m),
        Arg::OptInt(row.muted_until),
        Arg::OptText(row.unanswered),
        Arg::OptText(row.pauses),
        Arg::OptInt(row.opened_at),
    ]
}

impl PolicyRow {
    pub(in crate::storage::sql) fn of(business: &Business) -> Self {
        let Business { accepts, alerts, pauses, .. } = business;
        let unanswered: Vec<String> = alerts.unanswered.iter().map(ToString::to_string).collect();
        Self {
            accept_s: alerts.accept_s.map(Into::into),
            ring_every_s: alerts.ring_every_s.map(Into::into),
            auto_accept: alerts.auto_accept,
            reach: alerts.reach.as_str().to_owned(),
            accepts_fulfilment: listed(&accepts.fulfilment, &Fulfilment::ALL, Fulfilment::as_str),
            accepts_payment: listed(&accepts.payment, &PaymentMethod::ALL, PaymentMethod::as_str),
            delivery_radius_m: Some(accepts.delivery_radius_m.into()),
            muted_until: alerts.muted_until.map(Timestamp::as_micros),
            can_ring_since: alerts.can_ring_since.map(Timestamp::as_micros),
            unanswered: (!unanswered.is_empty()).then(|| unanswered.join(" ")),
            called_at: alerts.called_at.map(Timestamp::as_micros),
            mailed_at: alerts.mailed_at.map(Timestamp::as_micros),
            pauses: (pauses.iter().next().is_some())
                .then(|| serde_json::to_string(pauses).expect("pauses are words and times")),
            opened_at: alerts.opened_at.map(Timestamp::as_micros),
        }
    }

    pub(super) fn accepts(&self) -> Result<Accepts, StoreError> {
        let all = Accepts::default();
        Ok(Accepts {
            fulfilment: words(
                "businesses.accepts_fulfilment",
                self.accepts_fulfilment.as_deref(),
                all.fulfilment,
            )?,
            payment: words("businesses.accepts_payment", self.accepts_payment.as_deref(), all.payment)?,
            delivery_radius_m: self
                .delivery_radius_m
                .map_or(Ok(all.delivery_radius_m), |metres| number("businesses.delivery_radius_m", metres))?,
        })
    }

    pub(super) fn pauses(&self) -> Result<Pauses, StoreError> {
        let pauses = self.pauses.as_deref().map(serde_json::from_str).transpose();
        Ok(pauses.map_err(|_| corrupt("businesses.pauses"))?.unwrap_or_default())
    }

    pub(super) fn alerts(&self) -> Result<AlertPolicy, StoreError> {
        let seconds = |column, value: Option<i64>| value.map(|value| number(column, value)).transpose();
        Ok(AlertPolicy {
            accept_s: seconds("businesses.accept_s", self.accept_s)?,
            ring_every_s: seconds("businesses.ring_every_s", self.ring_every_s)?,
            auto_accept: self.auto_accept,
            // A word of a newer release stands for devices, which every release knows.
            reach: self.reach.parse().unwrap_or_default(),
            muted_until: self.muted_until.map(Timestamp::from_micros),
            can_ring_since: self.can_ring_since.map(Timestamp::from_micros),
            unanswered: words("businesses.unanswered", self.unanswered.as_deref(), Vec::new())?,
            called_at: self.called_at.map(Timestamp::from_micros),
            mailed_at: self.mailed_at.map(Timestamp::from_micros),
            opened_at: self.opened_at.map(Timestamp::from_micros),
        })
    }
}

fn words<T: FromStr>(column: &'static str, text: Option<&str>, all: Vec<T>) -> Result<Vec<T>, StoreError> {
    let Some(text) = text else { return Ok(all) };
    text.split_whitespace().map(|word| word.parse().map_err(|_| corrupt(column))).collect()
}
