use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

/// HTTP as bytes on one connection, for what no client would send.
pub struct Wire {
    pub stream: TcpStream,
    read: Vec<u8>,
}

/// One answer as it came.
#[derive(Debug)]
pub struct WireAnswer {
    /// The status line and the fields, in lower case.
    pub head: String,
    pub body: String,
}

impl WireAnswer {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line")
    }

    /// A field; empty when it is absent.
    pub fn field(&self, name: &str) -> &str {
        let prefix = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default()
    }

    /// A problem of this code, protected and named as every answer is.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status(), status, "{self:?}");
        assert_eq!(self.field("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.field("x-content-type-options"), "nosniff", "{self:?}");
        let problem: Value = serde_json::from_str(&self.body).expect("a problem is JSON");
        assert_eq!(problem["code"], code, "{self:?}");
        assert_eq!(problem["request_id"], self.field("x-request-id"), "{self:?}");
    }
}

impl Wire {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the hub listens");
        stream.set_nodelay(true).expect("an option of every stream");
        Self { stream, read: Vec::new() }
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("the hub reads");
    }

    /// No more will be sent.
    pub async fn close_half(&mut self) {
        self.stream.shutdown().await.expect("the side is open");
    }

    /// Sends a request without a body and gives its answer.
    pub async fn ask(&mut self, request: &str) -> WireAnswer {
        self.send(&format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        self.answer().await
    }

    pub async fn answer(&mut self) -> WireAnswer {
        self.answer_to("GET").await
    }

    /// The next answer; one to HEAD has no body, whatever its fields say.
    pub async fn answer_to(&mut self, method: &str) -> WireAnswer {
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.read.drain(..end + 4).collect();
                break String::from_utf8(head).expect("a head is ASCII").to_lowercase();
            }
            assert!(
                self.more().await,
                "closed instead of an answer: {:?}",
                String::from_utf8_lossy(&self.read)
            );
        };
        let mut answer = WireAnswer { head, body: String::new() };
        let length = match answer.field("content-length").parse::<usize>() {
            Ok(length) if method != "HEAD" && answer.status() >= 200 => length,
            _ => 0,
        };
        while self.read.len() < length {
            assert!(self.more().await, "closed in a body");
        }
        answer.body = String::from_utf8(self.read.drain(..length).collect()).expect("UTF-8");
        answer
    }

    /// Waits until what came holds `text`.
    pub async fn see(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.read).contains(text) {
            assert!(self.more().await, "closed before {text:?}");
        }
    }

    /// What comes until the hub closes its side; a reset is a close as well.
    pub async fn rest(mut self) -> String {
        while self.more().await {}
        String::from_utf8(self.read).expect("UTF-8")
    }

    async fn more(&mut self) -> bool {
        let mut some = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut some)).await;
        match read.expect("something comes in time") {
            Ok(read) => {
                self.read.extend_from_slice(&some[..read]);
                read > 0
            }
            Err(_) => false,
        }
    }
}
