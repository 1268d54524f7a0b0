//! Worker threads that are behind, and parts beside them that break: changes of access and events reach sockets all the same.

use std::io;
use std::pin::Pin;
use std::task::{self, Poll};

use actix::System;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};

use super::*;
use crate::actors::driver_pool::DriverPools;
use crate::actors::driver_positions::DriverPositions;
use crate::actors::fatal::FatalSignal;
use crate::actors::mailbox::SendError;
use crate::actors::persistence::{CommitListener, Persistence};
use crate::actors::reachability::Reachability;
use crate::actors::room::live_event::LiveEvent;
use crate::actors::room::{Listener, Rooms};
use crate::actors::session::{self, ConnectParams, Sessions};
use crate::actors::settings::{PersistenceSettings, RoomSettings, SessionSettings};
use crate::auth::authenticator::Authenticator;
use crate::auth::last_seen::LastSeen;
use crate::auth::revocations::Revocations;
use crate::auth::token::{TokenKey, TokenSettings, Tokens};
use crate::bus::InProcessBus;
use crate::domain::access::{MemberRole, Principal, Role};
use crate::domain::business::sample;
use crate::domain::cursor::{Cursor, Epoch};
use crate::domain::ephemeral::{EphemeralPayload, Presence};
use crate::domain::ids::{BusinessId, NotificationId};
use crate::domain::notification::{Notification, Priority};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::ephemeral::{EncodedEphemeral, EphemeralEvent};
use crate::storage::Store;
use crate::storage::cache::CachedReads;
use crate::storage::commands::{Approval, Command, Committed, CreateBusiness, NewUser};
use crate::storage::settings::CacheSettings;
use crate::telemetry::Metrics;

struct NobodyHears;

impl CommitListener for NobodyHears {
    fn committed(&self, _: &[Command], _: &mut Committed) {}
    fn commit_unknown(&self, _: &[Command]) {}
}

/// No token is valid, and no login session ends by itself.
fn nobody_signs_in() -> Authenticator {
    let tokens = Tokens::new(TokenKey::hs256(&[3; 32]).unwrap(), TokenSettings::default());
    Authenticator::new(Arc::new(tokens), Revocations::new(Duration::ZERO), LastSeen::default())
}

struct Hub {
    sessions: Sessions,
    worker: Rc<Worker>,
    persistence: Persistence,
    business: BusinessId,
    staff: UserId,
    store: Arc<dyn Store>,
    _folder: tempfile::TempDir,
}

fn user() -> NewUser {
    let id = UserId::generate();
    NewUser {
        id,
        email: format!("{id}@example.org"),
        password_hash: String::new(),
        role: Role::Merchant,
        name: None,
        approved: Approval::Approved,
        created_at: Timestamp::now(),
    }
}

/// Every frame may reach the store.
struct NoQuota;

impl FrameQuota for NoQuota {
    fn consume(&self, _: UserId, _: std::time::Instant) -> Result<(), std::time::Duration> {
        Ok(())
    }
}

