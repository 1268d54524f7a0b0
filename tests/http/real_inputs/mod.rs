//! What people and their devices really type, paste and show, in many languages and countries.

mod accounts;
mod names;
mod phones;
mod search;
mod times;
