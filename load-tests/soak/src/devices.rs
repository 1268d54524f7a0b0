//! Sockets of businesses that acknowledge, go away and come back, and standing readers by the other transports.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use bellhop_client::{Arrival, ConnectionError, Credential, Cursor, Frame, GapDetector, Rng, Room, Socket};
use serde_json::json;

use crate::event_reader::{EventData, EventReader, Transport};
use crate::scenario::Scenario;

/// A pause before a connection is opened again that broke or was refused.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Longer than the hub waits for a word of a silent client (25 s until a ping, 10 s for its answer).
const SILENT_FOR: Duration = Duration::from_secs(42);

/// `heartbeat_missed`.
const HEARTBEAT_MISSED: u16 = 4009;

/// A device of a business.
pub(crate) struct Device {
    pub(crate) scenario: Arc<Scenario>,
    /// Number of the device; its business follows from it.
    pub(crate) number: usize,
    /// Average life of a connection.
    pub(crate) stay: Duration,
    pub(crate) rng: Rng,
    pub(crate) gaps: GapDetector,
}

/// A way to go offline for a while.
enum Leave {
    /// With a close frame.
    Farewell,
    /// The connection ends without one.
    Vanish,
    /// It stays connected, but neither reads nor answers.
    FallSilent,
}

impl Device {
    /// Listens until everybody goes home, with breaks; comes back by its cursor. Gives its business and how far it
    /// came.
    pub(crate) async fn run(mut self) -> (usize, Option<Cursor>) {
        let scenario = self.scenario.clone();
        let business = &scenario.businesses[self.number % scenario.business_count()];
        let room = Room::business(&business.id);
        tokio::time::sleep(self.rng.millis(0, 5_000)).await;
        while !scenario.over.is_cancelled() {
            if let Err(error) = self.listen(&room).await {
                scenario.fault(format!("device {}: {error:#}", self.number));
                tokio::time::sleep(RECONNECT_PAUSE).await;
                continue;
            }
            let away = self.rng.millis(50, 5_000);
            tokio::select! {
                () = tokio::time::sleep(away) => {}
                () = scenario.closing.cancelled() => {}
            }
        }
        (self.number % scenario.business_count(), self.gaps.cursor())
    }

    async fn listen(&mut self, room: &Room) -> Result<()> {
        let scenario = self.scenario.clone();
        let account = scenario.businesses[self.number % scenario.business_count()].owner.clone();
        let credential = if self.rng.below(4) == 0 { Credential::Ticket } else { Credential::Header };
        let mut socket = Socket::open(&account, room, self.gaps.cursor(), credential, None).await?;
        socket
            .send(&json!({"type": "device", "id": format!("soak-{}", self.number), "can_ring": true}))
            .await?;
        let average = u64::try_from(self.stay.as_millis()).unwrap_or(u64::MAX / 4);
        let leaving = tokio::time::sleep(self.rng.millis(average / 5, average / 5 * 9));
        tokio::pin!(leaving);
        loop {
            tokio::select! {
                frame = socket.next::<EventData>() => match frame? {
                    Frame::Event { cursor, .. } => {
                        let arrival = self.gaps.on_event(cursor);
                        scenario.ledger(|ledger| ledger.count(arrival));
                        socket.ack(cursor).await?;
                    }
                    Frame::TokenExpiring => {
                        socket.refresh(&account.token().await?).await?;
                        scenario.ledger(|ledger| ledger.did("tokens exchanged on an open socket"));
                    }
                    frame => on_frame(&scenario, &mut self.gaps, frame)?,
                },
                () = &mut leaving, if !scenario.closing.is_cancelled() => break,
                () = scenario.over.cancelled() => {
                    socket.close().await;
                    return Ok(());
                }
            }
        }
        match self.rng.below(20) {
            0 => self.leave(socket, Leave::FallSilent).await,
            1..8 => self.leave(socket, Leave::Vanish).await,
            _ => self.leave(socket, Leave::Farewell).await,
        }
    }

    async fn leave(&self, mut socket: Socket, how: Leave) -> Result<()> {
        match how {
            Leave::Farewell => {
                self.scenario.ledger(|ledger| ledger.did("devices that said good-bye and came back"));
                socket.close().await;
            }
            Leave::Vanish => self.scenario.ledger(|ledger| ledger.did("devices that vanished and came back")),
            Leave::FallSilent => {
                tokio::select! {
                    () = tokio::time::sleep(SILENT_FOR) => {}
                    () = self.scenario.closing.cancelled() => return Ok(()),
                }
                match socket.drain().await? {
                    Some(HEARTBEAT_MISSED) => {
                        self.scenario.ledger(|ledger| ledger.did("devices closed for a missed heartbeat"));
                    }
                    other => bail!("a silent device was closed with {other:?}, not 4009"),
                }
            }
        }
        Ok(())
    }
}

/// Handles a frame that is no event, as every reader does.
fn on_frame(scenario: &Scenario, gaps: &mut GapDetector, frame: Frame<EventData>) -> Result<()> {
    match frame {
        Frame::Hello { cursor } => {
            let arrival = gaps.on_hello(cursor);
            // Only an event that was seen counts as heard.
            if arrival != Arrival::Next {
                scenario.ledger(|ledger| ledger.count(arrival));
            }
        }
        Frame::Resync { cursor } => {
            // No history is old enough to be gone: a reader that is told so has lost something.
            gaps.on_resync(cursor);
            scenario.ledger(|ledger| ledger.resyncs += 1);
        }
        Frame::Refused { code } => bail!("a frame was refused: {code}"),
        Frame::Event { .. } | Frame::TokenExpiring | Frame::Ephemeral { .. } | Frame::Other => {}
    }
    Ok(())
}

/// Reads a business's room by long polls or an event stream until the run is over, coming back by its cursor.
pub(crate) async fn stand_by(scenario: Arc<Scenario>, business: usize, transport: Transport, mut rng: Rng) {
    let mut gaps = GapDetector::default();
    while !scenario.over.is_cancelled() {
        let stay = rng.millis(60_000, 300_000);
        tokio::select! {
            read = read_room(&scenario, business, transport, &mut gaps) => match read {
                Ok(()) => {}
                Err(error) => {
                    scenario.fault(format!("{transport:?} of business {business}: {error:#}"));
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
            },
            () = tokio::time::sleep(stay) => scenario.ledger(|ledger| ledger.did("readers that left and came back")),
            () = scenario.over.cancelled() => return,
        }
    }
}

async fn read_room(
    scenario: &Scenario,
    business: usize,
    transport: Transport,
    gaps: &mut GapDetector,
) -> Result<()> {
    let business = &scenario.businesses[business];
    let room = Room::business(&business.id);
    let mut reader = EventReader::open(&business.owner, &room, gaps.cursor(), transport).await?;
    loop {
        match reader.next().await {
            Ok(Frame::Event { cursor, .. }) => {
                let arrival = gaps.on_event(cursor);
                scenario.ledger(|ledger| ledger.count(arrival));
            }
            // A stream ends with the token it was opened with.
            Err(ConnectionError::Closed { .. }) if transport == Transport::Stream => return Ok(()),
            frame => on_frame(scenario, gaps, frame?)?,
        }
    }
}
