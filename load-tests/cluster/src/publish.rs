//! Notifications that carry the time at which they were sent.

use std::time::Duration;

use anyhow::Result;
use bellhop_client::{Client, Repeat, Request};
use serde_json::json;

use crate::world::Business;

/// Bytes of a message beside its stamp.
const PADDING: usize = 180;

/// Publishes one to the room of a business through a hub, and waits until it is stored.
pub(crate) async fn publish(hub: &Client, business: &Business, sent: Duration) -> Result<()> {
    let message = format!("@{}@{}", sent.as_micros(), "x".repeat(PADDING));
    let body = json!({"type": "LOAD", "title": "t", "message": message});
    let request = Request::post(format!("/businesses/{}/notifications", business.id), body);
    hub.send(&request.repeat(Repeat::IfNotDone), Some(&business.owner)).await?;
    Ok(())
}
