//! Open loop over several hubs: requests come by a schedule that does not wait for answers. Latency counts from the moment a request
//! was due.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bellhop_client::lean::Connection;
use tokio::task::JoinSet;

use crate::tally::{Figures, Tally};

/// The schedule is looked at so often; what is due goes out together.
const STEP: Duration = Duration::from_millis(2);

/// Most requests of one schedule under way at once; one that is due beyond it counts as unsent.
const BOUND: usize = 512;

/// Requests so many times a second for so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) a_second: f64,
    pub(crate) time: Duration,
    /// The status of success.
    pub(crate) wanted: u16,
}

/// Connections that wait for their next request, by hub.
type Idle = Rc<RefCell<HashMap<SocketAddr, Vec<(Connection, Vec<u8>)>>>>;

impl Pace {
    /// Sends what `write` writes, to the hub that it returns, and waits for every answer.
    pub(crate) async fn run(self, mut write: impl FnMut(&mut Vec<u8>) -> SocketAddr) -> Tally {
        let (tally, idle) = (Rc::<RefCell<Tally>>::default(), Idle::default());
        let (began, mut ticks) = (Instant::now(), tokio::time::interval(STEP));
        let (mut due, mut under_way, mut request) = (0_u64, JoinSet::new(), Vec::new());
        while began.elapsed() < self.time {
            ticks.tick().await;
            while under_way.try_join_next().is_some() {}
            // The first one is due at once.
            let wanted = (began.elapsed().min(self.time).as_secs_f64() * self.a_second).ceil() as u64;
            while due < wanted {
                let at = began + Duration::from_secs_f64(due as f64 / self.a_second);
                due += 1;
                let hub = write(&mut request);
                if under_way.len() >= BOUND {
                    tally.borrow_mut().unsent += 1;
                    continue;
                }
                let waiting = idle.borrow_mut().entry(hub).or_default().pop();
                let (mut connection, mut own) = waiting.unwrap_or_else(|| (Connection::new(hub), Vec::new()));
                own.clone_from(&request);
                let (tally, idle) = (tally.clone(), idle.clone());
                under_way.spawn_local(async move {
                    match connection.ask(&own).await {
                        Ok(answer) => {
                            let (status, advice) = (answer.status, answer.retry_after);
                            tally.borrow_mut().answered(status, advice, self.wanted, at.elapsed());
                        }
                        Err(_) => tally.borrow_mut().failed(),
                    }
                    idle.borrow_mut().entry(hub).or_default().push((connection, own));
                });
            }
        }
        while under_way.join_next().await.is_some() {}
        tally.take()
    }

    /// The figures of what came in so many times of it.
    pub(crate) fn figures(self, tally: &Tally, times: u32) -> Figures {
        tally.figures(self.wanted, self.time * times)
    }
}
