//! Counts of a run.

/// Orders by the stage they have reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::demo) struct Totals {
    /// Answered with 201.
    pub(in crate::demo) placed: u64,
    /// Heard by every device of the business.
    pub(in crate::demo) rung: u64,
    /// Acknowledged by every device of the business.
    pub(in crate::demo) acked: u64,
    /// In a status that is an end.
    pub(in crate::demo) completed: u64,
    /// All of it, and every device heard of the end.
    pub(in crate::demo) settled: u64,
}

/// Faults of connections and repeated requests, and how many of them had no effect on an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::demo) struct Recoveries {
    /// Times a device's connection ended.
    pub(in crate::demo) cut: u64,
    /// Times a device came back with its cursor and was let in where it had been.
    pub(in crate::demo) resumed: u64,
    /// Orders that were sent a second time with the same key.
    pub(in crate::demo) repeated: u64,
    /// Of them, those answered with the first order.
    pub(in crate::demo) same: u64,
}
