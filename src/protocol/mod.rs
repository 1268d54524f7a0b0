//! The formats on the wire: frames, close codes, problem codes and views. Pure, like [`crate::domain`].

pub mod bad_frame;
pub mod close;
pub mod delivery_views;
pub mod driver_views;
pub mod ephemeral;
pub mod event;
pub mod frames;
pub mod money_views;
pub mod payment_message;
pub mod problem;
pub mod views;
pub mod websocket;
