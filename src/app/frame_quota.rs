//! The quota of socket frames, which is the one of requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::actors::worker::FrameQuota;
use crate::domain::ids::UserId;
use crate::http::limits::{Limits, QuotaSubject, RateClass};

/// Consumes the request quotas for frames; without limits nothing is consumed.
pub(super) struct FrameLimits(pub(super) Option<Arc<Limits>>);

impl FrameQuota for FrameLimits {
    fn consume(&self, user: UserId, now: Instant) -> Result<(), Duration> {
        let Some(limits) = &self.0 else { return Ok(()) };
        limits.consume_here(RateClass::Frames, QuotaSubject::User(user), now).wait().map_or(Ok(()), Err)
    }
}
