use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::domain::control::ControlChange;
use crate::domain::cursor::{Cursor, Epoch, Head};
use crate::domain::ids::{EventId, UserId};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::event::EventData;
use crate::storage::commands::DeviceAck;
use crate::storage::{RoomReads, StoreError};

/// A store that holds the control room alone.
struct FakeStore(Mutex<Kept>);

struct Kept {
    epoch: Epoch,
    events: Vec<RoomEvent>,
    /// The first events that retention has deleted.
    deleted: usize,
    is_away: bool,
}

#[async_trait]
impl RoomReads for FakeStore {
    async fn epoch(&self) -> Result<Epoch, StoreError> {
        Ok(self.kept().epoch)
    }

    async fn head(&self, _: RoomId) -> Result<Head, StoreError> {
        let kept = self.kept();
        if kept.is_away {
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        let last = kept.events.last().filter(|_| kept.deleted < kept.events.len()).map(|event| event.id);
        Ok(Head { cursor: Cursor::new(kept.epoch, kept.events.len() as u64), last })
    }

    async fn heads(&self, _: &[RoomId]) -> Result<Vec<(RoomId, Head)>, StoreError> {
        Ok(Vec::new())
    }

    async fn events_after(&self, _: RoomId, after: u64, limit: u32) -> Result<Vec<RoomEvent>, StoreError> {
        let kept = self.kept();
        let after = usize::try_from(after).unwrap();
        if after < kept.deleted {
            return Ok(Vec::new());
        }
        Ok(kept.events.iter().skip(after).take(limit as usize).cloned().collect())
    }

    async fn device_ack(&self, _: RoomId, _: &str) -> Result<Option<DeviceAck>, StoreError> {
        Ok(None)
    }
}

impl FakeStore {
    fn new() -> Arc<Self> {
        let kept = Kept { epoch: Epoch::new(7), events: Vec::new(), deleted: 0, is_away: false };
        Arc::new(Self(Mutex::new(kept)))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }

    /// Commits so many changes, and gives their events.
    fn commit(&self, count: usize) -> Vec<RoomEvent> {
        let mut kept = self.kept();
        for _ in 0..count {
            let change = ControlChange::MembershipsChanged(UserId::generate());
            let cursor = Cursor::new(kept.epoch, kept.events.len() as u64 + 1);
            let event = RoomEvent {
                room: RoomId::Control,
                cursor,
                id: EventId::generate(),
                kind: change.kind().as_str().into(),
                at: Timestamp::from_unix_seconds(1_000_000),
                data: EventData::from(change),
            };
            kept.events.push(event);
        }
        kept.events[kept.events.len() - count..].to_vec()
    }
}

/// Remembers what was acted on.
#[derive(Default)]
struct Acting {
    room: ControlRoom,
    numbers: Mutex<Vec<u64>>,
    begun: AtomicU32,
    missed: AtomicU32,
    heard_all: Mutex<Option<Instant>>,
    looks: AtomicU32,
}

impl ControlListener for Acting {
    fn control(&self) -> &ControlRoom {
        &self.room
    }

    fn act_on(&self, event: &RoomEvent) {
        self.numbers.lock().unwrap().push(event.cursor.seq);
    }

    fn trust_nothing(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    fn missed(&self) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    fn heard_all(&self, until: Instant) {
        *self.heard_all.lock().unwrap() = Some(until);
    }

    fn looked(&self, _: Instant) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }
}

impl Acting {
    /// A message tells of an event.
    fn told(&self, event: &RoomEvent) {
        self.act_on(event);
        self.room.heard(event);
    }

    /// Lets time go by until this holds.
    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect(what);
    }

    async fn look(&self) {
        let before = self.looks.load(Ordering::Relaxed);
        self.until("it looks", |acting| acting.looks.load(Ordering::Relaxed) > before).await;
    }

    fn numbers(&self) -> Vec<u64> {
        self.numbers.lock().unwrap().clone()
    }

