use std::sync::atomic::Ordering;

use secrecy::SecretBox;

use super::*;
use crate::domain::business::{BusinessContact, BusinessState, Location, Timezone};
use crate::domain::delivery::DeliveredBy;
use crate::storage::commands::{AddItem, Command, CreateBusiness, Outcome, RemoveMember, UpdateItem, Write};
use crate::storage::crypto::cipher::Cipher;
use crate::storage::{Lane, sqlite};

struct World {
    reads: CachedReads,
    store: Arc<dyn Store>,
    lane: Box<dyn Lane>,
    business: Business,
    owner: UserId,
    _folder: tempfile::TempDir,
}

async fn world(settings: CacheSettings) -> World {
    use crate::domain::access::Role;
    use crate::storage::commands::{Approval, NewUser};

    let folder = tempfile::tempdir().unwrap();
    let key = |byte| SecretBox::new(Box::new([byte; 32]));
    let cipher = Arc::new(Cipher::new(vec![("k".parse().unwrap(), key(1))], key(2)).unwrap());
    let metrics = Metrics::new(folder.path());
    let store = sqlite::connect(&folder.path().join("b.sqlite"), cipher, metrics.clone()).await.unwrap();
    store.migrate().await.unwrap();
    let mut lane = store.open_lane().await.unwrap();
    let at = Timestamp::from_unix_seconds(1_000_000);
    let owner = UserId::generate();
    let user = NewUser {
        id: owner,
        email: "o@example.test".to_owned(),
        password_hash: "h".to_owned(),
        role: Role::Merchant,
        name: None,
        approved: Approval::Approved,
        created_at: at,
    };
    let business = Business {
        id: BusinessId::generate(),
        name: "Soup".to_owned(),
        location: Location { lat: 1.0, lng: 1.0 },
        zone: "z".to_owned(),
        timezone: Timezone::utc(),
        currency: "EUR".parse().unwrap(),
        prep_minutes: 10,
        tables: 0,
        delivered_by: DeliveredBy::Business,
        contact: BusinessContact::default(),
        state: BusinessState::Open,
        version: 1,
        created_at: at,
        updated_at: at,
    };
    let made = Write::CreateBusiness(CreateBusiness { business: Box::new(business.clone()), owner });
    run(&mut *lane, Write::CreateUser(Box::new(user))).await;
    run(&mut *lane, made).await;
    let reads = CachedReads::new(store.clone(), settings, metrics);
    World { reads, store, lane, business, owner, _folder: folder }
}

async fn run(lane: &mut dyn Lane, action: Write) -> (Vec<Command>, Vec<Outcome>) {
    let id = crate::domain::ids::CommandId::generate();
    let commands = vec![Command { id, at: Timestamp::from_unix_seconds(1_000_001), action }];
    let committed = lane.run(&commands, crate::storage::Attempt::First).await.unwrap();
    (commands, committed.outcomes)
}

fn soup(id: BusinessId, price_minor: i64) -> Write {
    let patch = crate::storage::commands::ItemPatch { price_minor: Some(price_minor), ..Default::default() };
    Write::UpdateItem(UpdateItem { business: id, sku: "soup".to_owned(), patch })
}

fn first_soup(id: BusinessId) -> Write {
    let item = MenuItem {
        sku: "soup".to_owned(),
        name: "Soup".to_owned(),
        category: None,
        price_minor: 0,
        available: true,
    };
    Write::AddItem(AddItem { business: id, item })
}

fn counted(world: &World, result: &str) -> u64 {
    world.reads.0.metrics.cache_requests_total.with_label_values(&["menu", result]).get()
}

#[tokio::test]
async fn a_second_read_comes_from_memory_also_while_the_store_is_away() {
    let mut world = world(CacheSettings::default()).await;
    run(&mut *world.lane, first_soup(world.business.id)).await;
    for _ in 0..3 {
        assert_eq!(world.reads.menu(world.business.id).await.unwrap().value.len(), 1);
    }
    assert_eq!((counted(&world, "miss"), counted(&world, "hit")), (1, 2));
    world.store.close().await;
    assert_eq!(world.reads.menu(world.business.id).await.unwrap().value.len(), 1);
    assert!(world.reads.business(world.business.id).await.is_err(), "what was never read is not there");
}

