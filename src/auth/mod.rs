//! Authentication by passwords, access tokens, tickets and refresh tokens, and authorization. Knows no actor and no route.

pub mod authenticator;
pub mod authorization;
pub mod last_seen;
pub mod login_throttle;
pub mod password;
pub mod refresh_token;
pub mod revocations;
pub mod stream_proof;
pub mod token;
pub mod unanswered_tickets;
pub mod webhook_signature;
