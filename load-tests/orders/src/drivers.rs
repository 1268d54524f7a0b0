//! Orders beside drivers who say every second where they are.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bellhop_client::lean::{Greeting, Socket, handshake, masked};
use bellhop_client::{Account, CallError, Client, ClientSettings, NewAccount, Request, Rng, Tokens};
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::hub::{Hub, PASSWORD};
use crate::paced::Pace;
use crate::process::Server;
use crate::room_frame::RoomFrame;
use crate::tally::{Figures, Tally};

/// Interval in which a driver says where they are.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// Longest time from the commit of an order until a device has its event, at p99.
const MOST_P99_MS: f64 = 50.0;

/// Accounts that are made at once: the hub hashes few passwords at a time.
const AT_ONCE: usize = 4;

/// Rates and times of the load.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Plan {
    /// Drivers with an open socket.
    pub(crate) drivers: usize,
    /// Orders a second.
    pub(crate) pace: f64,
    /// Seconds of each phase.
    pub(crate) seconds: u64,
    /// Times that the phase without and the phase with positions alternate.
    pub(crate) rounds: u32,
}

/// Orders without or beside positions.
#[derive(Debug, Serialize)]
struct Phase {
    /// From the request until its answer.
    placed: Figures,
    /// From the request until a device of the business has `order_created`.
    created: Figures,
    /// Positions that were sent.
    positions: u64,
    /// CPU of the hub, percent of one core, and its memory at the end.
    cpu_percent: f64,
    rss_mib: u64,
}

/// Results of the run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    plan: Plan,
    without: Phase,
    with: Phase,
    /// Drivers whose socket has ended. Must be 0.
    lost: u64,
}

/// What all drivers share.
#[derive(Debug, Default)]
struct Shared {
    speaks: Cell<bool>,
    sent: Cell<u64>,
    lost: Cell<u64>,
}

/// Drivers and devices, which go on as long as this is kept.
struct Crowd {
    tasks: Vec<JoinHandle<()>>,
    shared: Rc<Shared>,
    heard: Rc<RefCell<Tally>>,
    began: Instant,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Alternates orders beside silent drivers and beside drivers who send positions. All of them are on, with an open socket, in both.
pub(crate) async fn run(hub: &Rc<Hub>, plan: Plan, server: &Server, run: &str) -> Result<Report> {
    let tokens = accounts(hub, plan.drivers).await?;
    let mut crowd =
        Crowd { tasks: Vec::new(), shared: Rc::default(), heard: Rc::default(), began: Instant::now() };
    for (n, token) in tokens.iter().enumerate() {
        let request = handshake(hub.address, "/ws/driver", token);
        let socket = Socket::open(hub.address, &request, Greeting::Hello, None).await?;
        let (shared, first) = (crowd.shared.clone(), SAY_EVERY.mul_f64(n as f64 / plan.drivers as f64));
        crowd.tasks.push(tokio::task::spawn_local(async move {
            if ride(socket, n, first, &shared).await.is_err() {
                shared.lost.set(shared.lost.get() + 1);
            }
        }));
    }
    for socket in hub.sockets().await? {
        let (heard, began) = (crowd.heard.clone(), crowd.began);
        crowd.tasks.push(tokio::task::spawn_local(async move {
            // It ends with the run.
            let _ = listen(socket, &heard, began).await;
        }));
    }
    let (mut rng, mut number) = (Rng::new(1), 0_u64);
    let (mut phases, mut tallies) =
        ([Load::default(), Load::default()], [Tally::default(), Tally::default()]);
    for round in 0..plan.rounds * 2 {
        let which = (round % 2) as usize;
        crowd.shared.speaks.set(which == 1);
        tokio::time::sleep(2 * SAY_EVERY).await;
        let (before, sent, began) = (server.read()?, crowd.shared.sent.get(), Instant::now());
        crowd.heard.borrow_mut().clone_from(&Tally::default());
        let pace = Pace { a_second: plan.pace, time: Duration::from_secs(plan.seconds), wanted: 201 };
        let placed = pace
            .run(|request| {
                number += 1;
                let at = crowd.began.elapsed().as_micros();
                hub.write_noted_order(request, &mut rng, &format!("{run}-{number}"), &format!("sent {at}"));
                hub.address
            })
            .await;
        let (after, took) = (server.read()?, began.elapsed());
        tokio::time::sleep(SAY_EVERY).await;
        tallies[which].add(&placed);
        let phase = &mut phases[which];
        phase.created.add(&crowd.heard.borrow());
        phase.positions += crowd.shared.sent.get() - sent;
        phase.cpu += after.cpu - before.cpu;
        phase.took += took;
        phase.rss_kib = after.rss;
    }
    let [without, with] = phases;
    let [placed_without, placed_with] = tallies;
    let lost = crowd.shared.lost.get();
    Ok(Report { plan, without: without.figures(&placed_without), with: with.figures(&placed_with), lost })
}

#[derive(Debug, Default)]
struct Load {
    created: Tally,
    positions: u64,
    cpu: Duration,
    took: Duration,
    rss_kib: u64,
}

impl Load {
    fn figures(self, placed: &Tally) -> Phase {
        Phase {
            placed: placed.figures(201, self.took),
            created: self.created.figures(201, self.took),
            positions: self.positions,
            cpu_percent: 100.0 * self.cpu.as_secs_f64() / self.took.as_secs_f64(),
            rss_mib: self.rss_kib / 1024,
        }
    }
}

/// Access tokens of drivers who work where the businesses are.
async fn accounts(hub: &Hub, count: usize) -> Result<Vec<String>> {
    let client = Client::new(hub.address, ClientSettings::default())?;
    let (next, tokens) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(vec![String::new(); count])));
    let mut makers = Vec::new();
    for _ in 0..AT_ONCE {
        let (client, next, tokens) = (client.clone(), next.clone(), tokens.clone());
        makers.push(tokio::task::spawn_local(async move {
            loop {
                let n = next.get();
                if n >= count {
                    return Ok::<(), CallError>(());
                }
                next.set(n + 1);
                let token = account(&client, n).await?;
                tokens.borrow_mut()[n] = token;
            }
        }));
    }
    for maker in makers {
        maker.await??;
    }
    Ok(tokens.take())
}

