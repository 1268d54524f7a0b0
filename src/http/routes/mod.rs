//! The handlers, a module for each kind of resource.

pub mod accounts;
pub mod admin;
pub mod businesses;
pub mod health;
pub mod invitations;
pub mod jobs;
pub mod members;
pub mod menu;
pub mod notifications;
pub mod orders;
pub mod rooms;
pub mod sessions;
pub(super) mod welcome;
