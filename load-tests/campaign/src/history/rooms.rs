//! Rooms: a total order without holes in the store, and the same at every client.

use std::collections::{BTreeSet, HashMap};

use bellhop_client::Cursor;

use super::{ClientLog, History, Seen, StoredRoom, Violation};

pub(super) fn of_the_store(history: &History) -> Vec<Violation> {
    history.rooms.iter().flat_map(of_room).collect()
}

fn of_room(room: &StoredRoom) -> Vec<Violation> {
    let mut found = Vec::new();
    let name = || room.room.clone();
    let mut ids: HashMap<&str, Cursor> = HashMap::new();
    for event in &room.events {
        if let Some(first) = ids.insert(&event.id, event.at) {
            let at = [first, event.at];
            found.push(Violation::EventNumberedTwice { room: name(), id: event.id.clone(), at });
        }
    }
    // No commit is lost in a campaign, so that nothing may begin a new history.
    let epochs: BTreeSet<u32> = room.events.iter().map(|event| event.at.epoch).collect();
    if epochs.iter().any(|epoch| *epoch != room.head.epoch) {
        let mut epochs: Vec<u32> = epochs.into_iter().collect();
        epochs.push(room.head.epoch);
        found.push(Violation::EpochChanged { room: name(), epochs });
        return found;
    }
    let mut after = 0;
    for event in &room.events {
        if event.at.seq != after + 1 {
            found.push(Violation::HoleInRoom { room: name(), after, next: event.at.seq });
        }
        after = event.at.seq;
    }
    if after != room.head.seq {
        found.push(Violation::HeadWithoutEvent { room: name(), head: room.head.seq, last: after });
    }
    found
}

pub(super) fn of_clients(history: &History) -> Vec<Violation> {
    let rooms: HashMap<&str, Stored<'_>> =
        history.rooms.iter().map(|room| (room.room.as_str(), Stored::of(room))).collect();
    let none = Stored::default();
    let of = |log: &ClientLog| of_client(log, rooms.get(log.room.as_str()).unwrap_or(&none));
    history.clients.iter().flat_map(of).collect()
}

#[derive(Default)]
struct Stored<'a> {
    head: Option<Cursor>,
    ids: HashMap<Cursor, &'a str>,
}

impl<'a> Stored<'a> {
    fn has(&self, at: Cursor) -> bool {
        self.ids.contains_key(&at) || (at.seq == 0 && self.head.is_some_and(|head| head.epoch == at.epoch))
    }

    fn of(room: &'a StoredRoom) -> Self {
        let ids = room.events.iter().map(|event| (event.at, event.id.as_str())).collect();
        Self { head: Some(room.head), ids }
    }
}

fn of_client(log: &ClientLog, stored: &Stored<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let who = || (log.client.clone(), log.room.clone());
    let mut position: Option<Cursor> = None;
    let mut known: HashMap<Cursor, &str> = HashMap::new();
    for seen in &log.seen {
        match seen {
            Seen::Resync(told) => {
                // The store has everything after it: nobody had to list anything.
                if let Some(at) = position.filter(|at| stored.has(*at)) {
                    let (client, room) = who();
                    found.push(Violation::NeedlessResync { client, room, at, told: *told });
                }
                position = Some(*told);
            }
            Seen::Follows(told) => match position {
                None => position = Some(*told),
                // What comes again is dropped by its position.
                Some(at) if at.epoch == told.epoch && told.seq <= at.seq => {}
                Some(at) => {
                    let (client, room) = who();
                    found.push(Violation::ResumedElsewhere { client, room, at, told: *told });
                    position = Some(*told);
                }
            },
            Seen::Event { at, id } => {
                let (client, room) = who();
                if let Some(first) = known.insert(*at, id)
                    && first != id
                {
                    let ids = [first.to_owned(), id.clone()];
                    found.push(Violation::PositionWithTwoEvents { client, room, at: *at, ids });
                } else if stored.ids.get(at) != Some(&id.as_str()) {
                    found.push(Violation::NotStored { client, room, at: *at, id: id.clone() });
                }
                found.extend(follows(&mut position, *at, who));
            }
        }
    }
    if let Some(head) = stored.head.filter(|head| log.until_end && position != Some(*head)) {
        let (client, room) = who();
        found.push(Violation::NotToTheEnd { client, room, at: position, head });
    }
    found
}

/// An event at this position, seen from the one before; what was seen already changes nothing.
fn follows(
    position: &mut Option<Cursor>,
    got: Cursor,
    who: impl Fn() -> (String, String),
) -> Option<Violation> {
    let (client, room) = who();
    let Some(after) = *position else { return Some(Violation::NoStart { client, room }) };
    if after.epoch == got.epoch && got.seq <= after.seq {
        return None;
    }
    *position = Some(got);
    if after.epoch != got.epoch {
        return Some(Violation::OtherHistory { client, room, after, got });
    }
    (got.seq != after.seq + 1).then_some(Violation::Skipped { client, room, after, got })
}
