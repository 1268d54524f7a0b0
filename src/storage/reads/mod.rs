//! What is read, statement by statement. Every list goes through an index.

pub(super) mod accounts;
pub(super) mod businesses;
pub(super) mod invitations;
pub(super) mod orders;
pub(super) mod rooms;
pub(super) mod sealed;
pub(super) mod timeline;
