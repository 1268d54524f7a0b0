use std::time::Duration;

use bellhop_client::{EventParser, StreamEvent as Event};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use super::app::Endpoint;
use super::person::{Answer, Person};

const PATIENCE: Duration = Duration::from_secs(20);

/// An event stream as a browser would read it.
pub struct EventStream {
    response: Response,
    parser: EventParser,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    pub id: String,
    pub event: String,
    pub data: String,
    pub retry: Option<u64>,
}

impl StreamEvent {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

impl EventStream {
    /// Opens a stream of `/api/v1/rooms/…` and gives its `hello`.
    pub async fn open(app: &Endpoint, person: &Person, path: &str) -> (Self, StreamEvent) {
        let mut stream =
            Self::start(person.request(app, Method::GET, path)).await.expect("the stream is opened");
        let hello = stream.next().await;
        assert_eq!(hello.event, "hello", "{hello:?}");
        (stream, hello)
    }

    /// Opens a stream; an error holds the refusal.
    pub async fn start(request: RequestBuilder) -> Result<Self, Answer> {
        let response = request.send().await.expect("the hub answers");
        if !response.status().is_success() {
            return Err(Answer::read(response).await);
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Self { response, parser: EventParser::default() })
    }

    /// The next event; none when the stream has ended. Comments are passed over.
    pub async fn try_next(&mut self) -> Option<StreamEvent> {
        loop {
            if let Some(Event { id, event, data, retry }) = self.parser.next_event() {
                return Some(StreamEvent { id, event, data, retry });
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("something arrives in time").expect("the stream does not break")?;
            std::str::from_utf8(&chunk).expect("the hub writes whole events");
            self.parser.push(&chunk);
        }
    }

    pub async fn next(&mut self) -> StreamEvent {
        self.try_next().await.expect("the stream goes on")
    }

    /// The next event that is no ring of an order.
    pub async fn next_numbered(&mut self) -> StreamEvent {
        loop {
            let event = self.next().await;
            if event.event != "order_ring" {
                return event;
            }
        }
    }

    /// The reason of the last event; what comes before it is passed over.
    pub async fn closed(&mut self) -> String {
        let mut last = None;
        while let Some(event) = self.try_next().await {
            last = Some(event);
        }
        let last = last.expect("a stream says why it ends");
        assert_eq!(last.event, "close", "{last:?}");
        last.json()["reason"].as_str().expect("a word").to_owned()
    }
}
