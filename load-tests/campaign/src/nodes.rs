//! The hubs as clients see them: whichever answers is the hub.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use bellhop_client::{CallError, Client, ClientSettings, Request, Rng};
use serde_json::Value;

/// A request is given up after this: longer than faults and an overloaded machine take together.
const PATIENCE: Duration = Duration::from_secs(1_200);

/// Longest wait for one answer, before another hub is asked.
const ANSWER: Duration = Duration::from_secs(12);

/// A refusal that no repetition changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
}

/// All hubs.
#[derive(Debug)]
pub(crate) struct Nodes {
    clients: Vec<Client>,
    rng: RefCell<Rng>,
    /// Requests that were sent again.
    pub(crate) repeated: Cell<u64>,
    /// Answers that no client should get, and how often they came.
    pub(crate) strange: RefCell<BTreeMap<String, u64>>,
}

impl Nodes {
    /// The hubs at these addresses.
    ///
    /// # Errors
    /// When the system gives no HTTP client.
    pub(crate) fn new(addresses: &[SocketAddr], rng: Rng) -> Result<Self> {
        // One try each: this asks the next hub, not the same again.
        let settings =
            ClientSettings { answer_timeout: ANSWER, patience: Duration::ZERO, ..ClientSettings::default() };
        let clients: reqwest::Result<Vec<Client>> =
            addresses.iter().map(|address| Client::new(*address, settings)).collect();
        let rng = RefCell::new(rng);
        Ok(Self { clients: clients?, rng, repeated: Cell::default(), strange: RefCell::default() })
    }

    /// A random choice.
    pub(crate) fn draw<R>(&self, choose: impl FnOnce(&mut Rng) -> R) -> R {
        choose(&mut self.rng.borrow_mut())
    }

    /// One of the hubs.
    pub(crate) fn any(&self) -> &Client {
        let chosen = self.draw(|rng| rng.below(self.clients.len()));
        &self.clients[chosen]
    }

    /// Pauses between two tries, with a random part.
    pub(crate) async fn pause(&self, tries: u32) {
        let most = (100_u64 << tries.min(4)).min(1_000);
        let pause = self.draw(|rng| rng.millis(20, most));
        tokio::time::sleep(pause).await;
    }

    /// Notes an answer that no client should get.
    pub(crate) fn note_strange(&self, what: String) {
        *self.strange.borrow_mut().entry(what).or_default() += 1;
    }

    /// The JSON that answers `request`, from whichever hub answers it.
    ///
    /// # Errors
    /// When it is refused. A request that nobody answers for minutes has the status 0.
    pub(crate) async fn ask(&self, token: &str, request: &Request) -> Result<Value, Refusal> {
        let began = Instant::now();
        for tries in 0.. {
            match self.any().call(request, Some(token)).await {
                Ok(answer) => return Ok(answer),
                Err(CallError::Refused { request, status, code, .. }) if status >= 500 => {
                    let request: String = request.chars().take_while(|c| !c.is_ascii_digit()).collect();
                    self.note_strange(format!("{status} {code} for {request}…"));
                }
                Err(CallError::Refused { status, code, .. }) => return Err(Refusal { status, code }),
                Err(CallError::Unanswered { .. }) => {}
            }
            if began.elapsed() > PATIENCE {
                break;
            }
            self.repeated.set(self.repeated.get() + 1);
            self.pause(tries).await;
        }
        self.note_strange("no answer for minutes".to_owned());
        Err(Refusal { status: 0, code: "unanswered".to_owned() })
    }
}