impl Hub {
    /// One worker thread, this one; a business with an owner and somebody on its staff.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new(folder.path());
        let store = crate::storage::sqlite::empty(folder.path(), metrics.clone()).await;
        let (bus, _) = InProcessBus::default().connect();
        let rooms = Rooms::start(store.clone(), bus, 1, RoomSettings::default(), metrics.clone());
        let (settings, fatal) = (PersistenceSettings::default(), FatalSignal::new());
        let persistence =
            Persistence::start(&store, 1, &settings, Arc::new(NobodyHears), metrics.clone(), fatal.clone());
        let persistence = persistence.await.unwrap();
        let nothing_kept = CacheSettings { max_bytes: 0, ..CacheSettings::default() };
        let drivers = DriverPositions::new(store.clone(), rooms.clone(), DriverPools::default());
        let reads = CachedReads::new(store.clone(), nothing_kept, metrics.clone());
        let limits = SessionSettings::default();
        let sessions = Sessions::new(
            Workers::new(),
            rooms,
            persistence.clone(),
            reads,
            nobody_signs_in(),
            Arc::new(NoQuota),
            Reachability::new(),
            drivers,
            limits,
            metrics,
            fatal,
        );
        let (owner, staff) = (user(), user());
        let business = sample::business(Timestamp::now());
        let (id, owner_id, staff_id) = (business.id, owner.id, staff.id);
        persistence.create_user(owner).await.unwrap();
        persistence.create_user(staff).await.unwrap();
        let made = CreateBusiness { business: Box::new(business), owner: owner_id };
        persistence.write(made).await.unwrap();
        persistence.put_member(id, staff_id, MemberRole::Staff).await.unwrap().unwrap();
        let worker = sessions.start_worker();
        Self { sessions, worker, persistence, business: id, staff: staff_id, store, _folder: folder }
    }

    /// A socket of the staff in the business's room, after its first frame, and its login session.
    async fn socket(&self) -> (DuplexStream, LoginSessionId) {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let session = self.open(server);
        let mut frame = vec![0; 4096];
        let len = client.read(&mut frame).await.unwrap();
        assert!(String::from_utf8_lossy(&frame[..len]).contains("hello"));
        (client, session)
    }

    /// A session of the staff in the business's room on a stream.
    fn open(&self, server: impl AsyncRead + AsyncWrite + Unpin + 'static) -> LoginSessionId {
        let session = LoginSessionId::generate();
        let params = ConnectParams {
            principal: Principal { user: self.staff, session, role: Role::Merchant },
            token_expires_at: Timestamp::now().plus(Duration::from_secs(3600)),
            device: None,
            room: Some(RoomId::Business(self.business)),
            cursor: None,
        };
        session::open(&self.worker, server, Bytes::new(), params, ());
        session
    }

    /// Puts messages into the worker's mailbox until it takes none, not even of those that places are kept for.
    fn fill(&self) {
        let (room, head) = (RoomId::Business(BusinessId::generate()), Cursor::new(Epoch::new(1), 0));
        let handle = self.sessions.workers().handles()[0].clone();
        while handle.send(WorkerMessage::Head(room, head)).is_ok() {}
        assert!(handle.set_head(room, head).is_err(), "it is full");
    }
}

/// Everything until the socket is closed, which has to be soon.
async fn ended(mut client: DuplexStream) -> String {
    let mut bytes = Vec::new();
    let read = client.read_to_end(&mut bytes);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("it is closed").unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A stream that breaks its session at the first byte the client sends.
struct Breaking(DuplexStream);

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(context, buffer);
        assert!(buffer.filled().is_empty(), "it breaks on purpose");
        read
    }
}

impl AsyncWrite for Breaking {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[test]
fn a_session_that_breaks_says_so_and_the_others_go_on() {
    System::new().block_on(async {
        let hub = Hub::start().await;
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        hub.open(Breaking(server));
        let mut hello = vec![0; 4096];
        assert!(client.read(&mut hello).await.unwrap() > 0);
        let (mut other, _) = hub.socket().await;
        client.write_all(b"x").await.unwrap();
        let mut close = Vec::new();
        let read = client.read_to_end(&mut close);
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("it is closed").unwrap();
        assert_eq!(close, crate::protocol::websocket::close_frame(4000, "error"));
        let closed = &hub.worker.deps.metrics.websocket_closes_total;
        assert_eq!(closed.with_label_values(&["error"]).get(), 1);
        let quiet = tokio::time::timeout(Duration::ZERO, other.read_u8()).await;
        assert!(quiet.is_err(), "another socket of the thread stays open");
    });
}

/// A listener that breaks the room that gives it an ephemeral event.
struct BreaksItsRoom;

impl Listener for BreaksItsRoom {
    fn id(&self) -> usize {
        usize::MAX
    }

    fn is_open(&self) -> bool {
        true
    }

    fn deliver(&self, _: RoomId, _: LiveEvent) -> Result<(), SendError> {
        Ok(())
    }

    fn deliver_ephemeral(&self, _: RoomId, _: EncodedEphemeral) {
        panic!("on purpose");
    }

