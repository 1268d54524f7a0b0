use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::app::Endpoint;
use super::device::Device;
use super::person::{Answer, Person};
use super::stream::EventStream;

/// The three ways to follow a business at once: a socket, an event stream and a long poll, all of them open.
pub struct Followers {
    pub socket: Device,
    pub stream: EventStream,
    polled: JoinHandle<Answer>,
}

impl Followers {
    pub async fn open(through: &Endpoint, olga: &Person, business: &str) -> Self {
        let socket = Device::of_business(through, olga, business, None).await;
        let room = format!("/rooms/business:{business}");
        let (stream, hello) = EventStream::open(through, olga, &format!("{room}/stream")).await;
        let cursor = hello.json()["rooms"][0]["cursor"].as_str().expect("a cursor").to_owned();
        let poll = olga.request(through, Method::GET, &format!("{room}/events?cursor={cursor}&wait=30"));
        Self { socket, stream, polled: tokio::spawn(Answer::of(poll)) }
    }

    /// Each of them hears the order while all stay open. What goes on: the socket, the stream, and the answer to the poll.
    pub async fn hear(mut self, order: &Value) -> (Device, EventStream, Value) {
        assert_eq!(self.socket.next_numbered().await["event"]["data"]["order_id"], order["id"]);
        assert_eq!(self.stream.next().await.event, "order_created");
        let polled = self.polled.await.expect("it ends").expect(200).json();
        assert_eq!(polled["events"][0]["event"]["data"]["order_id"], order["id"]);
        (self.socket, self.stream, polled)
    }
}
