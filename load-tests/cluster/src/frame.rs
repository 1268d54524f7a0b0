//! Frames of a hub, read as far as the clients of a run act upon them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bellhop_client::Cursor;
use memchr::memmem;
use serde::Deserialize;

const MINUTE_US: u64 = 60_000_000;

/// A frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Events follow from here.
    Hello(Cursor),
    /// An event at this position.
    Event(Cursor),
    /// The history that was asked for is gone.
    Resync(Cursor),
    /// The hub stops: come back after this.
    Reconnect(Duration),
    /// Whether devices of the business can ring.
    Presence(bool),
    /// An order rings for so many times.
    Ring(String, u64),
    Other,
}

#[derive(Deserialize)]
struct Wire<'f> {
    #[serde(rename = "type", borrow)]
    kind: &'f str,
    #[serde(default)]
    rooms: Vec<WireRoom>,
    cursor: Option<Cursor>,
    after_ms: Option<u64>,
    #[serde(borrow)]
    event: Option<WireEvent<'f>>,
}

#[derive(Deserialize)]
struct WireRoom {
    cursor: Cursor,
}

#[derive(Deserialize)]
struct WireEvent<'f> {
    #[serde(rename = "type", borrow)]
    kind: &'f str,
    data: WireData,
}

#[derive(Deserialize)]
struct WireData {
    reachable: Option<bool>,
    order_id: Option<String>,
    ring: Option<u64>,
}

/// Reads a frame. Events are the many, and are searched; everything else is parsed.
pub(crate) fn read(text: &[u8]) -> Heard {
    if text.starts_with(br#"{"type":"event""#) {
        return cursor(text).map_or(Heard::Other, Heard::Event);
    }
    let Ok(wire) = serde_json::from_slice::<Wire<'_>>(text) else { return Heard::Other };
    match (wire.kind, wire.cursor, wire.event) {
        ("hello", ..) => wire.rooms.first().map_or(Heard::Other, |room| Heard::Hello(room.cursor)),
        ("resync", Some(cursor), _) => Heard::Resync(cursor),
        ("reconnect", ..) => Heard::Reconnect(Duration::from_millis(wire.after_ms.unwrap_or_default())),
        ("ephemeral", _, Some(WireEvent { kind: "presence", data })) => {
            data.reachable.map_or(Heard::Other, Heard::Presence)
        }
        ("ephemeral", _, Some(WireEvent { kind: "order_ring", data })) => {
            data.order_id.zip(data.ring).map_or(Heard::Other, |(order, ring)| Heard::Ring(order, ring))
        }
        _ => Heard::Other,
    }
}

fn cursor(text: &[u8]) -> Option<Cursor> {
    std::str::from_utf8(field(text, b"\"cursor\":\"")?).ok()?.parse().ok()
}

/// The text of a field, up to its closing quote.
fn field<'t>(text: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    let from = memmem::find(text, name)? + name.len();
    let length = memchr::memchr(b'"', &text[from..])?;
    Some(&text[from..from + length])
}

/// The stamp that a publisher of this program wrote into a message, `@12345@`: microseconds of its clock.
pub(crate) fn stamp(text: &[u8]) -> Option<u64> {
    let from = memchr::memchr(b'@', text)? + 1;
    let length = memchr::memchr(b'@', &text[from..])?;
    std::str::from_utf8(&text[from..from + length]).ok()?.parse().ok()
}

/// How long ago the event happened by its own time, the store's in the transaction that wrote it. All clocks are those of one machine.
pub(crate) fn age(text: &[u8]) -> Option<Duration> {
    let time = field(text, b"\"time\":\"")?;
    // 2026-11-21T11:08:22.790117Z: less than a minute old, so that minutes need not be read.
    let seconds = std::str::from_utf8(time.get(17..time.len() - 1)?).ok()?;
    let seconds: f64 = seconds.parse().ok()?;
    let then = (seconds * 1e6).round() as u64;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_micros() as u64 % MINUTE_US;
    Some(Duration::from_micros((now + MINUTE_US - then) % MINUTE_US))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Cursor {
        text.parse().unwrap()
    }

    #[test]
    fn frames_are_read_as_far_as_they_are_acted_upon() {
        let ring = r#"{"type":"ephemeral","room":"business:b","event":{"type":"order_ring","time":"t","data":{"order_id":"ord_1","kind":"placed","ring":2}}}"#;
        let presence = r#"{"type":"ephemeral","room":"r","event":{"type":"presence","time":"t","data":{"business_id":"b","reachable":false,"devices":0}}}"#;
        for (text, heard) in [
            (
                r#"{"type":"hello","rooms":[{"room":"r","cursor":"a.1","recovered":true}]}"#,
                Heard::Hello(at("a.1")),
            ),
            (r#"{"type":"event","room":"r","cursor":"a.2","event":{"id":"e"}}"#, Heard::Event(at("a.2"))),
            (r#"{"type":"resync","room":"r","cursor":"b.4"}"#, Heard::Resync(at("b.4"))),
            (r#"{"type":"reconnect","after_ms":250}"#, Heard::Reconnect(Duration::from_millis(250))),
            (presence, Heard::Presence(false)),
            (ring, Heard::Ring("ord_1".to_owned(), 2)),
            (r#"{"type":"alive"}"#, Heard::Other),
            ("", Heard::Other),
        ] {
            assert_eq!(read(text.as_bytes()), heard, "{text}");
        }
    }

    #[test]
    fn a_message_tells_when_it_was_sent_and_an_event_when_it_happened() {
        assert_eq!(stamp(b"{\"message\":\"@1234@xxx\"}"), Some(1234));
        assert_eq!(stamp(b"{}"), None);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64 % MINUTE_US;
        let then = (now + MINUTE_US - 5_000_000) % MINUTE_US;
        let time = format!("\"time\":\"2026-11-21T11:08:{:02}.{:06}Z\"", then / 1_000_000, then % 1_000_000);
        let age = age(time.as_bytes()).unwrap();
        assert!((Duration::from_millis(4_990)..Duration::from_secs(10)).contains(&age), "{age:?}");
    }
}
