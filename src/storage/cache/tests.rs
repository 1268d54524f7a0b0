use std::sync::atomic::Ordering;

use secrecy::SecretBox;

use super::*;
use crate::domain::business::sample;
use crate::domain::control::ControlChange;
use crate::storage::commands::{AddItem, Command, CreateBusiness, Outcome, RemoveMember, UpdateItem, Write};
use crate::storage::crypto::cipher::Cipher;
use crate::storage::ports::OrderScope;
use crate::storage::{Lane, sqlite};

struct Fixture {
    reads: CachedReads,
    store: Arc<dyn Store>,
    lane: Box<dyn Lane>,
    business: Business,
    owner: UserId,
    _folder: tempfile::TempDir,
}

async fn fixture(settings: CacheSettings) -> Fixture {
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
    let business = sample::business(at);
    let made = Write::CreateBusiness(CreateBusiness { business: Box::new(business.clone()), owner });
    run(&mut *lane, Write::CreateUser(Box::new(user))).await;
    run(&mut *lane, made).await;
    let reads = CachedReads::new(store.clone(), settings, metrics);
    Fixture { reads, store, lane, business, owner, _folder: folder }
}

async fn run(lane: &mut dyn Lane, action: Write) -> (Vec<Command>, Vec<Outcome>) {
    let id = crate::domain::ids::CommandId::generate();
    let commands = vec![Command { id, at: Timestamp::from_unix_seconds(1_000_001), write: action }];
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

fn counted(fixture: &Fixture, result: &str) -> u64 {
    fixture.reads.0.metrics.cache_requests_total.with_label_values(&["menu", result]).get()
}

#[tokio::test]
async fn a_second_read_comes_from_memory_also_while_the_store_is_away() {
    let mut fixture = fixture(CacheSettings::default()).await;
    run(&mut *fixture.lane, first_soup(fixture.business.id)).await;
    for _ in 0..3 {
        assert_eq!(fixture.reads.menu(fixture.business.id).await.unwrap().value.len(), 1);
    }
    assert_eq!((counted(&fixture, "miss"), counted(&fixture, "hit")), (1, 2));
    fixture.store.close().await;
    assert_eq!(fixture.reads.menu(fixture.business.id).await.unwrap().value.len(), 1);
    assert!(fixture.reads.business(fixture.business.id).await.is_err(), "what was never read is not there");
}

/// Copies are over their time at once.
fn short() -> CacheSettings {
    CacheSettings { business_s: 0, order_s: 0, ..CacheSettings::default() }
}

#[tokio::test]
async fn while_the_store_is_away_the_last_copy_is_given_out_and_said_to_be_stale() {
    let mut fixture = fixture(short()).await;
    let id = fixture.business.id;
    run(&mut *fixture.lane, first_soup(id)).await;
    assert_eq!(fixture.reads.menu(id).await.unwrap().freshness, Freshness::Fresh);
    assert_eq!(fixture.reads.menu(id).await.unwrap().freshness, Freshness::Fresh, "the store is there");
    fixture.store.close().await;
    let copy = fixture.reads.menu(id).await.unwrap();
    assert!(matches!(copy.freshness, Freshness::Stale(_)), "{:?}", copy.freshness);
    assert_eq!((copy.value.len(), counted(&fixture, "stale")), (1, 1));
    assert!(fixture.reads.menu(BusinessId::generate()).await.is_err(), "what was never read is not there");
}

#[tokio::test]
async fn a_copy_is_not_given_out_for_longer_than_the_bound_says() {
    let fixture = fixture(CacheSettings { stale_s: 0, ..short() }).await;
    fixture.reads.menu(fixture.business.id).await.unwrap();
    fixture.store.close().await;
    assert!(fixture.reads.menu(fixture.business.id).await.is_err());
}

#[tokio::test]
async fn what_a_commit_changed_or_may_have_changed_is_not_given_out_as_stale() {
    for certain in [true, false] {
        let mut fixture = fixture(short()).await;
        let id = fixture.business.id;
        run(&mut *fixture.lane, first_soup(id)).await;
        fixture.reads.menu(id).await.unwrap();
        fixture.reads.business(id).await.unwrap();
        let (commands, outcomes) = run(&mut *fixture.lane, soup(id, 700)).await;
        if certain {
            fixture.reads.committed(&commands, &outcomes);
        } else {
            fixture.reads.commit_unknown(&commands);
        }
        fixture.store.close().await;
        assert!(fixture.reads.menu(id).await.is_err());
        assert!(fixture.reads.business(id).await.is_ok(), "the rest is as it was");
    }
}

#[tokio::test]
async fn a_move_that_may_have_happened_hides_every_list_and_count_it_may_be_in() {
    use crate::domain::order::{MoveRequest, Party};
    use crate::storage::commands::{Aftermath, MoveOrder};

    let fixture = fixture(CacheSettings::default()).await;
    let (id, since) = (fixture.business.id, Timestamp::from_unix_seconds(0));
    let everybody = OrderQuery {
        scope: OrderScope::Everybody,
        business: None,
        status: None,
        words: Vec::new(),
        start: PageStart::Offset(0),
        limit: 20,
    };
    fixture.reads.stats(id, since).await.unwrap();
    fixture.reads.orders(&everybody).await.unwrap();
    fixture.reads.business(id).await.unwrap();
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
        aftermath: Aftermath::Usual,
    });
    let command = Command { id: crate::domain::ids::CommandId::generate(), at: since, write: action };
    fixture.reads.commit_unknown(&[command]);
    fixture.store.close().await;
    assert!(fixture.reads.stats(id, since).await.is_err());
    assert!(fixture.reads.orders(&everybody).await.is_err());
    assert!(fixture.reads.business(id).await.is_ok());
}

