//! Values that handlers take from a request's head.

pub mod audience;
pub(super) mod credentials;
pub mod path_id;
pub mod signed_in;
pub(super) mod stream_caller;
