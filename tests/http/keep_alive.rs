//! Probes on connections whose other end may have vanished.

use std::net::SocketAddr;

use crate::support::{StoreKind, TestApp, Wire, until};

/// How `/proc/net/tcp` writes an address of IPv4: the number in the order of this machine, and the port.
fn as_the_kernel_writes_it(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("{address} is not of IPv4") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}

/// The timer of the connection from `here` to `there`: 2 is that of keep-alive probes.
fn timer(here: SocketAddr, there: SocketAddr) -> Option<String> {
    let ends = [here, there].map(as_the_kernel_writes_it);
    let connections = std::fs::read_to_string("/proc/net/tcp").unwrap();
    connections.lines().find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        (columns.get(1..3)? == ends).then(|| columns[5].split(':').next().unwrap().to_owned())
    })
}

#[tokio::test]
async fn an_idle_connection_is_probed_by_the_kernel_of_the_hub() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let mut wire = Wire::open(app.address).await;
    wire.ask("GET /health/live").await;
    let client = wire.stream.local_addr().unwrap();
    // What was sent is acknowledged, so that no other timer runs.
    let probed = || timer(app.address, client).as_deref() == Some("02");
    until("the hub's end waits to probe", probed).await;
    assert_eq!(timer(client, app.address).as_deref(), Some("00"), "the client's end does not");
}
