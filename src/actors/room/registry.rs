//! The mailboxes of the rooms in use on this node.

use std::sync::Arc;

use actix::prelude::{Actor, Context};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::actors::mailbox::Mailbox;
use crate::domain::room::RoomId;

/// At most one mailbox for each room, with `A` the actor of a room. Clones share the map.
pub(super) struct Registry<A: Actor<Context = Context<A>>>(Arc<DashMap<RoomId, Mailbox<A>>>);

impl<A: Actor<Context = Context<A>>> Registry<A> {
    pub(super) fn get(&self, room: &RoomId) -> Option<Mailbox<A>> {
        self.0.get(room).map(|entry| entry.value().clone())
    }

    /// The room's mailbox; `start` makes it where none is open. Callers at the same time get the same one.
    pub(super) fn get_or_start(&self, room: RoomId, start: impl FnOnce() -> Mailbox<A>) -> Mailbox<A> {
        match self.0.entry(room) {
            Entry::Occupied(entry) if entry.get().is_open() => entry.get().clone(),
            Entry::Occupied(mut stopped) => {
                stopped.insert(start());
                stopped.get().clone()
            }
            Entry::Vacant(vacant) => vacant.insert(start()).clone(),
        }
    }

    pub(super) fn remove(&self, room: &RoomId) {
        self.0.remove(room);
    }

    pub(super) fn remove_stopped(&self, room: &RoomId) {
        self.0.remove_if(room, |_, mailbox| !mailbox.is_open());
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn rooms(&self) -> Vec<RoomId> {
        self.0.iter().map(|entry| *entry.key()).collect()
    }
}

impl<A: Actor<Context = Context<A>>> Default for Registry<A> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<A: Actor<Context = Context<A>>> Clone for Registry<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
