//! One room by any transport: a socket, long polls, or an event stream.

use std::sync::Arc;

use bellhop_client::{
    Account, ConnectionError, Credential, Cursor, EventStream, Frame, LongPoll, Room, Socket,
};
use serde::Deserialize;

/// The way a room is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Socket,
    Poll,
    Stream,
}

/// The data of an event, as far as it is read: the status, if the event is about an order.
#[derive(Debug, Deserialize)]
pub(crate) struct EventData {
    pub(crate) status: Option<String>,
}

/// A reader of one room.
#[derive(Debug)]
pub(crate) enum EventReader {
    Socket(Box<Socket>),
    Poll(LongPoll<EventData>),
    Stream(EventStream),
}

impl EventReader {
    /// Reads from `cursor` on, else from the head of the room.
    pub(crate) async fn open(
        account: &Arc<Account>,
        room: &Room,
        cursor: Option<Cursor>,
        transport: Transport,
    ) -> Result<Self, ConnectionError> {
        Ok(match transport {
            Transport::Socket => {
                let socket = Socket::open(account, room, cursor, Credential::Header, None).await?;
                Self::Socket(Box::new(socket))
            }
            Transport::Poll => Self::Poll(LongPoll::new(account.clone(), room, cursor)),
            Transport::Stream => Self::Stream(EventStream::open(account, room, cursor).await?),
        })
    }

    /// The next frame. Dropping the future of a socket loses nothing; of the others, what was being read comes again by
    /// the cursor.
    pub(crate) async fn next(&mut self) -> Result<Frame<EventData>, ConnectionError> {
        match self {
            Self::Socket(socket) => socket.next().await,
            Self::Poll(poll) => poll.next().await,
            Self::Stream(stream) => stream.next().await,
        }
    }

    /// Ends it. Only a socket is closed with a frame.
    pub(crate) async fn close(self) {
        if let Self::Socket(socket) = self {
            socket.close().await;
        }
    }
}
