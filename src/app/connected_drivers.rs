//! Whoever has a socket, long poll or stream open is alive.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::actors::driver_positions::DriverPositions;
use crate::actors::session::Sessions;
use crate::domain::access::Role;

/// Often enough that a driver whose connection is open is never silent.
const HEAR_EVERY: Duration = Duration::from_secs(15);

/// How long a worker thread is waited for that is to say who is connected.
const LIST_WITHIN: Duration = Duration::from_secs(1);

/// Notes the connected drivers as alive until `stop`.
pub(super) async fn hear(sessions: Sessions, drivers: DriverPositions, stop: CancellationToken) {
    let mut ticks = interval(HEAR_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                let connected = sessions.workers().connected(LIST_WITHIN).await;
                for principal in connected.iter().filter(|principal| principal.role == Role::Driver) {
                    drivers.alive(principal.user);
                }
            }
        }
    }
}
