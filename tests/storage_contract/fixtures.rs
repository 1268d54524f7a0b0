//! Businesses, customers and commands to test with.

use std::time::Duration;

use bellhop::domain::access::Role;
use bellhop::domain::business::{
    Business, BusinessContact, BusinessState, Hand, Location, MenuItem, Timezone, TradingChange,
};
use bellhop::domain::delivery::DeliveredBy;
use bellhop::domain::ids::{BusinessId, CommandId, NodeId, OrderId, UserId};
use bellhop::domain::order::{
    Address, Draft, DraftItem, Fulfilment, MoveRequest, Order, Party, PaymentMethod, Status,
};
use bellhop::domain::private::Private;
use bellhop::domain::room::RoomId;
use bellhop::domain::saga::Clocks;
use bellhop::domain::time::Timestamp;
use bellhop::protocol::event::RoomEvent;
use bellhop::protocol::views::{Contact, OrderView};
use bellhop::storage::commands::{
    AddItem, Aftermath, Approval, BusinessPatch, Command, Committed, CreateBusiness, IdempotencyKey, Lease,
    LeaseHistory, MoveOrder, NewUser, Outcome, PlaceOrder, PlaceOutcome, RenderedResponse, RenewLeases,
    UpdateBusiness, Write,
};
use bellhop::storage::{Attempt, Lane};

use crate::harness::TestStore;

/// Not a round number, so that a store that drops digits is found out.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(Timestamp::now().as_micros() / 1_000 * 1_000 + 123)
}

pub(crate) fn command(action: Write) -> Command {
    Command { id: CommandId::generate(), at: now(), write: action }
}

/// Runs the actions as one transaction. What nodes are told by it is left out.
pub(crate) async fn run(lane: &mut dyn Lane, actions: Vec<Write>) -> Committed {
    let mut committed = run_told(lane, actions).await;
    committed.events.retain(|event| event.room != RoomId::Control);
    committed
}

/// As [`run`], with what nodes are told.
pub(crate) async fn run_told(lane: &mut dyn Lane, actions: Vec<Write>) -> Committed {
    let commands: Vec<Command> = actions.into_iter().map(command).collect();
    lane.run(&commands, Attempt::First).await.unwrap()
}

pub(crate) async fn run_one(lane: &mut dyn Lane, action: Write) -> Outcome {
    run(lane, vec![action]).await.outcomes.pop().unwrap()
}

pub(crate) fn user(role: Role) -> NewUser {
    let id = UserId::generate();
    NewUser {
        id,
        email: format!("{id}@example.test"),
        password_hash: "$argon2id$test".to_owned(),
        role,
        name: Some("Zoë Ünal".to_owned()),
        approved: Approval::Approved,
        created_at: now(),
    }
}

pub(crate) fn business() -> Business {
    Business {
        id: BusinessId::generate(),
        name: "Trattoria Ærø".to_owned(),
        location: Location { lat: 52.520_006_599_999_99, lng: -13.404_954_000_000_01 },
        zone: "centre".to_owned(),
        timezone: Timezone::parse("Asia/Tokyo").unwrap(),
        currency: "JPY".parse().unwrap(),
        prep_minutes: 20,
        tables: 12,
        delivered_by: DeliveredBy::Business,
        contact: BusinessContact {
            email: Some("kitchen@example.test".to_owned()),
            phone: Some("+45 44 55 66 77".to_owned()),
        },
        state: BusinessState::Open,
        pauses: Default::default(),
        accepts: Default::default(),
        alerts: Default::default(),
        version: 1,
        created_at: now(),
        updated_at: now(),
    }
}

pub(crate) fn item(sku: &str, price_minor: i64) -> MenuItem {
    MenuItem {
        sku: sku.to_owned(),
        name: format!("Dish {sku}"),
        category: Some("Mains".to_owned()),
        price_minor,
        available: true,
    }
}

/// A business with an owner, a customer, and a menu: `SOUP` 350, `PIZZA-1` 1200, `GONE` that is not available.
pub(crate) struct Fixture {
    pub(crate) business: Business,
    pub(crate) owner: UserId,
    pub(crate) customer: UserId,
}

pub(crate) async fn world(lane: &mut dyn Lane) -> Fixture {
    let (owner, customer, business) = (user(Role::Merchant), user(Role::Customer), business());
    let world = Fixture { owner: owner.id, customer: customer.id, business: business.clone() };
    let mut actions = vec![
        Write::CreateUser(Box::new(owner)),
        Write::CreateUser(Box::new(customer)),
        Write::CreateBusiness(CreateBusiness { business: Box::new(business), owner: world.owner }),
    ];
    let gone = MenuItem { available: false, ..item("GONE", 100) };
    for item in [item("SOUP", 350), item("PIZZA-1", 1200), gone] {
        actions.push(Write::AddItem(AddItem { business: world.business.id, item }));
    }
    run(lane, actions).await;
    world
}

