//! The last marks of a session, so that a repeated one costs the store nothing.

use std::collections::VecDeque;

use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::storage::commands::MarkKind;

/// Marks remembered; an older one is stored again, which changes nothing.
const MAX: usize = 128;

/// One event of one room, and what a device did with it.
pub(super) type Mark = (RoomId, Cursor, MarkKind);

/// The last [`MAX`] marks of one session, stored or on their way. One word of memory before the first.
#[derive(Debug, Default)]
pub(super) struct StoredMarks(Option<Box<LastMarks>>);

#[derive(Debug, Default)]
struct LastMarks {
    marks: VecDeque<Mark>,
}

impl StoredMarks {
    pub(super) fn has(&self, room: RoomId, cursor: Cursor, kind: MarkKind) -> bool {
        self.0.as_ref().is_some_and(|last| last.marks.contains(&(room, cursor, kind)))
    }

    pub(super) fn add(&mut self, room: RoomId, cursor: Cursor, kind: MarkKind) {
        let marks = &mut self.0.get_or_insert_default().marks;
        if marks.len() == MAX {
            marks.pop_front();
        }
        marks.push_back((room, cursor, kind));
    }

    /// Forgets a mark that could not be stored.
    pub(super) fn remove(&mut self, room: RoomId, cursor: Cursor, kind: MarkKind) {
        if let Some(last) = &mut self.0 {
            last.marks.retain(|mark| *mark != (room, cursor, kind));
        }
    }
}