#[tokio::test]
async fn a_list_of_placed_orders_is_never_a_copy() {
    let fixture = fixture(CacheSettings::default()).await;
    let placed = OrderQuery {
        scope: OrderScope::Everybody,
        business: Some(fixture.business.id),
        status: Some(Status::Placed),
        words: Vec::new(),
        start: PageStart::Offset(0),
        limit: 20,
    };
    let accepted = OrderQuery { status: Some(Status::Accepted), ..placed.clone() };
    fixture.reads.orders(&placed).await.unwrap();
    fixture.reads.orders(&accepted).await.unwrap();
    fixture.store.close().await;
    assert!(fixture.reads.orders(&placed).await.is_err());
    assert!(fixture.reads.orders(&accepted).await.is_ok());
}

#[tokio::test]
async fn who_works_where_is_remembered_and_a_removal_holds_from_its_commit_on() {
    let fixture = fixture(short()).await;
    let (id, owner) = (fixture.business.id, fixture.owner);
    let role = |found: Option<Cached<MemberRole>>| found.map(|copy| copy.value);
    assert_eq!(role(fixture.reads.membership(id, owner).await.unwrap()), Some(MemberRole::Owner));
    let stranger = UserId::generate();
    assert_eq!(role(fixture.reads.membership(id, stranger).await.unwrap()), None);
    fixture.store.close().await;
    let copy = fixture.reads.membership(id, owner).await.unwrap().unwrap();
    assert!(matches!(copy.freshness, Freshness::Stale(_)), "{:?}", copy.freshness);
    assert!(fixture.reads.membership(id, stranger).await.is_err(), "nobody is let in by silence");
    let action = Write::RemoveMember(RemoveMember { business: id, user: owner });
    let command =
        Command { id: crate::domain::ids::CommandId::generate(), at: Timestamp::default(), write: action };
    fixture.reads.commit_unknown(&[command]);
    assert!(fixture.reads.membership(id, owner).await.is_err(), "a removal that may have happened holds");
}

