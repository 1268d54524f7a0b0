//! Deliveries by drivers of the hub: their table, offers of them, and everything that changes one. Pure: the store keeps what is here
//! and changes it under the locks of the order.

mod answering;
mod course;
mod event;
mod hands;
mod model;
mod offering;
mod status;
mod stepping;
pub mod table;
pub mod told;

pub use answering::{Accepted, AnswerRefusal};
pub use course::{DeliveryEffect, OrderDelivery};
pub use event::{
    DeliveryEvent, DriverLocation, EventDriver, OfferClosed, OfferOpened, PickupPlace, RoughPlace,
};
pub use hands::{AssignRefusal, LeaveRefusal};
pub use model::{Delivery, Offer, Proof, ProofRule};
pub use offering::{Candidate, Wave};
pub use status::{DeliveredBy, DeliveryStatus, LeaveReason, OfferEnd, OfferState, Step};
pub use stepping::{StepOutcome, StepRefusal, StepReport};

#[cfg(test)]
mod tests;
