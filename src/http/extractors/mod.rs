//! Values that handlers take from a request's head.

pub mod path_id;
pub mod signed_in;