impl Fixture {
    pub(crate) async fn new(store: &TestStore) -> (Self, Box<dyn Lane>) {
        let mut lane = store.lane().await;
        (world(&mut *lane).await, lane)
    }

    /// Two soups and a pizza to be brought, paid in cash.
    pub(crate) fn draft(&self) -> Draft {
        Draft {
            id: OrderId::generate(),
            business_id: self.business.id,
            customer_id: self.customer,
            placed_by: Party::Customer,
            customer_name: "王小明 Müller".to_owned(),
            phone: Some("+49 30 5550123".to_owned()),
            address: Some(Address {
                text: "Unter den Linden 77".to_owned(),
                location: Location { lat: 52.5, lng: -13.375 },
            }),
            fulfilment: Fulfilment::Delivery,
            items: vec![
                DraftItem { sku: "SOUP".to_owned(), qty: 2 },
                DraftItem { sku: "PIZZA-1".to_owned(), qty: 1 },
            ],
            table: None,
            notes: Some("ring twice\n\"please\"".to_owned()),
            payment: PaymentMethod::Cash,
            expected_total_minor: None,
        }
    }
}

/// The answer that is stored under an idempotency key.
pub(crate) fn respond(order: &Order) -> RenderedResponse {
    let view = OrderView::new(order, Contact::Shown);
    RenderedResponse { status: 201, body: Private(serde_json::to_string(&view).unwrap()) }
}

pub(crate) fn place(draft: Draft) -> Write {
    Write::PlaceOrder(Box::new(PlaceOrder { draft, idempotency: None, most_waiting: None, respond }))
}

/// A change of a business by one of its members.
pub(crate) fn update(business: BusinessId, patch: BusinessPatch) -> Write {
    let (user, hand) = (UserId::generate(), Hand::Member);
    Write::UpdateBusiness(UpdateBusiness { business, user, hand, patch: Box::new(patch) })
}

/// What a member says about taking orders.
pub(crate) fn trade(business: BusinessId, change: TradingChange) -> Write {
    update(business, BusinessPatch { trading: Some(change), ..BusinessPatch::default() })
}

pub(crate) fn place_once(draft: Draft, key: &str, mac: &str) -> Write {
    let idempotency = Some(IdempotencyKey {
        scope: format!("{}:POST /orders", draft.customer_id),
        key: key.to_owned(),
        request_mac: mac.to_owned(),
    });
    Write::PlaceOrder(Box::new(PlaceOrder { draft, idempotency, most_waiting: None, respond }))
}

pub(crate) fn placed(outcome: &Outcome) -> Order {
    match outcome {
        Outcome::Placed(PlaceOutcome::Placed(order)) => (**order).clone(),
        other => panic!("expected a placed order, got {other:?}"),
    }
}

pub(crate) async fn place_one(lane: &mut dyn Lane, draft: Draft) -> Order {
    placed(&run_one(lane, place(draft)).await)
}

pub(crate) fn move_to(order: &Order, to: Status) -> Write {
    let version = order.version;
    let request =
        MoveRequest { party: Party::Member, to, version, prep_minutes: Some(25), delivered_by: None };
    let reason = Some("because".to_owned());
    Write::MoveOrder(MoveOrder {
        order: order.id,
        business: order.business_id,
        user: None,
        request,
        reason,
        aftermath: Aftermath::Usual,
    })
}

/// A wish that nobody is named for, without a reason.
pub(crate) fn wish(order: &Order, request: MoveRequest) -> Write {
    let (order, business) = (order.id, order.business_id);
    Write::MoveOrder(MoveOrder {
        order,
        business,
        user: None,
        request,
        reason: None,
        aftermath: Aftermath::Usual,
    })
}

/// A node says that it lives.
pub(crate) async fn beat(lane: &mut dyn Lane) {
    run_one(lane, renewal(Vec::new())).await;
}

/// A node says that it lives, and which businesses its devices can ring for.
pub(crate) fn renewal(leases: Vec<Lease>) -> Write {
    Write::RenewLeases(RenewLeases {
        node: NodeId::from_uuid(uuid::Uuid::from_u128(7)),
        leases,
        lapsed: Vec::new(),
        history: LeaseHistory::Unbroken,
        lease: Duration::from_secs(15),
        clocks: Clocks::default(),
        beat: None,
    })
}

/// What can be compared of an event.
pub(crate) fn essence(event: &RoomEvent) -> (String, String, String, i64, String) {
    (
        event.room.to_string(),
        event.cursor.to_string(),
        format!("{} {}", event.id, event.kind.as_str()),
        event.at.as_micros(),
        event.data.as_str().to_owned(),
    )
}
