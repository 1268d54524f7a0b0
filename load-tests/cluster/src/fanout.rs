//! Throughput and cost of deliveries by the number of nodes, and the cost of what does nothing.

use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bellhop_client::lean::{Greeting, Socket, handshake, masked};
use serde::Serialize;
use tokio::task::{JoinHandle, JoinSet};

use crate::crowd::{self, Crowd, Seat};
use crate::nodes::Nodes;
use crate::publish::publish;
use crate::world::World;

/// Publishers of each node, one event after the other.
const PUBLISHERS: usize = 8;

/// Time until deliveries have come, or until memory and CPU have settled.
const SETTLE: Duration = Duration::from_secs(3);

/// Time over which the CPU of idle hubs is read.
const IDLE: Duration = Duration::from_secs(10);

/// Rooms of one socket beside its own.
const MORE_ROOMS: usize = 24;

/// Sockets of each owner that are in further rooms which exist already.
const SUBSCRIBERS: usize = 10;

/// Sizes of the load.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Plan {
    pub(crate) sockets: usize,
    pub(crate) seconds: u64,
}

/// Deliveries with so many nodes.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    nodes: usize,
    sockets: usize,
    events_per_s: f64,
    deliveries_per_s: f64,
    /// CPU of all hubs for a delivery, publishing included, microseconds.
    cpu_us: f64,
    /// Cores that all hubs used.
    cores: f64,
    missed: u64,
}

/// The cost of what does nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Idle {
    room_kib: f64,
    subscription_kib: f64,
    /// CPU of the hub for a thousand rooms in use, percent of a core.
    cpu_percent_of_thousand_rooms: f64,
}

/// Publishes as fast as the hubs take it.
pub(crate) async fn burst(nodes: Rc<Nodes>, world: Rc<World>, plan: Plan) -> Result<Row> {
    let (began, rooms) = (Instant::now(), world.businesses.len());
    let mut crowd = Crowd::new(&nodes, &world, began);
    let count = nodes.all.len();
    let seat = |number: usize| Seat {
        business: number / count % rooms,
        node: number % count,
        rings: false,
        stays_away: false,
    };
    crowd.open(&(0..plan.sockets).map(seat).collect::<Vec<_>>()).await?;
    tokio::time::sleep(SETTLE).await;
    let (from, before) = (Instant::now(), nodes.usage()?.cpu);
    let end = from + Duration::from_secs(plan.seconds);
    let mut publishers = JoinSet::new();
    for number in 0..PUBLISHERS * count {
        let (nodes, world) = (nodes.clone(), world.clone());
        publishers.spawn_local(async move {
            let (hub, mut published) = (&nodes.all[number % count].client, 0);
            while Instant::now() < end {
                let business = &world.businesses[(number * 31 + published) % world.businesses.len()];
                publish(hub, business, from.elapsed()).await?;
                published += 1;
            }
            anyhow::Ok(published)
        });
    }
    let mut events = 0;
    while let Some(published) = publishers.join_next().await {
        events += published??;
    }
    let incomplete = crowd.incomplete().await?;
    let (took, cpu) = (from.elapsed(), nodes.usage()?.cpu - before);
    let log = crowd.shared.log.borrow();
    crowd::judge(&log, incomplete)?;
    Ok(Row {
        nodes: count,
        sockets: plan.sockets,
        events_per_s: events as f64 / took.as_secs_f64(),
        deliveries_per_s: log.events as f64 / took.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / log.events.max(1) as f64,
        cores: cpu.as_secs_f64() / took.as_secs_f64(),
        missed: log.missed,
    })
}

/// Sockets that are read and say nothing.
struct Quiet {
    sockets: Vec<JoinHandle<()>>,
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.sockets.iter().for_each(JoinHandle::abort);
    }
}

