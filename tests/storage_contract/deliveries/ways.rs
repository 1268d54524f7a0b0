//! Changes of hands, and other ways to the customer.

use super::*;
use bellhop::domain::delivery::{AssignRefusal, DeliveredBy, LeaveRefusal};
use bellhop::domain::order::Fulfilment;
use bellhop::storage::commands::{ChangeWay, ExtendSearch, OtherWay, WayRefusal};

fn way(order: &Order, party: Party, way: OtherWay) -> Write {
    let (id, business, user) = (order.id, order.business_id, UserId::generate());
    Write::ChangeWay(ChangeWay { order: id, business, party, user, way })
}

fn given(outcome: &Outcome) -> Result<DeliveryChanged, AssignRefusal> {
    match outcome {
        Outcome::DriverAssigned(assigned) => *assigned,
        other => panic!("expected an assignment, got {other:?}"),
    }
}

fn left(outcome: &Outcome) -> Result<DeliveryChanged, LeaveRefusal> {
    match outcome {
        Outcome::DeliveryLeft(left) => *left,
        other => panic!("expected that it left, got {other:?}"),
    }
}

on_every_store! {
    async fn an_operator_assigns_and_takes_away_by_hand(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let (one, other) = (driver(&mut *lane, 1).await, driver(&mut *lane, 1).await);
        set_online(&mut *lane, other, false).await;
        open(&store, &mut *lane, &order, &[one]).await;
        let committed = run(&mut *lane, vec![assign(&order, other)]).await;
        assert!(!given(&committed.outcomes[0]).unwrap().already);
        assert!(given(&run_one(&mut *lane, assign(&order, other)).await).unwrap().already);
        assert!(store.store.open_offers_of(one).await.unwrap().is_empty());
        let second = ready(&world, &mut *lane).await;
        assert_eq!(given(&run_one(&mut *lane, assign(&second, other)).await), Err(AssignRefusal::OverCapacity));
        let stranger = UserId::generate();
        assert_eq!(given(&run_one(&mut *lane, assign(&second, stranger)).await), Err(AssignRefusal::NoSuchDriver));
        // From one hand into another, with the food.
        run_one(&mut *lane, step(&order, other, StepReport::of(Step::PickedUp))).await;
        let committed = run(&mut *lane, vec![assign(&order, one)]).await;
        assert_eq!(committed.left, [(order.id, other)]);
        let active = (driver_now(&store, one).await.active, driver_now(&store, other).await.active);
        assert_eq!((delivery(&store, &order).await.delivery.driver, active), (Some(one), (1, 0)));
        let under_way = left(&run_one(&mut *lane, leave(&order, Party::Admin, None)).await);
        assert_eq!(under_way, Err(LeaveRefusal::NotNow { from: DeliveryStatus::PickedUp }));
        assert_eq!(store.peek("SELECT count(*) FROM audit WHERE action = 'delivery_assigned'").await, 2);
    }

    /// An account without a row gets one.
    async fn a_driver_who_never_said_anything_can_be_assigned(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let account = user(Role::Driver);
        let driver = account.id;
        run(&mut *lane, vec![Write::CreateUser(Box::new(account))]).await;
        assert!(given(&run_one(&mut *lane, assign(&order, driver)).await).is_ok());
        assert_eq!(driver_now(&store, driver).await.active, 1);
    }

    async fn a_driver_gives_it_back_and_the_search_begins_anew(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = driven(&world, &mut *lane).await;
        let (one, other) = (driver(&mut *lane, 1).await, driver(&mut *lane, 1).await);
        assigned(&store, &mut *lane, &order, one).await;
        let foreign = left(&run_one(&mut *lane, leave(&order, Party::Driver, Some(other))).await);
        assert_eq!(foreign, Err(LeaveRefusal::NoSuchDelivery));
        assert!(left(&run_one(&mut *lane, leave(&order, Party::Driver, Some(one))).await).is_ok());
        let delivery = delivery(&store, &order).await.delivery;
        assert_eq!((delivery.status, delivery.reason), (DeliveryStatus::Unassigned, Some(LeaveReason::Driver)));
        let commits = live(&store, &mut *lane, S(1), &[other]).await;
        assert_eq!((looks(&commits)[0].wave, &*looks(&commits)[0].job.not), (1, &[one][..]));
        assert_eq!(driver_now(&store, one).await.delivered, 1, "it counts");
        assigned(&store, &mut *lane, &order, other).await;
        run_one(&mut *lane, step(&order, other, StepReport::of(Step::AtPickup))).await;
        // From the time at which it was to be ready.
        live(&store, &mut *lane, S(25 * 60 + 601), &[other]).await;
        assert!(left(&run_one(&mut *lane, leave(&order, Party::Driver, Some(other))).await).is_ok());
        let delivery = super::delivery(&store, &order).await.delivery;
        assert_eq!(delivery.reason, Some(LeaveReason::BusinessLate));
        assert_eq!(driver_now(&store, other).await.delivered, 0, "nobody's fault but the business's");
    }

    async fn a_business_brings_it_itself_while_nobody_has_it(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 1).await;
        open(&store, &mut *lane, &order, &[driver]).await;
        let outcome = run_one(&mut *lane, way(&order, Party::Member, OtherWay::Own)).await;
        assert!(matches!(outcome, Outcome::WayChanged(Ok(()))), "{outcome:?}");
        let own = order_now(&store, order.id).await;
        assert_eq!((own.delivered_by, own.delivery_status()), (Some(DeliveredBy::Business), Some(DeliveryStatus::Unassigned)));
        assert!(store.store.open_offers_of(driver).await.unwrap().is_empty());
        assert!(looks(&live(&store, &mut *lane, S(60), &[driver]).await).is_empty());
        let outcome = run_one(&mut *lane, move_to(&own, Status::PickedUp)).await;
        assert!(matches!(outcome, Outcome::Moved(Ok(_))), "{outcome:?}");
        let again = run_one(&mut *lane, way(&order, Party::Member, OtherWay::Own)).await;
        assert!(matches!(again, Outcome::WayChanged(Err(WayRefusal::NotSearched))), "{again:?}");
    }

    async fn a_customer_fetches_it_while_nobody_has_it(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let outcome = run_one(&mut *lane, way(&order, Party::Customer, OtherWay::Pickup)).await;
        assert!(matches!(outcome, Outcome::WayChanged(Ok(()))), "{outcome:?}");
        let fetched = order_now(&store, order.id).await;
        assert_eq!((fetched.fulfilment, fetched.status), (Fulfilment::Pickup, Status::Ready));
        assert!(fetched.deadline_at.is_some(), "nobody waits for it forever");
        let outcome = run_one(&mut *lane, move_to(&fetched, Status::Delivered)).await;
        assert!(matches!(outcome, Outcome::Moved(Ok(_))), "{outcome:?}");
        let carried = ready(&world, &mut *lane).await;
        let driver = driver(&mut *lane, 1).await;
        assigned(&store, &mut *lane, &carried, driver).await;
        let late = run_one(&mut *lane, way(&carried, Party::Customer, OtherWay::Pickup)).await;
        assert!(matches!(late, Outcome::WayChanged(Err(WayRefusal::NotSearched))), "{late:?}");
    }

    async fn an_operator_extends_the_search(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = ready(&world, &mut *lane).await;
        let until = now(&store).plus(S(4 * 3_600));
        let extend = ExtendSearch { order: order.id, business: order.business_id, user: UserId::generate(), until };
        let outcome = run_one(&mut *lane, Write::ExtendSearch(extend)).await;
        assert!(matches!(outcome, Outcome::WayChanged(Ok(()))), "{outcome:?}");
        live(&store, &mut *lane, S(2 * 3_600), &[]).await;
        assert_eq!(order_now(&store, order.id).await.status, Status::Ready);
        live(&store, &mut *lane, S(2 * 3_600 + 60), &[]).await;
        assert_eq!(order_now(&store, order.id).await.status, Status::Cancelled);
    }
}
