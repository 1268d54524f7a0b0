//! Orders: placing one, moving one. The transitions are in [`table`].

mod change;
mod edit;
mod ended;
mod events;
mod failure;
mod model;
mod placing;
mod status;
pub mod table;
mod transition;
mod way;

pub use change::{AnnouncementIds, OrderChange, OrderEdit, OrderStep};
pub use edit::{ChangeRefusal, ChangeRequest, OrderField};
pub use ended::{EndedCode, EndedReason};
pub use events::{EventItem, EventPayment, KitchenDetails, OrderEvent, OrderSummary, order_number};
pub use failure::FailureReason;
pub use model::{Address, Order, OrderDriver, OrderItem, PaymentMethod, PaymentStatus};
pub use placing::{Draft, DraftItem, NewOrder, PlaceRefusal, place};
pub use status::{Fulfilment, Party, Status};
pub use table::{FollowUp, ReasonRule, TABLE, Verdict, Way, When};
pub use transition::{MoveRefusal, MoveRequest, Moved};

#[cfg(test)]
pub(crate) mod tests;
