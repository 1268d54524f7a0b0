//! Times and bounds of what drivers say of themselves that are not configured: clients and other nodes rely on them.

use std::time::Duration;

/// A position of a driver is passed on this often at most; of those between, the latest.
pub(super) const PASS_EVERY: Duration = Duration::from_secs(1);

/// Signs of life and positions are written this often, those of many drivers at once.
pub(super) const STORE_EVERY: Duration = Duration::from_secs(8);

/// Drivers in one write: few enough that an order behind it does not wait.
pub(super) const STORE_AT_ONCE: usize = 100;

/// What a driver carries is read again after this, when nothing was heard of a change before.
pub(super) const KNOWN_FOR: Duration = Duration::from_secs(30);

/// What drivers carry is read for so many at a time.
pub(super) const READS_AT_ONCE: usize = 8;

/// Drivers read in one round, and of them those of whom only nothing was heard for long.
pub(super) const READS_A_ROUND: usize = 256;
pub(super) const OLD_READS_A_ROUND: usize = 64;

/// A driver of whom nothing was heard for so long is forgotten here; the store knows their last position.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Most drivers that are remembered.
pub(super) const MAX_DRIVERS: usize = 16_384;

/// A position older than this is not taken.
pub(super) const MAX_AGE: Duration = Duration::from_secs(60);

/// A device that is off by more than this, in either direction, has a wrong clock rather than an old position.
pub(super) const WRONG_CLOCK: Duration = Duration::from_secs(900);

/// Positions that lag by the same time, give or take `STEADY_LAG`, for so long come from a slow clock and not from a queue.
pub(super) const STEADY_FOR: Duration = Duration::from_secs(10);
pub(super) const STEADY_LAG: Duration = Duration::from_secs(3);

/// Time for which a node listens before it calls anybody silent: as long as a sign of life counts.
pub(super) const LISTEN_FIRST: Duration = Duration::from_secs(90);

/// Silent drivers are taken off this often, so many at once.
pub(super) const SILENT_EVERY: Duration = Duration::from_secs(10);
pub(super) const SILENT_AT_ONCE: u32 = 200;

/// How long a stop waits for the last signs of life to be stored.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(1);