/// Copies are over their time at once.
fn short() -> CacheSettings {
    CacheSettings { business_s: 0, order_s: 0, ..CacheSettings::default() }
}

#[tokio::test]
async fn while_the_store_is_away_the_last_copy_is_given_out_and_said_to_be_stale() {
    let mut world = world(short()).await;
    let id = world.business.id;
    run(&mut *world.lane, first_soup(id)).await;
    assert_eq!(world.reads.menu(id).await.unwrap().freshness, Freshness::Fresh);
    assert_eq!(world.reads.menu(id).await.unwrap().freshness, Freshness::Fresh, "the store is there");
    world.store.close().await;
    let copy = world.reads.menu(id).await.unwrap();
    assert!(matches!(copy.freshness, Freshness::Stale(_)), "{:?}", copy.freshness);
    assert_eq!((copy.value.len(), counted(&world, "stale")), (1, 1));
    assert!(world.reads.menu(BusinessId::generate()).await.is_err(), "what was never read is not there");
}

#[tokio::test]
async fn a_copy_is_not_given_out_for_longer_than_the_bound_says() {
    let world = world(CacheSettings { stale_s: 0, ..short() }).await;
    world.reads.menu(world.business.id).await.unwrap();
    world.store.close().await;
    assert!(world.reads.menu(world.business.id).await.is_err());
}

#[tokio::test]
async fn what_a_commit_changed_or_may_have_changed_is_not_given_out_as_stale() {
    for certain in [true, false] {
        let mut world = world(short()).await;
        let id = world.business.id;
        run(&mut *world.lane, first_soup(id)).await;
        world.reads.menu(id).await.unwrap();
        world.reads.business(id).await.unwrap();
        let (commands, outcomes) = run(&mut *world.lane, soup(id, 700)).await;
        if certain {
            world.reads.committed(&commands, &outcomes);
        } else {
            world.reads.commit_unknown(&commands);
        }
        world.store.close().await;
        assert!(world.reads.menu(id).await.is_err());
        assert!(world.reads.business(id).await.is_ok(), "the rest is as it was");
    }
}

#[tokio::test]
async fn a_move_that_may_have_happened_hides_every_list_and_count_it_may_be_in() {
    use crate::domain::order::{MoveRequest, Party};
    use crate::storage::commands::MoveOrder;

    let world = world(CacheSettings::default()).await;
    let (id, since) = (world.business.id, Timestamp::from_unix_seconds(0));
    let everybody = OrderQuery {
        scope: OrderScope::Everybody,
        business: None,
        status: None,
        words: Vec::new(),
        start: PageStart::Offset(0),
        limit: 20,
    };
    world.reads.stats(id, since).await.unwrap();
    world.reads.orders(&everybody).await.unwrap();
    world.reads.business(id).await.unwrap();
    let request = MoveRequest {
        to: Status::Accepted,
        party: Party::Member,
        version: 1,
        prep_minutes: None,
        delivered_by: None,
    };
    let action = Write::MoveOrder(MoveOrder {
        order: OrderId::generate(),
        business: id,
        user: None,
        request,
        reason: None,
    });
    let command = Command { id: crate::domain::ids::CommandId::generate(), at: since, action };
    world.reads.commit_unknown(&[command]);
    world.store.close().await;
    assert!(world.reads.stats(id, since).await.is_err());
    assert!(world.reads.orders(&everybody).await.is_err());
    assert!(world.reads.business(id).await.is_ok());
}

