//! The rules of the house, pure and synchronous.