    /// How often nothing counted any more, the start not counted.
    fn resyncs(&self) -> u32 {
        let (begun, missed) = (self.begun.load(Ordering::Relaxed), self.missed.load(Ordering::Relaxed));
        assert_eq!(begun, missed + 1, "nothing from before the start counts either");
        missed
    }
}

/// A follower that has read its position.
async fn followed(store: &Arc<FakeStore>) -> (Arc<Acting>, CancellationToken) {
    let (acting, stop) = (Arc::<Acting>::default(), CancellationToken::new());
    tokio::spawn(ControlFollower::new(acting.clone(), store.clone()).run(stop.clone()));
    acting.look().await;
    assert_eq!(acting.resyncs(), 0);
    (acting, stop)
}

#[tokio::test(start_paused = true)]
async fn events_that_no_message_told_are_read_in_order_and_those_told_are_not_read_again() {
    let store = FakeStore::new();
    store.commit(3);
    let (acting, stop) = followed(&store).await;
    assert_eq!(acting.numbers(), Vec::<u64>::new(), "they were there before");
    let told = store.commit(2);
    told.iter().for_each(|event| acting.told(event));
    acting.look().await;
    assert_eq!(acting.numbers(), [4, 5]);
    store.commit(600);
    acting.look().await;
    assert_eq!(acting.numbers(), (4..=605).collect::<Vec<_>>());
    assert_eq!(acting.resyncs(), 0);
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn an_event_before_one_that_was_told_is_read_at_once() {
    let store = FakeStore::new();
    let (acting, _stop) = followed(&store).await;
    // Half of the time to the next look by itself.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let told = store.commit(2);
    let begun = tokio::time::Instant::now();
    acting.told(&told[1]);
    acting.until("the first one is read", |acting| acting.numbers().contains(&1)).await;
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    store.commit(1);
    acting.room.doubt();
    acting.until("a loss is a reason to look", |acting| acting.numbers().contains(&3)).await;
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_no_longer_costs_everything_cached_only_when_it_was_not_heard() {
    let store = FakeStore::new();
    store.commit(5);
    let (acting, _stop) = followed(&store).await;
    store.kept().deleted = 5;
    acting.look().await;
    store.commit(1);
    acting.look().await;
    assert_eq!((acting.numbers(), acting.resyncs()), (vec![6], 0), "its own position needs no event");
    store.commit(2);
    store.kept().deleted = 7;
    acting.look().await;
    assert_eq!((acting.numbers(), acting.resyncs()), (vec![6], 1), "the seventh is gone");
    store.commit(1);
    acting.look().await;
    assert_eq!((acting.numbers(), acting.resyncs()), (vec![6, 9], 1), "it goes on from there");
}

#[tokio::test(start_paused = true)]
async fn another_history_is_noticed_by_epoch_head_or_event() {
    let store = FakeStore::new();
    store.commit(5);
    let (acting, _stop) = followed(&store).await;
    store.kept().epoch = Epoch::new(8);
    acting.look().await;
    assert_eq!(acting.resyncs(), 1);
    store.kept().events.truncate(3);
    acting.look().await;
    assert_eq!(acting.resyncs(), 2, "the store is an older copy");
    store.kept().events.truncate(2);
    store.commit(1);
    acting.look().await;
    assert_eq!(acting.resyncs(), 3, "another event has the number");
    store.kept().events.truncate(2);
    store.commit(4);
    acting.look().await;
    assert_eq!(acting.resyncs(), 4, "and others follow it");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_no_proof_that_everything_was_heard() {
    let store = FakeStore::new();
    let (acting, _stop) = followed(&store).await;
    let heard_all = || *acting.heard_all.lock().unwrap();
    let before = heard_all();
    assert!(before.is_some());
    store.kept().is_away = true;
    store.commit(1);
    for _ in 0..3 {
        acting.look().await;
    }
    assert_eq!((heard_all(), acting.numbers()), (before, vec![]));
    store.kept().is_away = false;
    acting.look().await;
    assert!(heard_all() > before);
    assert_eq!((acting.numbers(), acting.resyncs()), (vec![1], 0));
}