#[tokio::test]
async fn a_list_of_placed_orders_is_never_a_copy() {
    let world = world(CacheSettings::default()).await;
    let placed = OrderQuery {
        scope: OrderScope::Everybody,
        business: Some(world.business.id),
        status: Some(Status::Placed),
        words: Vec::new(),
        start: PageStart::Offset(0),
        limit: 20,
    };
    let accepted = OrderQuery { status: Some(Status::Accepted), ..placed.clone() };
    world.reads.orders(&placed).await.unwrap();
    world.reads.orders(&accepted).await.unwrap();
    world.store.close().await;
    assert!(world.reads.orders(&placed).await.is_err());
    assert!(world.reads.orders(&accepted).await.is_ok());
}

#[tokio::test]
async fn who_works_where_is_remembered_and_a_removal_holds_from_its_commit_on() {
    let world = world(short()).await;
    let (id, owner) = (world.business.id, world.owner);
    let role = |found: Option<Cached<MemberRole>>| found.map(|copy| copy.value);
    assert_eq!(role(world.reads.membership(id, owner).await.unwrap()), Some(MemberRole::Owner));
    let stranger = UserId::generate();
    assert_eq!(role(world.reads.membership(id, stranger).await.unwrap()), None);
    world.store.close().await;
    let copy = world.reads.membership(id, owner).await.unwrap().unwrap();
    assert!(matches!(copy.freshness, Freshness::Stale(_)), "{:?}", copy.freshness);
    assert!(world.reads.membership(id, stranger).await.is_err(), "nobody is let in by silence");
    let action = Write::RemoveMember(RemoveMember { business: id, user: owner });
    let command = Command { id: crate::domain::ids::CommandId::generate(), at: Timestamp::default(), action };
    world.reads.commit_unknown(&[command]);
    assert!(world.reads.membership(id, owner).await.is_err(), "a removal that may have happened holds");
}

#[tokio::test]
async fn a_value_read_before_a_commit_and_kept_after_it_is_never_given_out() {
    let mut world = world(CacheSettings::default()).await;
    let id = world.business.id;
    run(&mut *world.lane, first_soup(id)).await;
    // A reader that is overtaken between its read and its keeping.
    let seen = world.reads.0.versions.snapshot(&[Input::Menu(id)]);
    let old = Arc::new(world.store.menu(id).await.unwrap());
    let (commands, outcomes) = run(&mut *world.lane, soup(id, 700)).await;
    world.reads.committed(&commands, &outcomes);
    world.reads.insert(&MenuKey(id), (old, Some(seen)), 300);
    assert_eq!(world.reads.menu(id).await.unwrap().value[0].price_minor, 700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_was_told_of_a_write_reads_it_however_many_fill_the_cache_meanwhile() {
    let mut world = world(CacheSettings::default()).await;
    let id = world.business.id;
    run(&mut *world.lane, first_soup(id)).await;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (reads, stop) = (world.reads.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    reads.menu(id).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for price in 1..=200 {
        let (commands, outcomes) = run(&mut *world.lane, soup(id, price)).await;
        world.reads.committed(&commands, &outcomes);
        assert_eq!(world.reads.menu(id).await.unwrap().value[0].price_minor, price);
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(counted(&world, "hit") > 0);
}

#[tokio::test]
async fn the_cache_stays_within_its_entries_and_bytes() {
    let settings = CacheSettings { max_bytes: 1 << 20, max_entries: 64, ..CacheSettings::default() };
    let world = world(settings).await;
    for _ in 0..1_000 {
        world.reads.menu(BusinessId::generate()).await.unwrap();
    }
    let entries = world.reads.0.entries.as_ref().unwrap();
    assert!(entries.len() <= 64 && entries.weight() <= 1 << 20, "{} {}", entries.len(), entries.weight());
}

#[tokio::test]
async fn without_bytes_there_is_no_cache() {
    let world = world(CacheSettings { max_bytes: 0, ..CacheSettings::default() }).await;
    for _ in 0..2 {
        assert!(world.reads.business(world.business.id).await.unwrap().is_some());
    }
    assert_eq!(counted(&world, "hit"), 0);
}
