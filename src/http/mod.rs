//! The HTTP interface and the upgrade to sockets.

pub mod access;
