//! What a batch has written.

use std::collections::HashSet;

use crate::domain::ids::PaymentMessageId;
use crate::storage::commands::DriverNow;

use super::super::device_acks;

/// What the rows of a transaction came to.
pub(super) struct Written<'a> {
    /// Acknowledgements that are stored in part only.
    pub(super) left: device_acks::Left<'a>,
    /// Uses of channels that are due.
    pub(super) intents: u32,
    /// Whether money is to be worked on.
    pub(super) money_due: bool,
    /// Messages of the provider that were new.
    pub(super) taken: HashSet<PaymentMessageId>,
    /// Drivers whose rows were written.
    pub(super) drivers: Vec<DriverNow>,
}