/// Measures one fresh node with the businesses of `world`, which are 25 of each owner.
pub(crate) async fn idle(nodes: &Nodes, world: &World) -> Result<Idle> {
    let of_owner = MORE_ROOMS + 1;
    ensure!(world.businesses.len().is_multiple_of(of_owner), "25 businesses of each owner");
    let owners = world.businesses.chunks(of_owner);
    let mut quiet = Quiet { sockets: Vec::new() };
    let mut sockets = Vec::new();
    for businesses in owners.clone() {
        for _ in 0..=SUBSCRIBERS {
            let address = nodes.all[0].address;
            let path = format!("/ws/notifications/{}", businesses[0].id);
            let request = handshake(address, &path, &businesses[0].owner);
            sockets.push(Socket::open(address, &request, Greeting::Hello, None).await?);
        }
    }
    let alone = settled(nodes).await?;
    let cpu_alone = cpu(nodes).await?;
    for (socket, businesses) in sockets.iter_mut().step_by(SUBSCRIBERS + 1).zip(owners.clone()) {
        subscribe(socket, businesses[1..].iter().map(|business| business.id.as_str())).await?;
    }
    let rooms = owners.len() * MORE_ROOMS;
    let with_rooms = settled(nodes).await?;
    let cpu_rooms = cpu(nodes).await?;
    for (number, socket) in sockets.iter_mut().enumerate() {
        let businesses = &world.businesses[number / (SUBSCRIBERS + 1) * of_owner..][..of_owner];
        if !number.is_multiple_of(SUBSCRIBERS + 1) {
            subscribe(socket, businesses[1..].iter().map(|business| business.id.as_str())).await?;
        }
    }
    let with_all = settled(nodes).await?;
    for mut socket in sockets {
        quiet.sockets.push(tokio::task::spawn_local(async move {
            while socket.readable().await.is_ok() && socket.read(|_| ()).unwrap_or(false) {}
        }));
    }
    let subscription_kib = (with_all - with_rooms) / (rooms * SUBSCRIBERS) as f64;
    Ok(Idle {
        room_kib: (with_rooms - alone) / rooms as f64 - subscription_kib,
        subscription_kib,
        cpu_percent_of_thousand_rooms: (cpu_rooms - cpu_alone) * 100.0 * 1e3 / rooms as f64,
    })
}

async fn subscribe(socket: &mut Socket, businesses: impl Iterator<Item = &str>) -> Result<()> {
    let mut wanted = 0;
    for business in businesses {
        socket.send_raw(&masked(&format!(r#"{{"type":"subscribe","room":"business:{business}"}}"#))).await?;
        wanted += 1;
    }
    let mut greeted = 0;
    let all = async {
        while greeted < wanted {
            socket.readable().await?;
            let open = socket.read(|text| greeted += usize::from(text.starts_with(br#"{"type":"hello""#)))?;
            ensure!(open, "a socket was closed while it subscribed");
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), all).await?
}

/// Memory, KiB, after a while without work.
async fn settled(nodes: &Nodes) -> Result<f64> {
    tokio::time::sleep(SETTLE).await;
    Ok(nodes.usage()?.rss as f64)
}

/// Cores in use by hubs that are idle.
async fn cpu(nodes: &Nodes) -> Result<f64> {
    let before = nodes.usage()?.cpu;
    tokio::time::sleep(IDLE).await;
    Ok((nodes.usage()?.cpu - before).as_secs_f64() / IDLE.as_secs_f64())
}

#[allow(clippy::print_stdout)]
pub(crate) fn print(rows: &[Row], idle: &Idle) {
    println!("nodes  sockets  events/s  deliveries/s  CPU µs/delivery  cores of the hubs");
    for row in rows {
        println!(
            "{:>5}  {:>7}  {:>8.0}  {:>12.0}  {:>15.2}  {:>17.2}",
            row.nodes, row.sockets, row.events_per_s, row.deliveries_per_s, row.cpu_us, row.cores
        );
    }
    println!(
        "an idle room {:.2} KiB, an idle subscription {:.2} KiB; a thousand idle rooms {:.2} % of a core",
        idle.room_kib, idle.subscription_kib, idle.cpu_percent_of_thousand_rooms
    );
}

/// Starts one hub of its own for [`idle`].
pub(crate) async fn one_idle(nodes: Nodes, binary: &Path) -> Result<Idle> {
    nodes.start_all(binary).await?;
    let world = World::make(&nodes.all[0].client, 20 * (MORE_ROOMS + 1), 0).await?;
    let measured = idle(&nodes, &world).await;
    nodes.stop_all().await?;
    measured
}
