//! The kind of surroundings a hub runs in.

/// The trust a hub puts in its surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// Reachable by anybody: operators' routes are hidden from others and browsers are held to HTTPS.
    Production,
    /// Development and staging.
    NonProduction,
}
