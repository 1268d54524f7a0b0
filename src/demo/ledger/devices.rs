//! The devices of a business.

/// Devices of each business; every one of them has to ring.
pub(in crate::demo) const DEVICES: usize = 2;

/// The first device of a business.
pub(in crate::demo) const COUNTER: usize = 0;
