//! Drivers, deliveries and offers.

use serde::{Deserialize, Serialize};

use crate::domain::delivery::{LeaveReason, StepReport, Wave};
use crate::domain::dispatch::{Driver, DriverChange, Job, Position, Sharing};
use crate::domain::ids::{BusinessId, DeliveryId, OfferId, OrderId, UserId};
use crate::domain::order::Party;
use crate::domain::time::Timestamp;

/// Changes what a driver says about themselves; the first time makes their row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeDriver {
    /// The driver.
    pub driver: UserId,
    /// What is to be different.
    pub change: DriverChange,
    /// Whether an operator has to approve zones.
    pub sharing: Sharing,
}

/// Lets a driver get offers, or no more of them. Open offers of who goes off are withdrawn; what they carry stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetDriverOnline {
    /// The driver.
    pub driver: UserId,
    /// Whether they want offers.
    pub online: bool,
}

/// Says in which zones a driver works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApproveZones {
    /// The driver.
    pub driver: UserId,
    /// The zones; none takes the driver off.
    pub zones: Vec<String>,
    /// The operator.
    pub user: UserId,
}

/// A sign of life of a driver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriverSeen {
    /// The driver.
    pub driver: UserId,
    /// When.
    pub alive_at: Timestamp,
    /// Their last position, where it is newer than the one before.
    pub position: Option<Position>,
}

/// Sets drivers offline of whom nothing was heard for too long, and withdraws their open offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndSilentDrivers {
    /// Most of them at once.
    pub limit: u32,
}

/// Opens a wave of offers, to those of the candidates who can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWave {
    /// The order.
    pub order: OrderId,
    /// The business it was placed at; its writes go one after another.
    pub business: BusinessId,
    /// What the pool proposes.
    pub wave: Wave,
}

/// The answer of a driver to an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferAnswer {
    /// They take the delivery.
    Accept,
    /// They do not want it.
    Decline {
        /// Why.
        reason: Option<String>,
    },
}

/// Answers an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerOffer {
    /// The offer.
    pub offer: OfferId,
    /// The order it is about.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// Who answers.
    pub driver: UserId,
    /// What they say.
    pub answer: OfferAnswer,
}

/// A delivery that was changed, or was so before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryChanged {
    /// The order.
    pub order: OrderId,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Whether it was so before.
    pub already: bool,
}

/// Takes a step that a driver or an operator reports, and moves the order with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportStep {
    /// The order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// The capacity in which it is reported.
    pub party: Party,
    /// By whom.
    pub user: UserId,
    /// The report.
    pub report: StepReport,
}

/// The outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepTaken {
    /// It counts, now or since before.
    Taken,
    /// The driver has the delivery no more: it is kept for operators.
    Late,
}

/// Gives a delivery to a driver by an operator's hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssignDriver {
    /// The order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// The driver.
    pub driver: UserId,
    /// The operator.
    pub user: UserId,
    /// The id under which the assignment is kept among the offers.
    pub offer: OfferId,
}

/// Takes a delivery from its driver before it was picked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveDelivery {
    /// The order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// The capacity in which it is asked.
    pub party: Party,
    /// By whom; `None`: the hub.
    pub user: Option<UserId>,
    /// Why; what a driver says is no-fault is judged by the times of the order.
    pub reason: LeaveReason,
    /// In words.
    pub text: Option<String>,
}

/// Another way for an order to its customer, while drivers are searched for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherWay {
    /// The business brings it itself.
    Own,
    /// The customer fetches it.
    Pickup,
}

/// Takes an order out of the hands of drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeWay {
    /// The order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// The capacity in which it is asked.
    pub party: Party,
    /// By whom.
    pub user: UserId,
    /// The way.
    pub way: OtherWay,
}

/// Why an order goes no other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayRefusal {
    /// There is no such order.
    NoSuchOrder,
    /// No driver is searched for it: a driver has it, or it has ended, or it was never for drivers.
    NotSearched,
}

/// Says until when a driver is searched for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendSearch {
    /// The order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// The operator.
    pub user: UserId,
    /// Until then.
    pub until: Timestamp,
}

/// Looks at once whether somebody is to be asked, or whether the driver still may come: a commit of another order has withdrawn the last
/// offer, or one the account of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookAgain {
    /// The order.
    pub order: OrderId,
    /// Its business.
    pub business: BusinessId,
}

/// A look for a driver that follows a commit: the pool of the zone is asked whom to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct LookDue {
    /// The order.
    pub order: OrderId,
    /// Its business.
    pub business: BusinessId,
    /// The zone in which is looked.
    pub zone: String,
    /// The attempt to name when the wave is opened.
    pub attempt: i64,
    /// The number of the wave, from 1.
    pub wave: u32,
    /// What each driver would get, in minor units.
    pub payout_minor: i64,
    /// What is to be brought.
    pub job: Job,
}

/// A driver whose row a commit wrote, with what they carry and whether they are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct DriverNow {
    /// The row.
    pub driver: Driver,
    /// Whether an offer waits for their answer, as far as the commit knows.
    pub is_asked: bool,
}
