//! One device for each business: it acknowledges every new order, and accepts it unless it is told not to.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Result;
use bellhop_client::lean::{Connection, Greeting, Socket, handshake, masked, write_request};
use tokio::task::JoinHandle;

use crate::room_frame::RoomFrame;

/// What a device does with an order that it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Accept,
    Nothing,
}

/// The devices of a hub, which answer as long as this is kept.
#[derive(Debug)]
pub(crate) struct Devices {
    tasks: Vec<JoinHandle<()>>,
    accepted: Rc<Cell<u64>>,
    failed: Rc<Cell<u64>>,
}

impl Devices {
    /// A device for each of these businesses, all of one merchant.
    pub(crate) async fn open(
        address: SocketAddr,
        merchant: &str,
        businesses: &[String],
        then: Then,
    ) -> Result<Self> {
        let mut devices = Self { tasks: Vec::new(), accepted: Rc::default(), failed: Rc::default() };
        for business in businesses {
            let request = handshake(address, &format!("/ws/notifications/{business}"), merchant);
            let socket = Socket::open(address, &request, Greeting::Hello, None).await?;
            let (accepted, failed) = (devices.accepted.clone(), devices.failed.clone());
            let merchant = merchant.to_owned();
            devices.tasks.push(tokio::task::spawn_local(async move {
                let connection = Connection::new(address);
                if answer(socket, connection, &merchant, then, (&accepted, &failed)).await.is_err() {
                    failed.set(failed.get() + 1);
                }
            }));
        }
        Ok(devices)
    }

    /// Orders accepted so far, and moves or sockets that failed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.accepted.get(), self.failed.get())
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Answers until the hub closes the socket.
async fn answer(
    mut socket: Socket,
    mut connection: Connection,
    merchant: &str,
    then: Then,
    (accepted, failed): (&Cell<u64>, &Cell<u64>),
) -> Result<()> {
    let mut request = Vec::new();
    loop {
        socket.readable().await?;
        let (mut orders, mut ack) = (Vec::new(), None);
        let open = socket.read(|text| {
            let Ok(frame) = serde_json::from_slice::<RoomFrame<'_>>(text) else { return };
            if frame.event.kind == "order_created" {
                if then == Then::Accept {
                    orders.push((frame.event.data.order_id.to_owned(), frame.event.data.version));
                }
                ack =
                    Some(format!(r#"{{"type":"ack","room":"{}","cursor":"{}"}}"#, frame.room, frame.cursor));
            }
        })?;
        if let Some(ack) = ack {
            socket.send_raw(&masked(&ack)).await?;
        }
        for (order, version) in orders {
            let body = format!(r#"{{"status":"accepted","version":{version},"prep_minutes":15}}"#);
            let path = format!("/api/v1/orders/{order}/status");
            write_request(&mut request, connection.address(), ("PATCH", &path), merchant, "", &body);
            let count = match connection.ask(&request).await {
                Ok(answer) if answer.status == 200 => accepted,
                Ok(_) | Err(_) => failed,
            };
            count.set(count.get() + 1);
        }
        if !open {
            return Ok(());
        }
    }
}
