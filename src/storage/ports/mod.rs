//! Ports to the database: one trait for each aggregate. Every promise here is tested by one suite against every
//! implementation.

mod accounts;
mod businesses;
mod deliveries;
mod held_copy;
mod holds;
mod idempotency;
mod maintenance;
mod nodes;
mod notifications;
mod orders;
mod oversight;
mod payments;
mod rooms;
mod sagas;
mod store;
mod writer;

pub use accounts::{AccountReads, LoginSession, User};
pub use businesses::{AnswerTimes, BusinessReads, Invitation, Member};
pub use deliveries::{DeliveryReads, DriverFilter, Earnings, ListedDelivery, PoolDriver};
pub use held_copy::{HeldCopyReads, HeldOrder, HeldRefund};
pub use holds::{HoldReads, StoredHold};
pub use idempotency::IdempotencyReads;
pub use maintenance::{MaintenanceReads, SealedPage};
pub use nodes::{NodeReads, StoredJob, StoredRun};
pub use notifications::NotificationReads;
pub use orders::{
    BusinessStats, NextPage, OrderPage, OrderQuery, OrderReads, OrderScope, PageStart, TimelineEntry,
    TimelineEvent, Total,
};
pub use oversight::{BusinessesInUse, Overdue, OversightReads};
pub use payments::{
    DeadLetter, DeadLetterState, DueMessage, DueRefund, ListedRefund, PaymentReads, PaymentToAsk,
};
pub use rooms::RoomReads;
pub use sagas::{DueIntent, DuePlace, SagaReads};
pub use store::{Checkpoint, Circuit, Store};
pub use writer::{Attempt, Lane};
