//! The marks a session has stored lately, so that saying the same again costs the store nothing.

use std::collections::VecDeque;

use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::storage::commands::MarkKind;

/// Marks remembered; an older one is stored again, which changes nothing.
const MAX: usize = 128;

/// One event of one room, and what was done with it.
pub(super) type Mark = (RoomId, Cursor, MarkKind);

/// The last marks of one session: a word of memory before the first.
#[derive(Debug, Default)]
pub(super) struct Marked(Option<Box<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    marks: VecDeque<Mark>,
}

impl Marked {
    pub(super) fn has(&self, room: RoomId, cursor: Cursor, kind: MarkKind) -> bool {
        self.0.as_ref().is_some_and(|kept| kept.marks.contains(&(room, cursor, kind)))
    }

    pub(super) fn add(&mut self, room: RoomId, cursor: Cursor, kind: MarkKind) {
        let marks = &mut self.0.get_or_insert_default().marks;
        if marks.len() == MAX {
            marks.pop_front();
        }
        marks.push_back((room, cursor, kind));
    }

    /// It could not be stored.
    pub(super) fn remove(&mut self, room: RoomId, cursor: Cursor, kind: MarkKind) {
        if let Some(kept) = &mut self.0 {
            kept.marks.retain(|mark| *mark != (room, cursor, kind));
        }
    }
}
