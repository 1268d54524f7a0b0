//! Payments of orders and refunds: what happens to money, decided in one place. Pure: time and new ids are passed in.

mod demand;
mod event;
mod hearing;
mod ledger;
mod model;
mod news;
mod paying;
mod refunding;
mod returning;
pub mod table;
pub mod told;

pub use demand::{RefundDemand, RefundRefusal};
pub use event::PaymentEvent;
pub use ledger::{MoneyEffect, OrderMoney};
pub use model::{MoneyWay, Payment, PaymentState, Refund, RefundCause, RefundState};
pub use news::{NewsRefusal, NewsStatus, PaymentNews};
pub use paying::{InitiateRefusal, Initiated, RecordRefusal, Recorded, may_be_opening};
pub use refunding::{RefundAnswer, RefundStep};

#[cfg(test)]
mod tests;
