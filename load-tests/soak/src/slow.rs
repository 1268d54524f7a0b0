//! A reader that stops reading now and then, until the hub closes it as too slow; it comes back by its cursor.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::api::Call;
use crate::books::{Step, Track};
use crate::chance::Chance;
use crate::town::Town;
use crate::wire::{Address, Credential, Frame, Socket};

/// The smallest a kernel gives is about this.
const RECEIVE_BUFFER: u32 = 2304;

/// Notifications of some 6 KiB posted to it: more than both kernels' buffers take (the hub's sends from 64 KiB), less
/// than its outbox bound, so that it is the stalled write that ends it.
const POSTED: usize = 40;

/// Longer than the hub waits for a stalled write (10 s).
const STOPPED_FOR: Duration = Duration::from_secs(15);

/// How long catching up may take.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(30);

/// `too_slow`.
const TOO_SLOW: u16 = 4008;

/// Stops reading about once a minute until the town closes.
pub(crate) async fn stop_reading_now_and_then(town: Arc<Town>, mut chance: Chance) {
    let mut track = Track::default();
    loop {
        tokio::select! {
            () = tokio::time::sleep(chance.millis(20_000, 60_000)) => {}
            () = town.closing.cancelled() => return,
        }
        match stop_reading(&town, &mut track).await {
            Ok(()) => {
                town.books(|books| books.did("readers that stopped, were closed as too slow and came back"))
            }
            Err(error) => town.fault(format!("the slow reader: {error:#}")),
        }
    }
}

async fn stop_reading(town: &Town, track: &mut Track) -> Result<()> {
    let place = town.places.last().context("a place for slow readers")?;
    let address = Address::business(&place.id);
    let by = Credential::Header;
    let mut stopped = Socket::open(&place.owner, &address, track.cursor(), by, Some(RECEIVE_BUFFER)).await?;
    let Frame::Hello(cursor) = stopped.next().await? else { bail!("no hello") };
    ensure!(track.resume(cursor) == Step::Next, "a hello out of place");
    let note = json!({
        "type": "SOAK", "title": "t", "message": "x".repeat(2_000), "data": {"padding": "x".repeat(4_000)},
    });
    for _ in 0..POSTED {
        place
            .owner
            .call(&Call::post(format!("/businesses/{}/notifications", place.id), note.clone()))
            .await?;
    }
    tokio::time::sleep(STOPPED_FOR).await;
    // The close frame may have found no room in the buffers; that the connection ends is what counts.
    let code = stopped.drain().await?;
    ensure!(code.is_none_or(|code| code == TOO_SLOW), "closed with {code:?}, not 4008");
    drop(stopped);
    let mut back = Socket::open(&place.owner, &address, track.cursor(), by, None).await?;
    let catching_up = async {
        let mut came = 0;
        while came < POSTED {
            match back.next().await? {
                Frame::Hello(cursor) => ensure!(track.resume(cursor) == Step::Next, "a hello out of place"),
                Frame::Event(cursor, _) => {
                    let step = track.take(cursor);
                    town.books(|books| books.step(step));
                    came += 1;
                }
                Frame::Other => {}
                other => bail!("{other:?} while catching up"),
            }
        }
        Ok(())
    };
    tokio::time::timeout(CAUGHT_UP_WITHIN, catching_up).await.context("catching up took too long")??;
    back.close().await;
    Ok(())
}
