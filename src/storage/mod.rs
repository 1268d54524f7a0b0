//! Storage: ports to the database, and their implementation for Postgres and SQLite, held to one contract.

pub mod cache;
mod clock;
pub mod commands;
pub mod crypto;
mod error;
mod known_nodes;
mod ports;
pub mod settings;
mod sql;

pub use clock::StoreClock;
pub use error::StoreError;
pub use known_nodes::KnownNodes;
pub use ports::{
    AccountReads, AnswerTimes, Attempt, BusinessReads, BusinessStats, BusinessesInUse, Checkpoint, Circuit,
    DeadLetter, DeadLetterState, DeliveryReads, DriverFilter, DueIntent, DueMessage, DuePlace, DueRefund,
    Earnings, HeldCopyReads, HeldOrder, HeldRefund, HoldReads, IdempotencyReads, Invitation, Lane,
    ListedDelivery, ListedRefund, LoginSession, MaintenanceReads, Member, NextPage, NodeReads,
    NotificationReads, OrderPage, OrderQuery, OrderReads, OrderScope, Overdue, OversightReads, PageStart,
    PaymentReads, PaymentToAsk, PoolDriver, RoomReads, SagaReads, SealedPage, Store, StoredHold, StoredJob,
    StoredRun, TimelineEntry, TimelineEvent, Total, User,
};
pub use settings::Settings;
pub use sql::{postgres, sqlite};

/// Words of `text` that orders are searched by: runs of letters and digits, at most `max` of them.
pub fn search_words(text: &str, max: usize) -> Vec<String> {
    sql::search_words(text, max).map(str::to_owned).collect()
}
