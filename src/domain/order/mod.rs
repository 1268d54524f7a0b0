//! Orders: placing one, moving one. The transitions are in [`table`].

mod change;
mod ended;
mod events;
mod model;
mod placing;
mod status;
pub mod table;
mod transition;

pub use change::{AnnouncementIds, OrderChange};
pub use ended::{EndedCode, EndedReason};
pub use events::{EventItem, EventPayment, KitchenDetails, OrderEvent, OrderSummary, order_number};
pub use model::{Address, Order, OrderItem, PaymentMethod, PaymentStatus};
pub use placing::{Draft, DraftItem, NewOrder, PlaceRefusal, place};
pub use status::{Fulfilment, Party, Status};
pub use table::{FollowUp, Verdict, Way};
pub use transition::{MoveRefusal, MoveRequest, Moved};

#[cfg(test)]
mod tests;