#[tokio::test]
async fn a_value_read_before_a_commit_and_kept_after_it_is_never_given_out() {
    let mut fixture = fixture(CacheSettings::default()).await;
    let id = fixture.business.id;
    run(&mut *fixture.lane, first_soup(id)).await;
    // A reader that is overtaken between its read and its keeping.
    let seen = fixture.reads.0.versions.snapshot(&[Input::Menu(id)]);
    let old = Arc::new(fixture.store.menu(id).await.unwrap());
    let (commands, outcomes) = run(&mut *fixture.lane, soup(id, 700)).await;
    fixture.reads.committed(&commands, &outcomes);
    fixture.reads.insert(&MenuKey(id), (old, Some(seen)), Instant::now(), 300);
    assert_eq!(fixture.reads.menu(id).await.unwrap().value[0].price_minor, 700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_was_told_of_a_write_reads_it_however_many_fill_the_cache_meanwhile() {
    let mut fixture = fixture(CacheSettings::default()).await;
    let id = fixture.business.id;
    run(&mut *fixture.lane, first_soup(id)).await;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (reads, stop) = (fixture.reads.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    reads.menu(id).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for price in 1..=200 {
        let (commands, outcomes) = run(&mut *fixture.lane, soup(id, price)).await;
        fixture.reads.committed(&commands, &outcomes);
        assert_eq!(fixture.reads.menu(id).await.unwrap().value[0].price_minor, price);
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(counted(&fixture, "hit") > 0);
}

#[tokio::test]
async fn the_cache_stays_within_its_entries_and_bytes() {
    let settings = CacheSettings { max_bytes: 1 << 20, max_entries: 64, ..CacheSettings::default() };
    let fixture = fixture(settings).await;
    for _ in 0..1_000 {
        fixture.reads.menu(BusinessId::generate()).await.unwrap();
    }
    let entries = fixture.reads.0.entries.as_ref().unwrap();
    assert!(entries.len() <= 64 && entries.weight() <= 1 << 20, "{} {}", entries.len(), entries.weight());
}

#[tokio::test]
async fn without_bytes_there_is_no_cache() {
    let fixture = fixture(CacheSettings { max_bytes: 0, ..CacheSettings::default() }).await;
    for _ in 0..2 {
        assert!(fixture.reads.business(fixture.business.id).await.unwrap().is_some());
    }
    assert_eq!(counted(&fixture, "hit"), 0);
}

#[tokio::test]
async fn a_change_that_another_node_made_is_read_again_once_it_is_told() {
    let mut fixture = fixture(CacheSettings::default()).await;
    let (id, owner) = (fixture.business.id, fixture.owner);
    let price = async |reads: &CachedReads| reads.menu(id).await.unwrap().value[0].price_minor;
    run(&mut *fixture.lane, first_soup(id)).await;
    assert_eq!(price(&fixture.reads).await, 0);
    // No commit of this node: it is not told.
    run(&mut *fixture.lane, soup(id, 700)).await;
    fixture.reads.changed_anywhere(ControlChange::BusinessChanged(id));
    assert_eq!(price(&fixture.reads).await, 0, "the menu is another value");
    fixture.reads.changed_anywhere(ControlChange::MenuChanged(id));
    assert_eq!(price(&fixture.reads).await, 700);
    run(&mut *fixture.lane, soup(id, 900)).await;
    fixture.reads.forget_all();
    assert_eq!(price(&fixture.reads).await, 900);
    let role = async |reads: &CachedReads| reads.membership(id, owner).await.unwrap().map(|copy| copy.value);
    assert_eq!(role(&fixture.reads).await, Some(MemberRole::Owner));
    let change = crate::storage::commands::PutMember { business: id, user: owner, role: MemberRole::Owner };
    run(&mut *fixture.lane, Write::PutMember(change)).await;
    let misses =
        || fixture.reads.0.metrics.cache_requests_total.with_label_values(&["membership", "miss"]).get();
    let before = misses();
    fixture.reads.changed_anywhere(ControlChange::MembershipsChanged(owner));
    assert_eq!(role(&fixture.reads).await, Some(MemberRole::Owner));
    assert_eq!(misses(), before + 1);
}

#[tokio::test]
async fn beside_other_nodes_what_nobody_tells_is_read_again_after_two_seconds() {
    let fixture = fixture(CacheSettings::default()).await;
    let (id, nodes) = (fixture.business.id, Arc::new(std::sync::atomic::AtomicU32::new(1)));
    let counted = nodes.clone();
    fixture.reads.neighbours().counted_by(move || counted.load(Ordering::Relaxed));
    let long_ago = Instant::now().checked_sub(Duration::from_secs(3)).expect("the machine runs for longer");
    let day = Timestamp::from_unix_seconds(1_000_000);
    let stats = fixture.store.business_stats(id, day).await.unwrap();
    let menu = Arc::new(fixture.store.menu(id).await.unwrap());
    let inputs = |input| Some(fixture.reads.0.versions.snapshot(&[input]));
    fixture.reads.insert(&StatsKey(id, day), (stats, inputs(Input::OrdersAt(id))), long_ago, 300);
    fixture.reads.insert(&MenuKey(id), (menu, inputs(Input::Menu(id))), long_ago, 300);
    let fresh = || {
        let (stats, menu) = (fixture.reads.fresh(&StatsKey(id, day)), fixture.reads.fresh(&MenuKey(id)));
        (stats.is_some(), menu.is_some())
    };
    assert_eq!(fresh(), (true, true), "alone, nothing changes unheard");
    nodes.store(2, Ordering::Relaxed);
    assert_eq!(fresh(), (false, false));
    fixture.reads.neighbours().heard_all(Instant::now());
    assert_eq!(fresh(), (false, true), "changes of menus are told");
}
