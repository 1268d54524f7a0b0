//! Drivers and the search for one: pure. Ranking says who is asked first; whether somebody gets a delivery is decided in the
//! transaction that accepts, by the rows of the store.

mod driver;
mod ranking;
mod rules;

pub use driver::{Driver, DriverChange, DriverRefusal, Position, Sharing, Vehicle};
pub use ranking::{DriverStand, Job, OtherJob, rank};
pub use rules::{DispatchRules, GiveUp, Payout};

#[cfg(test)]
mod tests;
