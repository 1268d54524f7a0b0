//! Closed loop: each client asks again as soon as it has its answer.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bellhop_client::Rng;
use bellhop_client::lean::Connection;

use crate::hub::Hub;
use crate::tally::{Figures, Tally};

/// So many clients place orders for so long.
pub(crate) async fn place(hub: &Rc<Hub>, clients: usize, time: Duration, run: &str) -> Result<Figures> {
    let hub = hub.clone();
    let run = run.to_owned();
    repeat(clients, time, 201, move |client| {
        let (hub, run, mut rng, mut number) = (hub.clone(), run.clone(), Rng::new(client as u64), 0_u64);
        let connection = Connection::new(hub.address);
        let write = move |request: &mut Vec<u8>| {
            number += 1;
            hub.write_order(request, &mut rng, &format!("{run}-{client}-{number}"));
        };
        (connection, write)
    })
    .await
}

/// Orders as they can be read: whose, and which. As many of each customer.
pub(crate) type Orders = Rc<Vec<(usize, String)>>;

/// About `different` orders that were placed before.
pub(crate) async fn orders(hub: &Hub, different: usize) -> Result<Orders> {
    let each = different.div_ceil(hub.customers.len());
    let mut orders = Vec::with_capacity(different);
    for customer in 0..hub.customers.len() {
        orders.extend(hub.orders_of(customer, each).await?.into_iter().map(|order| (customer, order)));
    }
    ensure!(!orders.is_empty(), "there are no orders to read: place some first");
    Ok(orders.into())
}

/// So many clients read orders drawn from `orders`, for so long.
pub(crate) async fn read(hub: &Rc<Hub>, orders: &Orders, clients: usize, time: Duration) -> Result<Figures> {
    let (hub, orders) = (hub.clone(), orders.clone());
    repeat(clients, time, 200, move |client| {
        let (hub, orders, mut rng) = (hub.clone(), orders.clone(), Rng::new(client as u64));
        let connection = Connection::new(hub.address);
        let write = move |request: &mut Vec<u8>| {
            let (customer, order) = &orders[rng.below(orders.len())];
            hub.write_read(request, *customer, order);
        };
        (connection, write)
    })
    .await
}

/// One client: its connection, and how it writes its next request.
async fn repeat<W>(
    clients: usize,
    time: Duration,
    wanted: u16,
    client: impl Fn(usize) -> (Connection, W),
) -> Result<Figures>
where
    W: FnMut(&mut Vec<u8>) + 'static,
{
    let began = Instant::now();
    let end = began + time;
    let tasks: Vec<_> = (0..clients)
        .map(|n| {
            let (mut connection, mut write) = client(n);
            tokio::task::spawn_local(async move {
                let (mut tally, mut request) = (Tally::default(), Vec::new());
                while Instant::now() < end {
                    write(&mut request);
                    let asked = Instant::now();
                    match connection.ask(&request).await {
                        Ok(answer) => {
                            tally.answered(answer.status, answer.retry_after, wanted, asked.elapsed());
                        }
                        Err(_) => tally.failed(),
                    }
                }
                tally
            })
        })
        .collect();
    let mut tally = Tally::default();
    for task in tasks {
        tally.add(&task.await?);
    }
    Ok(tally.figures(wanted, began.elapsed()))
}
