//! Peers that do not read, do not answer, or claim too much: they end, and nobody else notices.

use std::net::SocketAddr;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Device, Person, StoreKind, TestApp, seq, until};

/// The smallest a kernel gives is about this.
const RECEIVE_BUFFER: u32 = 2304;

/// A socket of a business's room without a WebSocket client behind it: it reads and answers only what a test says.
async fn raw_socket(app: &TestApp, person: &Person, business: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
    let mut stream = socket.connect(app.address).await.unwrap();
    let request = format!(
        "GET /ws/notifications/{business} HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {}\r\n\r\n",
        person.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream
}

/// The payload of the next frame that is a close frame; what comes before it is passed over.
async fn close_frame(stream: &mut TcpStream) -> (u16, String) {
    loop {
        let (first, second) = (stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap());
        let length = match second {
            126 => usize::from(stream.read_u16().await.unwrap()),
            127 => panic!("no frame of the hub is so long"),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if first == 0x88 {
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            return (code, String::from_utf8(payload.split_off(2)).unwrap());
        }
    }
}

/// The hub's side of a connection, as this process's table of descriptors names it: the socket may be closed to the
/// network long before its descriptor is free.
struct HubsSide(String);

impl HubsSide {
    fn of(hub: SocketAddr, peer: SocketAddr) -> Self {
        let column = |text: &str| u16::from_str_radix(text.rsplit(':').next().unwrap(), 16).unwrap();
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let inode = table.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let ports = (column(fields[1]), column(fields[2]));
            (ports == (hub.port(), peer.port())).then(|| fields[9].to_owned())
        });
        let side = Self(format!("socket:[{}]", inode.expect("the hub has the connection")));
        assert!(side.has_descriptor(), "the connection is open");
        side
    }

    fn has_descriptor(&self) -> bool {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
        // One that is closed meanwhile has no link any more.
        descriptors
            .flatten()
            .filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .any(|to| to.as_os_str() == &*self.0)
    }
}

fn closes(app: &TestApp, reason: &str) -> u64 {
    app.metrics().websocket_closes_total.with_label_values(&[reason]).get()
}

#[tokio::test]
async fn a_reader_that_stops_is_closed_as_too_slow_while_the_others_get_everything() {
    let settings =
        [("sessions.outbox_frames", "16"), ("sessions.write_stall_s", "1"), ("sessions.max_per_user", "100")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(Device::of_business(&app, &merchant, &business, None).await);
    }
    let slow = raw_socket(&app, &merchant, &business).await;
    let hubs = HubsSide::of(app.address, slow.local_addr().unwrap());
    let note = json!({"type": "NOTE", "title": "t", "message": "x".repeat(900)});
    let path = format!("/businesses/{business}/notifications");
    // Each reads before the next is posted, so that only the one that does not read falls behind.
    let mut posted = 0;
    while closes(&app, "too_slow") == 0 {
        merchant.post(&app, &path, &note).await.expect(201);
        posted += 1;
        for device in &mut others {
            let event: Value = device.next().await;
            assert_eq!((&event["type"], seq(&event)), (&json!("event"), posted));
        }
        assert!(posted < 2000, "the kernel takes less than this for a reader that has stopped");
    }
    until("its descriptor is freed", || !hubs.has_descriptor()).await;
    assert_eq!((closes(&app, "too_slow"), app.sessions().open()), (1, others.len()));
    drop(slow);
    for device in others {
        device.close().await;
    }
}

#[tokio::test]
async fn a_frame_that_claims_256_mib_is_refused_from_its_header() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut socket = raw_socket(&app, &merchant, &business).await;
    let hubs = HubsSide::of(app.address, socket.local_addr().unwrap());
    // FIN and text, masked, a length of eight bytes, the mask; nothing of the payload ever follows.
    let mut header = vec![0x81, 0x80 | 127];
    header.extend((256_u64 * 1024 * 1024).to_be_bytes());
    header.extend([1, 2, 3, 4]);
    socket.write_all(&header).await.unwrap();
    assert_eq!(close_frame(&mut socket).await, (1009, "too_big".to_owned()));
    until("its descriptor is freed", || !hubs.has_descriptor()).await;
    assert_eq!(closes(&app, "too_big"), 1);
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_closed_and_its_descriptor_freed_whatever_it_does() {
    let settings = [("sessions.ping_s", "1"), ("sessions.pong_s", "1")];
    let app = TestApp::start_with(StoreKind::Sqlite, &settings).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut silent = raw_socket(&app, &merchant, &business).await;
    let hubs = HubsSide::of(app.address, silent.local_addr().unwrap());
    until("its descriptor is freed", || !hubs.has_descriptor()).await;
    assert_eq!((closes(&app, "heartbeat_missed"), app.sessions().open()), (1, 0));
    assert_eq!(close_frame(&mut silent).await, (4009, "heartbeat_missed".to_owned()));
}

/// Twenty times a room that is joined and left in one go, and then the end of the socket.
#[tokio::test]
async fn a_socket_that_leaves_a_room_before_it_has_joined_frees_its_descriptor_all_the_same() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let merchant = app.person("merchant", "Mia").await;
    let (one, two) = (merchant.business(&app).await, merchant.business(&app).await);
    let mut device = Device::of_business(&app, &merchant, &one, None).await;
    let hubs = HubsSide::of(app.address, device.socket.get_ref().local_addr().unwrap());
    for _ in 0..20 {
        for verb in ["subscribe", "unsubscribe"] {
            let frame = json!({"type": verb, "room": format!("business:{two}")});
            device.socket.feed(Message::text(frame.to_string())).await.unwrap();
        }
        device.socket.flush().await.unwrap();
        // What was asked before is answered once this is.
        device.send(json!({"type": "ping"})).await;
        while device.next().await["type"] != "alive" {}
    }
    device.close().await;
    until("its descriptor is freed", || !hubs.has_descriptor()).await;
    until("nobody is in a room", || app.sessions().open() == 0).await;
}
