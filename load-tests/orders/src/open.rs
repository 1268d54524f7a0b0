//! Open loop: orders come by a schedule that does not wait for answers, as customers do. Latency counts from the
//! moment an order was due, so that a stall shows in all the orders it delayed.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bellhop_client::Rng;
use bellhop_client::lean::Connection;
use serde::Serialize;

use crate::hub::Hub;
use crate::process::Server;
use crate::tally::Tally;

/// The schedule is looked at so often; what is due goes out together.
const STEP: Duration = Duration::from_millis(2);

/// Longer than the hub lets anybody wait.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Customers: a bounded number of connections, used again in turn.
#[derive(Debug)]
pub(crate) struct Crowd {
    hub: Rc<Hub>,
    /// Most orders under way at once. One that is due beyond it is counted as unsent.
    bound: usize,
    shared: Rc<RefCell<Shared>>,
    /// Of the phase that goes on now.
    phase: Rc<RefCell<Tally>>,
    rng: Rng,
    run: String,
    number: u64,
}

#[derive(Debug, Default)]
struct Shared {
    idle: Vec<(Connection, Vec<u8>)>,
    under_way: usize,
    /// Answers since the last second, of orders of any phase.
    tally: Tally,
}

/// One second of a phase.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Second {
    pub(crate) sent: u64,
    pub(crate) placed: u64,
    pub(crate) refused: u64,
    pub(crate) refusals_without_advice: u64,
    pub(crate) others: u64,
    pub(crate) unsent: u64,
    pub(crate) under_way: usize,
    /// Of the orders placed.
    pub(crate) p99_ms: f64,
    /// Of the server, KiB.
    pub(crate) rss_kib: u64,
}

/// A phase: what was answered in each of its seconds, and what became of all that was sent in it. The latter is known when
/// the crowd has [settled](Crowd::settle).
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) seconds: Vec<Second>,
    pub(crate) tally: Rc<RefCell<Tally>>,
    pub(crate) took: Duration,
}

impl Crowd {
    pub(crate) fn new(hub: Rc<Hub>, bound: usize, run: &str) -> Self {
        Self {
            hub,
            bound,
            shared: Rc::default(),
            phase: Rc::default(),
            rng: Rng::new(7),
            run: run.to_owned(),
            number: 0,
        }
    }

    /// Orders come at `rate` a second for so long. `each` hears of every second when it is over.
    pub(crate) async fn come(
        &mut self,
        rate: f64,
        time: Duration,
        server: &Server,
        mut each: impl FnMut(&Second),
    ) -> Phase {
        let began = Instant::now();
        let mut ticks = tokio::time::interval(STEP);
        self.phase = Rc::default();
        let (mut due, mut seconds, mut sent) = (0_u64, Vec::new(), 0);
        while began.elapsed() < time {
            ticks.tick().await;
            let wanted = (began.elapsed().min(time).as_secs_f64() * rate) as u64;
            while due < wanted {
                let at = began + Duration::from_secs_f64(due as f64 / rate);
                due += 1;
                sent += u64::from(self.send(at));
            }
            if began.elapsed().as_secs() > seconds.len() as u64 {
                let second = self.second(sent, server);
                each(&second);
                seconds.push(second);
                sent = 0;
            }
        }
        if seconds.len() as u64 != time.as_secs() {
            seconds.push(self.second(sent, server));
        }
        Phase { seconds, tally: self.phase.clone(), took: began.elapsed() }
    }

    /// Waits until every order is answered.
    ///
    /// # Errors
    /// When some are not within [`ANSWERED_WITHIN`].
    pub(crate) async fn settle(&self) -> Result<()> {
        let began = Instant::now();
        while self.shared.borrow().under_way > 0 {
            ensure!(began.elapsed() < ANSWERED_WITHIN, "orders are not answered at all");
            tokio::time::sleep(STEP).await;
        }
        Ok(())
    }

    fn second(&self, sent: u64, server: &Server) -> Second {
        let mut shared = self.shared.borrow_mut();
        let tally = std::mem::take(&mut shared.tally);
        Second {
            sent,
            placed: tally.wanted(),
            refused: tally.refused(),
            refusals_without_advice: tally.without_advice,
            others: tally.others(201).values().sum(),
            unsent: tally.unsent,
            under_way: shared.under_way,
            p99_ms: tally.quantile_ms(0.99),
            rss_kib: server.read().map_or(0, |usage| usage.rss),
        }
    }

    /// Sends one order that was due `at`, unless the bound is reached.
    fn send(&mut self, at: Instant) -> bool {
        let mut shared = self.shared.borrow_mut();
        if shared.under_way >= self.bound {
            shared.tally.unsent += 1;
            self.phase.borrow_mut().unsent += 1;
            return false;
        }
        shared.under_way += 1;
        let idle = shared.idle.pop();
        drop(shared);
        let (mut connection, mut request) =
            idle.unwrap_or_else(|| (Connection::new(self.hub.address), Vec::new()));
        self.number += 1;
        let key = format!("{}-open-{}", self.run, self.number);
        self.hub.write_order(&mut request, &mut self.rng, &key);
        let (shared, phase) = (self.shared.clone(), self.phase.clone());
        tokio::task::spawn_local(async move {
            let answer = connection.ask(&request).await.map(|answer| (answer.status, answer.retry_after));
            let mut shared = shared.borrow_mut();
            for tally in [&mut shared.tally, &mut phase.borrow_mut()] {
                match answer {
                    Ok((status, retry_after)) => tally.answered(status, retry_after, 201, at.elapsed()),
                    Err(_) => tally.failed(),
                }
            }
            shared.under_way -= 1;
            shared.idle.push((connection, request));
        });
        true
    }
}
