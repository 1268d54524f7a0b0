//! The stream between a real socket and a web server that is played here.

use std::future::poll_fn;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::http::connection::AcceptorConfig;
use crate::http::deployment::Deployment;
use crate::http::settings::ServerSettings;
use crate::telemetry::Metrics;

use super::*;

async fn connection() -> (Connection, TcpStream, Metrics) {
    let metrics = Metrics::new(&std::env::temp_dir());
    let config = AcceptorConfig::new(
        &ServerSettings::default(),
        Vec::new(),
        Deployment::NonProduction,
        metrics.clone(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let (connection, ..) = config.acceptor(true).open(server).unwrap();
    (connection, client, metrics)
}

async fn write(connection: &mut Connection, bytes: &[u8]) -> io::Result<usize> {
    poll_fn(|context| Pin::new(&mut *connection).poll_write(context, bytes)).await
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    let (mut connection, client, metrics) = connection().await;
    let answer = vec![b'x'; 64 * 1024];
    let began = Instant::now();
    let cut_off = async {
        loop {
            if let Err(error) = write(&mut connection, &answer).await {
                break error;
            }
        }
    };
    let ended = tokio::time::timeout(2 * WRITE_STALL, cut_off).await.expect("it is cut off");
    assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    assert!(began.elapsed() >= WRITE_STALL);
    let stalled = metrics.http_connections_refused_total.with_label_values(&["write_stalled"]);
    assert_eq!(stalled.get(), 1);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_closed_when_nothing_is_asked_for_too_long() {
    let (mut connection, mut client, _) = connection().await;
    let began = Instant::now();
    let patience = Duration::from_secs(ServerSettings::default().header_timeout_s);
    let closed = tokio::time::timeout(2 * patience, connection.read_u8()).await.expect("it is closed");
    assert_eq!(closed.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert!(began.elapsed() >= patience);
    drop(connection);
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn the_next_head_is_not_passed_on_before_the_answer_was_written() {
    let (mut connection, mut client, _) = connection().await;
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let twice = [&request[..], request].concat();
    tokio::io::AsyncWriteExt::write_all(&mut client, &twice).await.unwrap();
    let exchange = connection.exchange();
    let mut read = vec![0; 4096];
    for n in 0..2 {
        let mut passed = Vec::new();
        while passed.len() < request.len() {
            let some = connection.read(&mut read).await.unwrap();
            passed.extend_from_slice(&read[..some]);
        }
        assert_eq!(passed, request, "request {n}");
        let mut buffer = ReadBuf::new(&mut read);
        let next = poll_fn(|context| {
            Poll::Ready(Pin::new(&mut connection).poll_read(context, &mut buffer).is_pending())
        });
        assert!(next.await, "request {n}");
        exchange.answer_at_once();
        poll_fn(|context| Pin::new(&mut connection).poll_flush(context)).await.unwrap();
    }
    assert!(!connection.has_held());
    assert_eq!(connection.held.capacity(), 0, "an idle connection holds nothing");
}
