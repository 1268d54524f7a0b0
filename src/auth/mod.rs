//! Proof of who asks: passwords, access tokens, tickets and refresh tokens. No routes in here.

pub mod activity;
pub mod password;
pub mod refresh;
pub mod revocations;
pub mod stream_proof;
pub mod throttle;
pub mod token;
pub mod unanswered;
