//! WebSockets of rooms.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::account::Account;
use crate::cursor::Cursor;
use crate::error::ConnectionError;
use crate::frame::Frame;
use crate::request::Request;
use crate::room::Room;

/// Time limit for opening, for writing and for closing; on one machine each takes a millisecond.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit for the hub's answer to a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes a socket reads at once: hundreds of sockets share one small machine with the hub.
const READ_BUFFER: usize = 4 * 1024;

/// A WebSocket without TLS.
pub type WebSocket = WebSocketStream<TcpStream>;

/// The way a socket proves who opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer`.
    Header,
    /// A one-time ticket in the query, as browsers do.
    Ticket,
}

/// Opens a WebSocket at `path`, which may have a query. `receive_buffer` bounds what the kernel takes in for a reader that
/// stops reading; 2,304 bytes is about the smallest.
///
/// # Errors
/// When the hub cannot be reached, refuses the upgrade, or takes longer than ten seconds.
pub async fn dial(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    receive_buffer: Option<u32>,
) -> Result<WebSocket, ConnectionError> {
    let mut request = format!("ws://{address}{path}").into_client_request()?;
    for (name, value) in headers {
        let invalid = |error: &dyn std::error::Error| ConnectionError::Unexpected(format!("{name}: {error}"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|error| invalid(&error))?;
        let value = HeaderValue::from_str(value).map_err(|error| invalid(&error))?;
        request.headers_mut().insert(header, value);
    }
    let opening = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let (stream, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?;
        Ok(stream)
    };
    tokio::time::timeout(TIMEOUT, opening).await.map_err(|_| ConnectionError::TimedOut)?
}

/// An open WebSocket on one room.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocket,
    room: String,
}

impl Socket {
    /// Opens a socket on `room` in the account's name. Events follow from `cursor`, else from the head of the room. Tries again
    /// within the client's patience while the hub is busy.
    ///
    /// # Errors
    /// When the hub cannot be reached, or refuses.
    pub async fn open(
        account: &Account,
        room: &Room,
        cursor: Option<Cursor>,
        credential: Credential,
        receive_buffer: Option<u32>,
    ) -> Result<Self, ConnectionError> {
        let began = Instant::now();
        loop {
            match Self::try_open(account, room, cursor, credential, receive_buffer).await {
                Err(error) if error.is_busy() && account.client().may_repeat(began).await => {}
                opened => return opened,
            }
        }
    }

    async fn try_open(
        account: &Account,
        room: &Room,
        cursor: Option<Cursor>,
        credential: Credential,
        receive_buffer: Option<u32>,
    ) -> Result<Self, ConnectionError> {
        #[derive(Deserialize)]
        struct Ticket {
            ticket: String,
        }
        let mut query = Vec::new();
        let mut bearer = None;
        match credential {
            Credential::Header => bearer = Some(format!("Bearer {}", account.token().await?)),
            Credential::Ticket => {
                let Ticket { ticket } = account.ask(&Request::post("/auth/ticket", json!({}))).await?;
                query.push(format!("ticket={ticket}"));
            }
        }
        query.extend(cursor.map(|cursor| format!("cursor={cursor}")));
        let path = format!("{}?{}", room.path, query.join("&"));
        let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        let stream = dial(account.client().address(), &path, &headers, receive_buffer).await?;
        Ok(Self { stream, room: room.name.clone() })
    }

    /// The next frame. Dropping the future loses nothing. Pings are answered while this is awaited.
    ///
    /// # Errors
    /// [`ConnectionError::Closed`] when the hub closed it, another error when it broke.
    pub async fn next<D: DeserializeOwned>(&mut self) -> Result<Frame<D>, ConnectionError> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(Frame::read(text.as_str())),
                Some(Ok(Message::Close(close))) => {
                    let (code, reason) =
                        close.map_or((1005, String::new()), |c| (c.code.into(), c.reason.to_string()));
                    return Err(ConnectionError::Closed { code, reason });
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => {
                    let reason = "no close frame".to_owned();
                    return Err(ConnectionError::Closed { code: 1006, reason });
                }
            }
        }
    }

    /// Says that everything up to `cursor` arrived.
    ///
    /// # Errors
    /// As [`Socket::send_text`].
    pub async fn ack(&mut self, cursor: Cursor) -> Result<(), ConnectionError> {
        let ack = json!({"type": "ack", "room": self.room, "cursor": cursor});
        self.send(&ack).await
    }

    /// Says that a person acted on the event at `cursor`.
    ///
    /// # Errors
    /// As [`Socket::send_text`].
    pub async fn acted(&mut self, cursor: Cursor) -> Result<(), ConnectionError> {
        let acted = json!({"type": "acted", "room": self.room, "cursor": cursor});
        self.send(&acted).await
    }

    /// Says which device this is, and that it can ring now. The hub believes it for 45 seconds.
    ///
    /// # Errors
    /// As [`Socket::send_text`].
    pub async fn can_ring(&mut self, device: &str) -> Result<(), ConnectionError> {
        self.send(&json!({"type": "device", "id": device, "can_ring": true})).await
    }

    /// Goes on with a newer access token.
    ///
    /// # Errors
    /// As [`Socket::send_text`].
    pub async fn refresh(&mut self, token: &str) -> Result<(), ConnectionError> {
        self.send(&json!({"type": "refresh", "token": token})).await
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// As [`Socket::send_text`].
    pub async fn send(&mut self, frame: &Value) -> Result<(), ConnectionError> {
        self.send_text(frame.to_string()).await
    }

    /// Sends a text message, whatever is in it.
    ///
    /// # Errors
    /// When the socket is broken, or takes nothing for ten seconds.
    pub async fn send_text(&mut self, text: String) -> Result<(), ConnectionError> {
        let sent = tokio::time::timeout(TIMEOUT, self.stream.send(Message::text(text))).await;
        Ok(sent.map_err(|_| ConnectionError::TimedOut)??)
    }

    /// Reads to the end of the socket, ten seconds at most: the close code, if there was a close frame.
    ///
    /// # Errors
    /// When the hub does not end it in time.
    pub async fn drain(&mut self) -> Result<Option<u16>, ConnectionError> {
        let reading = async {
            loop {
                match self.next::<Value>().await {
                    Ok(_) => {}
                    // Code 1006 is never sent: it says that there was no close frame.
                    Err(ConnectionError::Closed { code, .. }) if code != 1006 => return Some(code),
                    Err(_) => return None,
                }
            }
        };
        tokio::time::timeout(TIMEOUT, reading).await.map_err(|_| ConnectionError::TimedOut)
    }

    /// Sends a close frame and waits for the answer, two seconds at most.
    pub async fn close(mut self) {
        let closing = async {
            if self.stream.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        // Whether the hub answered makes no difference any more.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }
}