async fn account(client: &Client, n: usize) -> Result<String, CallError> {
    let email = format!("load-driver-{n}@example.org");
    let token = match Tokens::sign_in(client, &email, PASSWORD, None).await {
        Ok(tokens) => tokens.access_token,
        Err(error) if error.status() == Some(401) => {
            let name = format!("Driver {n}");
            let account = NewAccount { email, password: PASSWORD, role: "driver", name, device: None };
            Account::open(client, account).await?.token().await?
        }
        Err(error) => return Err(error),
    };
    let profile = json!({"vehicle": "scooter", "capacity": 1, "zones": ["load"]});
    client.call(&Request::patch("/drivers/me", profile), Some(&token)).await?;
    Ok(token)
}

/// A driver is on, and says every second where they are while that is wanted.
async fn ride(mut socket: Socket, n: usize, first: Duration, shared: &Shared) -> Result<()> {
    tokio::time::sleep(first).await;
    socket.send_raw(&masked(r#"{"type":"status","online":true}"#)).await?;
    let mut seconds = tokio::time::interval(SAY_EVERY);
    for second in 0_u64.. {
        loop {
            tokio::select! {
                _ = seconds.tick() => break,
                readable = socket.readable() => {
                    readable?;
                    ensure!(socket.read(|_| ())?, "the hub closed the socket");
                }
            }
        }
        if shared.speaks.get() {
            let off = (second % 600) as f64 * 0.000_02;
            let (lat, lng) = (38.69 + (n % 40) as f64 * 0.000_5 + off, -9.11 + (n / 40) as f64 * 0.000_5);
            let frame = format!(r#"{{"type":"location","lat":{lat:.6},"lng":{lng:.6}}}"#);
            socket.send_raw(&masked(&frame)).await?;
            shared.sent.set(shared.sent.get() + 1);
        }
    }
    Ok(())
}

/// A device of a business: it notes how long each new order was on its way.
async fn listen(mut socket: Socket, heard: &RefCell<Tally>, began: Instant) -> Result<()> {
    loop {
        socket.readable().await?;
        let is_open = socket.read(|text| {
            let Ok(frame) = serde_json::from_slice::<RoomFrame<'_>>(text) else { return };
            let sent = frame.event.data.notes.and_then(|notes| notes.strip_prefix("sent ")?.parse().ok());
            if let Some(sent) = sent.filter(|_| frame.event.kind == "order_created") {
                let took = began.elapsed().saturating_sub(Duration::from_micros(sent));
                heard.borrow_mut().answered(201, None, 201, took);
            }
        })?;
        ensure!(is_open, "the hub closed the socket");
    }
}

impl Report {
    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self) {
        for (title, phase) in [("silent drivers", &self.without), ("positions", &self.with)] {
            println!(
                "{title}: {} positions, CPU {:.0} %, {} MiB",
                phase.positions, phase.cpu_percent, phase.rss_mib
            );
            phase.placed.print("  placed");
            phase.created.print("  order_created heard");
        }
        println!("drivers lost {}", self.lost);
    }

    /// Whether the promises hold.
    ///
    /// # Errors
    /// One of them does not.
    pub(crate) fn judge(&self) -> Result<()> {
        for phase in [&self.without, &self.with] {
            ensure!(phase.created.wanted == phase.placed.wanted, "an order was not heard");
            ensure!(phase.created.p99_ms <= MOST_P99_MS, "p99 of order_created over {MOST_P99_MS} ms");
        }
        let due = self.plan.drivers as u64 * self.plan.seconds * u64::from(self.plan.rounds);
        ensure!(self.with.positions * 100 >= due * 95, "positions were not sent in time");
        ensure!(self.lost == 0, "drivers lost their sockets");
        Ok(())
    }
}
