//! One SQL implementation of the ports, spoken to Postgres and to SQLite.

mod circuit_breaker;
mod committed_heads;
mod connection;
mod connector;
mod errors;
mod migrations;
mod pool;
pub mod postgres;
mod query_metrics;
mod read_pool;
mod reads;
mod rows;
mod search;
pub mod sqlite;
mod statement;
mod store;
mod transaction;

pub(super) use search::words as search_words;
