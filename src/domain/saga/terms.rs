//! What a business says about the clocks of its orders.

/// The times of a business that differ from those of the hub, and its rule for answering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SagaTerms {
    /// Its own time to answer, seconds.
    pub accept_s: Option<u16>,
    /// Its own pause between rings, seconds.
    pub ring_every_s: Option<u16>,
    /// Whether it accepts after the first acknowledgement.
    pub auto_accept: bool,
}
