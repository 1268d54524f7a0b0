//! The rules of the business, pure and synchronous: no runtime, no clock, no database.

pub mod access;
pub mod address;
pub mod alert_texts;
pub mod authorization;
pub mod business;
pub mod cursor;
pub mod delivery;
pub mod email;
pub mod ephemeral;
pub mod event;
pub mod hold;
pub mod ids;
pub mod json;
pub mod location;
pub mod money;
pub mod notification;
pub mod ops;
pub mod order;
pub mod phone;
pub mod private;
pub mod quota;
pub mod room;
pub mod saga;
pub mod string_enum;
pub mod text;
pub mod time;
