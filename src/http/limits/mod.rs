//! Bounds on how often clients may ask and how much their requests may hold.

pub(super) mod body_budget;
mod class;
pub(super) mod consume;
pub(super) mod denials;
mod local;
pub(super) mod log_throttle;
mod quotas;
mod rate;
mod settings;
mod shared;
mod status;
mod subject;

pub use class::RateClass;
pub use quotas::{Limits, Strictness};
pub use rate::Rate;
pub use settings::LimitSettings;
pub use status::{QuotaStatus, RATE_LIMIT, RATE_LIMIT_POLICY};
pub use subject::QuotaSubject;
