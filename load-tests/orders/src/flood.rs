//! Orders beside a flood of sign-ins: every sign-in costs a password hash, whoever makes it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bellhop_client::lean::Connection;
use serde::Serialize;

use crate::hub::Hub;
use crate::open::Crowd;
use crate::process::Server;
use crate::tally::{Figures, Tally};

/// A client that was refused comes again after this: the flood does not do as it is told.
const IMPATIENCE: Duration = Duration::from_millis(10);

/// Interval of the question how many hashes run.
const LOOK: Duration = Duration::from_millis(250);

/// Rates and times of the load.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Plan {
    /// Orders a second.
    pub(crate) pace: f64,
    /// Clients that sign in again and again.
    pub(crate) logins: usize,
    /// Seconds of each phase.
    pub(crate) seconds: u64,
    /// Times that the phase without and the phase with the flood alternate.
    pub(crate) rounds: usize,
    /// Most orders under way at once.
    pub(crate) bound: usize,
}

/// Results of the run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    plan: Plan,
    without: Figures,
    with: Figures,
    /// p99 with the flood by p99 without it.
    p99_ratio: f64,
    /// Sign-ins answered 401, the honest answer to a wrong password, and how soon.
    sign_ins: Figures,
    hashes_running: f64,
    hashes_peak: f64,
}

/// Alternates orders alone and orders beside the flood.
pub(crate) async fn run(hub: &Rc<Hub>, plan: Plan, server: &Server, run: &str) -> Result<Report> {
    let (mut without, mut with, mut sign_ins) = (Tally::default(), Tally::default(), Tally::default());
    let (mut without_took, mut with_took) = (Duration::ZERO, Duration::ZERO);
    let mut running: f64 = 0.0;
    let time = Duration::from_secs(plan.seconds);
    let mut crowd = Crowd::new(hub.clone(), plan.bound, run);
    for round in 0..plan.rounds {
        let quiet = crowd.come(plan.pace, time, server, |_| ()).await;
        crowd.settle().await?;
        without.add(&quiet.tally.borrow());
        without_took += quiet.took;
        let stop = Rc::new(Cell::new(false));
        let clients: Vec<_> = (0..plan.logins)
            .map(|client| {
                let first = ((round * plan.logins + client) as u64) << 32;
                tokio::task::spawn_local(sign_in_again_and_again(hub.clone(), first, stop.clone()))
            })
            .collect();
        let watch = tokio::task::spawn_local(most_hashes(hub.clone(), stop.clone()));
        let loud = crowd.come(plan.pace, time, server, |_| ()).await;
        crowd.settle().await?;
        with.add(&loud.tally.borrow());
        with_took += loud.took;
        stop.set(true);
        for client in clients {
            sign_ins.add(&client.await?);
        }
        running = running.max(watch.await??);
    }
    let hashes_peak = hub.metric(&mut Connection::new(hub.address), "password_hashes_peak").await?;
    let (without, with) = (without.figures(201, without_took), with.figures(201, with_took));
    Ok(Report {
        p99_ratio: with.p99_ms / without.p99_ms,
        sign_ins: sign_ins.figures(401, with_took),
        without,
        with,
        hashes_running: running,
        hashes_peak,
        plan,
    })
}

async fn sign_in_again_and_again(hub: Rc<Hub>, first: u64, stop: Rc<Cell<bool>>) -> Tally {
    let (mut tally, mut request) = (Tally::default(), Vec::new());
    let (mut connection, mut number) = (Connection::new(hub.address), first);
    while !stop.get() {
        number += 1;
        hub.write_login(&mut request, number);
        let asked = Instant::now();
        let refused = match connection.ask(&request).await {
            Ok(answer) => {
                tally.answered(answer.status, answer.retry_after, 401, asked.elapsed());
                answer.status != 401
            }
            Err(_) => {
                tally.failed();
                true
            }
        };
        if refused {
            tokio::time::sleep(IMPATIENCE).await;
        }
    }
    tally
}

/// The most hashes seen running at once until `stop`.
async fn most_hashes(hub: Rc<Hub>, stop: Rc<Cell<bool>>) -> Result<f64> {
    let (mut connection, mut most) = (Connection::new(hub.address), 0.0_f64);
    while !stop.get() {
        most = most.max(hub.metric(&mut connection, "password_hashes_running").await?);
        tokio::time::sleep(LOOK).await;
    }
    Ok(most)
}

impl Report {
    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self) {
        self.without.print("orders alone");
        self.with.print("beside the flood");
        self.sign_ins.print("sign-ins answered");
        println!(
            "p99 of orders {:.2} times as long; hashes at once {} (most {})",
            self.p99_ratio, self.hashes_running, self.hashes_peak
        );
    }
}
