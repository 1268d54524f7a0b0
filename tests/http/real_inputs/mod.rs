//! What people of many countries really type, and what becomes of it.

mod accounts;
mod search;
