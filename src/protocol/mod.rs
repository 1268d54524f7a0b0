//! What crosses a wire: frames, close codes, problem codes, the shapes of answers.

pub mod bad_frame;
pub mod close;
pub mod event;
pub mod frames;
pub mod problem;
pub mod views;

pub mod websocket;
