//! Those who stay: sockets of businesses that acknowledge and come and go, and standing readers by the other
//! transports.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::json;

use crate::books::{Cursor, Step, Track};
use crate::chance::Chance;
use crate::ear::{Ear, Transport};
use crate::town::Town;
use crate::wire::{Address, Credential, Frame, Socket};

/// A pause before a connection is opened again that broke or was refused.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Longer than the hub waits for a word of a silent client (25 s until a ping, 10 s for its answer).
const SILENT_FOR: Duration = Duration::from_secs(42);

/// `heartbeat_missed`.
const HEARTBEAT_MISSED: u16 = 4009;

/// A device of a business.
pub(crate) struct Device {
    pub(crate) town: Arc<Town>,
    /// Number of the device; its business follows from it.
    pub(crate) number: usize,
    /// How long a connection is held on average.
    pub(crate) stay: Duration,
    pub(crate) chance: Chance,
    pub(crate) track: Track,
}

/// How a device goes away for a while.
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
        let town = self.town.clone();
        let place = &town.places[self.number % town.businesses()];
        let address = Address::business(&place.id);
        tokio::time::sleep(self.chance.millis(0, 5_000)).await;
        while !town.over.is_cancelled() {
            if let Err(error) = self.listen(&address).await {
                town.fault(format!("device {}: {error:#}", self.number));
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
            let away = self.chance.millis(50, 5_000);
            tokio::select! {
                () = tokio::time::sleep(away) => {}
                () = town.closing.cancelled() => {}
            }
        }
        (self.number % town.businesses(), self.track.cursor().cloned())
    }

    async fn listen(&mut self, address: &Address) -> Result<()> {
        let town = self.town.clone();
        let account = town.places[self.number % town.businesses()].owner.clone();
        let credential = if self.chance.below(4) == 0 { Credential::Ticket } else { Credential::Header };
        let mut socket = Socket::open(&account, address, self.track.cursor(), credential, None).await?;
        socket
            .send(&json!({"type": "device", "id": format!("soak-{}", self.number), "can_ring": true}))
            .await?;
        let average = u64::try_from(self.stay.as_millis()).unwrap_or(u64::MAX / 4);
        let leaving = tokio::time::sleep(self.chance.millis(average / 5, average / 5 * 9));
        tokio::pin!(leaving);
        loop {
            tokio::select! {
                frame = socket.next() => match frame? {
                    Frame::Event(cursor, _) => {
                        let step = self.track.take(cursor.clone());
                        town.books(|books| books.step(step));
                        socket.ack(&cursor).await?;
                    }
                    Frame::TokenExpiring => {
                        let token = account.token().await?;
                        socket.send(&json!({"type": "refresh", "token": token})).await?;
                        town.books(|books| books.did("tokens exchanged on an open socket"));
                    }
                    frame => place_of(&town, &mut self.track, frame)?,
                },
                () = &mut leaving, if !town.closing.is_cancelled() => break,
                () = town.over.cancelled() => {
                    socket.close().await;
                    return Ok(());
                }
            }
        }
        match self.chance.below(20) {
            0 => self.leave(socket, Leave::FallSilent).await,
            1..8 => self.leave(socket, Leave::Vanish).await,
            _ => self.leave(socket, Leave::Farewell).await,
        }
    }

    async fn leave(&self, mut socket: Socket, how: Leave) -> Result<()> {
        match how {
            Leave::Farewell => {
                self.town.books(|books| books.did("devices that said good-bye and came back"));
                socket.close().await;
            }
            Leave::Vanish => self.town.books(|books| books.did("devices that vanished and came back")),
            Leave::FallSilent => {
                tokio::select! {
                    () = tokio::time::sleep(SILENT_FOR) => {}
                    () = self.town.closing.cancelled() => return Ok(()),
                }
                match socket.drain().await? {
                    Some(HEARTBEAT_MISSED) => {
                        self.town.books(|books| books.did("devices closed for a missed heartbeat"));
                    }
                    other => bail!("a silent device was closed with {other:?}, not 4009"),
                }
            }
        }
        Ok(())
    }
}

/// What every reader does with a frame that is no event.
fn place_of(town: &Town, track: &mut Track, frame: Frame) -> Result<()> {
    match frame {
        Frame::Hello(cursor) => {
            let step = track.resume(cursor);
            // Only what was seen counts as heard.
            if step != Step::Next {
                town.books(|books| books.step(step));
            }
        }
        Frame::Resync(cursor) => {
            // No history is old enough to be gone: whoever is told so has lost something.
            *track = Track::default();
            track.resume(cursor);
            town.books(|books| books.resyncs += 1);
        }
        Frame::Refused(code) => bail!("a frame was refused: {code}"),
        Frame::Closed(code) => bail!("closed with {code}"),
        Frame::Event(..) | Frame::TokenExpiring | Frame::Other => {}
    }
    Ok(())
}

/// Hears a business by long polls or an event stream until everybody goes home, coming back by its cursor.
pub(crate) async fn stand_by(town: Arc<Town>, business: usize, transport: Transport, mut chance: Chance) {
    let mut track = Track::default();
    while !town.over.is_cancelled() {
        let stay = chance.millis(60_000, 300_000);
        tokio::select! {
            heard = hear(&town, business, transport, &mut track) => match heard {
                Ok(()) => {}
                Err(error) => {
                    town.fault(format!("{transport:?} of business {business}: {error:#}"));
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            },
            () = tokio::time::sleep(stay) => town.books(|books| books.did("readers that left and came back")),
            () = town.over.cancelled() => return,
        }
    }
}

async fn hear(town: &Town, business: usize, transport: Transport, track: &mut Track) -> Result<()> {
    let place = &town.places[business];
    let mut ear = Ear::open(&place.owner, &Address::business(&place.id), track.cursor(), transport).await?;
    loop {
        match ear.next().await? {
            Frame::Event(cursor, _) => {
                let step = track.take(cursor);
                town.books(|books| books.step(step));
            }
            // A stream ends with the token it was opened with.
            Frame::Closed(_) if transport == Transport::Stream => return Ok(()),
            frame => place_of(town, track, frame)?,
        }
    }
}
