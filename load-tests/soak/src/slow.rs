//! A reader that stops reading now and then, until the hub closes it as too slow; it comes back by its cursor.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bellhop_client::{Arrival, Credential, Frame, GapDetector, Request, Rng, Room, Socket};
use serde_json::json;

use crate::event_reader::EventData;
use crate::scenario::Scenario;

/// The smallest a kernel gives is about this.
const RECEIVE_BUFFER: u32 = 2304;

/// Notifications of some 6 KiB posted to it: more than both kernels' buffers take (the hub's sends from 64 KiB), less
/// than its outbox bound, so that it is the stalled write that ends it.
const POSTED: usize = 40;

/// Longer than the hub waits for a stalled write (10 s).
const STOPPED_FOR: Duration = Duration::from_secs(15);

/// Time limit for catching up.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(30);

/// `too_slow`.
const TOO_SLOW: u16 = 4008;

/// Stops reading about once a minute until the scenario closes.
pub(crate) async fn stop_reading_now_and_then(scenario: Arc<Scenario>, mut rng: Rng) {
    let mut gaps = GapDetector::default();
    loop {
        tokio::select! {
            () = tokio::time::sleep(rng.millis(20_000, 60_000)) => {}
            () = scenario.closing.cancelled() => return,
        }
        match stop_reading(&scenario, &mut gaps).await {
            Ok(()) => scenario
                .ledger(|ledger| ledger.did("readers that stopped, were closed as too slow and came back")),
            Err(error) => scenario.fault(format!("the slow reader: {error:#}")),
        }
    }
}

async fn stop_reading(scenario: &Scenario, gaps: &mut GapDetector) -> Result<()> {
    let business = scenario.businesses.last().context("a place for slow readers")?;
    let room = Room::business(&business.id);
    let by = Credential::Header;
    let mut stopped = Socket::open(&business.owner, &room, gaps.cursor(), by, Some(RECEIVE_BUFFER)).await?;
    let Frame::Hello { cursor } = stopped.next::<EventData>().await? else { bail!("no hello") };
    ensure!(gaps.on_hello(cursor) == Arrival::Next, "a hello out of place");
    let note = json!({
        "type": "SOAK", "title": "t", "message": "x".repeat(2_000), "data": {"padding": "x".repeat(4_000)},
    });
    for _ in 0..POSTED {
        business
            .owner
            .call(&Request::post(format!("/businesses/{}/notifications", business.id), note.clone()))
            .await?;
    }
    tokio::time::sleep(STOPPED_FOR).await;
    // The close frame may have found no room in the buffers; that the connection ends is what counts.
    let code = stopped.drain().await?;
    ensure!(code.is_none_or(|code| code == TOO_SLOW), "closed with {code:?}, not 4008");
    drop(stopped);
    let mut back = Socket::open(&business.owner, &room, gaps.cursor(), by, None).await?;
    let catching_up = async {
        let mut came = 0;
        while came < POSTED {
            match back.next::<EventData>().await? {
                Frame::Hello { cursor } => {
                    ensure!(gaps.on_hello(cursor) == Arrival::Next, "a hello out of place")
                }
                Frame::Event { cursor, .. } => {
                    let arrival = gaps.on_event(cursor);
                    scenario.ledger(|ledger| ledger.count(arrival));
                    came += 1;
                }
                Frame::Ephemeral { .. } | Frame::Other => {}
                other => bail!("{other:?} while catching up"),
            }
        }
        Ok(())
    };
    tokio::time::timeout(CAUGHT_UP_WITHIN, catching_up).await.context("catching up took too long")??;
    back.close().await;
    Ok(())
}