    fn set_head(&self, _: RoomId, _: Cursor) -> Result<(), SendError> {
        Ok(())
    }
}

#[test]
fn a_room_that_panics_is_made_anew_and_its_sockets_miss_nothing() {
    System::new().block_on(async {
        let hub = Hub::start().await;
        let (mut client, _) = hub.socket().await;
        let (room, rooms) = (RoomId::Business(hub.business), &hub.worker.deps.rooms);
        rooms.join(room, Arc::new(BreaksItsRoom)).await.unwrap();
        let presence = Presence { business_id: hub.business, reachable: true, devices: 1 };
        rooms.publish_ephemeral(EphemeralEvent::new(
            room,
            Timestamp::now(),
            &EphemeralPayload::Presence(presence),
        ));
        let broken = async {
            while rooms.is_running(&room) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), broken).await.expect("the room breaks");
        // It is committed while there is no room, or one that has just begun.
        hub.persistence.write(Box::new(notification(hub.business))).await.unwrap();
        let mut heard = Vec::new();
        let hear = async {
            while !String::from_utf8_lossy(&heard).contains("there is an oven") {
                assert!(client.read_buf(&mut heard).await.unwrap() > 0, "the socket stays open");
            }
        };
        tokio::time::timeout(Duration::from_secs(20), hear).await.expect("the event comes");
        assert!(rooms.is_running(&room));
    });
}

fn notification(business_id: BusinessId) -> Notification {
    Notification {
        id: NotificationId::generate(),
        business_id,
        kind: "TEST".to_owned(),
        title: "news".to_owned(),
        message: "there is an oven".to_owned(),
        data: Default::default(),
        priority: Priority::default(),
        created_at: Timestamp::now(),
    }
}

/// Whoever hears of commits and breaks with the first.
struct BreaksWithACommit;

impl CommitListener for BreaksWithACommit {
    fn committed(&self, _: &[Command], _: &mut Committed) {
        panic!("on purpose");
    }

    fn commit_unknown(&self, _: &[Command]) {}
}

#[test]
fn a_writer_that_panics_ends_the_process() {
    System::new().block_on(async {
        let hub = Hub::start().await;
        let (store, metrics) = (hub.store.clone(), hub.worker.deps.metrics.clone());
        let (settings, fatal) = (PersistenceSettings::default(), FatalSignal::new());
        let breaking = Arc::new(BreaksWithACommit);
        let persistence = Persistence::start(&store, 1, &settings, breaking, metrics, fatal.clone());
        let persistence = persistence.await.unwrap();
        let answer = persistence.create_user(user()).await;
        assert!(answer.is_err(), "nobody says that it happened");
        let raised = tokio::time::timeout(Duration::from_secs(10), fatal.raised()).await;
        assert_eq!(raised, Ok("a writer lane"));
    });
}

#[test]
fn an_ended_sign_in_closes_its_sockets_though_the_workers_mailbox_was_full() {
    System::new().block_on(async {
        let hub = Hub::start().await;
        let ((client, session), (mut other, _)) = (hub.socket().await, hub.socket().await);
        hub.fill();
        hub.sessions.workers().end_session(session);
        assert!(ended(client).await.ends_with("session_ended"));
        let quiet = tokio::time::timeout(Duration::ZERO, other.read_u8()).await;
        assert!(quiet.is_err(), "another sign-in's socket stays open");
    });
}

#[test]
fn a_removed_member_loses_the_room_though_the_workers_mailbox_was_full() {
    System::new().block_on(async {
        let hub = Hub::start().await;
        let (client, _) = hub.socket().await;
        hub.persistence.remove_member(hub.business, hub.staff).await.unwrap();
        hub.fill();
        hub.sessions.workers().recheck_access(hub.staff);
        assert!(ended(client).await.ends_with("access_denied"));
    });
}

#[test]
fn a_thread_that_missed_more_changes_than_are_kept_looks_at_everybody() {
    System::new().block_on(async {
        let hub = Hub::start().await;
        let (client, _) = hub.socket().await;
        hub.persistence.remove_member(hub.business, hub.staff).await.unwrap();
        hub.sessions.workers().recheck_access(hub.staff);
        for _ in 0..10_000 {
            hub.sessions.workers().recheck_access(UserId::generate());
        }
        assert!(ended(client).await.ends_with("access_denied"));
    });
}
