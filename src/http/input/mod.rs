//! Typed input: bodies, query strings and texts become values of their types, and every wrong field is named.

mod body;
mod by_hand;
mod faults;
mod list;
mod null;
mod parsed;
mod query;
mod read;
pub mod rules;
mod validate;

pub use body::{Body, RawBody};
pub use by_hand::ByHand;
pub use list::List;
pub use null::null_is_a_value;
pub use parsed::{FromText, NumberBounds, Parsed, one_of, schema_of};
pub use query::Query;
