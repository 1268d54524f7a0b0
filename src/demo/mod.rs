//! Simulated customers and merchants against a real hub.
