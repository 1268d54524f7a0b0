//! Ports to the database and what stands behind them.
