//! Logs and metrics.

mod log_queue;
pub mod logs;
pub mod metrics;
mod quantile;
pub mod settings;
mod system;

pub use metrics::Metrics;
pub use quantile::quantile;
pub use settings::Settings;
