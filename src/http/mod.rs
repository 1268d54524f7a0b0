//! The HTTP interface and the upgrade to sockets.
