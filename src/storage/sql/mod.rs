//! One SQL implementation of the ports, spoken to Postgres and to SQLite.

pub(in crate::storage) mod circuit_breaker;
pub(in crate::storage) mod committed_heads;
pub(in crate::storage) mod connection;
pub(in crate::storage) mod connector;
pub(in crate::storage) mod errors;
pub(in crate::storage) mod migrations;
pub(in crate::storage) mod pool;
pub mod postgres;
pub(in crate::storage) mod query_metrics;
pub(in crate::storage) mod read_pool;
pub(in crate::storage) mod reads;
pub(in crate::storage) mod rows;
pub(in crate::storage) mod search;
pub mod sqlite;
pub(in crate::storage) mod statement;
pub(in crate::storage) mod store;
pub(in crate::storage) mod transaction;
