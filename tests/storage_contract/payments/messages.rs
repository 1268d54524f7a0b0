//! The inbox: messages of the provider that count once, are tried again, or are dead letters.

use bellhop::domain::ids::{DeadLetterId, OrderId};
use bellhop::storage::DeadLetterState;
use bellhop::storage::commands::ReplayDeadLetters;

use super::*;

pub(super) fn message(key: &str, order: Option<OrderId>, payment: Option<PaymentId>) -> Write {
    let body = Private(format!("{{\"event_id\":\"{key}\"}}"));
    let id = PaymentMessageId::generate();
    Write::ReceiveMessage(Box::new(ReceiveMessage { id, key: key.to_owned(), body, order, payment }))
}

fn receipt(outcome: &Outcome) -> Receipt {
    match outcome {
        Outcome::MessageReceived(receipt) => *receipt,
        other => panic!("expected a receipt, got {other:?}"),
    }
}

/// The one message that is due.
pub(super) async fn due(store: &TestStore) -> DueMessage {
    let due = store.store.due_messages(store.store.clock().now(), 10).await.unwrap();
    assert_eq!(due.len(), 1, "{due:?}");
    due.into_iter().next().unwrap()
}

pub(super) fn work(message: &DueMessage, news: Result<PaymentNews, NewsRefusal>) -> Write {
    let source = NewsSource::Message { id: message.id, attempts: message.attempts };
    let (order, business) = message.payment.unzip();
    Write::ApplyNews(Box::new(ApplyNews { source, business, order, news }))
}

fn replay(id: Option<DeadLetterId>) -> Write {
    let user = UserId::generate();
    Write::ReplayDeadLetters(Box::new(ReplayDeadLetters { id, kind: None, limit: 100, user }))
}

on_every_store! {
    async fn a_message_counts_once_in_one_batch_and_in_several(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let payment = open(&mut *lane, &order).await;
        let of = |key| message(key, Some(order.id), Some(payment));
        let committed = run(&mut *lane, vec![of("a"), of("b"), of("a")]).await;
        assert!(committed.money_due);
        let receipts: Vec<Receipt> = committed.outcomes.iter().map(receipt).collect();
        assert_eq!(receipts, [Receipt::Taken, Receipt::Taken, Receipt::Repeated]);
        let committed = run(&mut *lane, vec![of("b")]).await;
        assert_eq!((receipt(&committed.outcomes[0]), committed.money_due), (Receipt::Repeated, false));
        let due = store.store.due_messages(store.store.clock().now(), 10).await.unwrap();
        assert_eq!(due.len(), 2);
        assert_eq!((due[0].body.0.as_str(), due[0].payment), ("{\"event_id\":\"a\"}", Some((order.id, order.business_id))));
        assert!(!store.dump().await.contains("event_id"), "bodies are sealed");
    }

    async fn a_message_is_worked_on_once_and_says_what_came_of_it_in_the_same_commit(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let payment = open(&mut *lane, &order).await;
        run_one(&mut *lane, message("a", Some(order.id), Some(payment))).await;
        let seen = due(&store).await;
        let success = || work(&seen, Ok(news(&order, payment, NewsStatus::Success)));
        let outcomes = run(&mut *lane, vec![success(), success()]).await.outcomes;
        let outcomes: Vec<NewsOutcome> = outcomes.iter().map(applied).collect();
        assert_eq!(outcomes, [NewsOutcome::Applied, NewsOutcome::Outdated]);
        assert_eq!(now_of(&store, &order).await.status, Status::Placed);
        assert_eq!(store.store.due_messages(store.store.clock().now(), 10).await.unwrap(), []);
        assert_eq!(applied(&run_one(&mut *lane, success()).await), NewsOutcome::Outdated);
    }

    async fn an_unknown_payment_is_tried_three_times_more_and_then_is_a_dead_letter(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let unknown = PaymentId::generate();
        run_one(&mut *lane, message("a", Some(order.id), Some(unknown))).await;
        for (least, most) in [(1_600, 2_400), (8_000, 12_000), (48_000, 72_000)] {
            let seen = due(&store).await;
            assert_eq!(seen.payment, None);
            let told_at = store.store.clock().now();
            let outcome = run_one(&mut *lane, work(&seen, Ok(news(&order, unknown, NewsStatus::Success)))).await;
            assert_eq!(applied(&outcome), NewsOutcome::Again { refusal: NewsRefusal::UnknownPayment });
            assert_eq!(store.store.due_messages(told_at.plus(Duration::from_millis(least - 100)), 10).await.unwrap(), []);
            store.store.clock().advance(Duration::from_millis(most + 1000));
        }
        let seen = due(&store).await;
        let committed = run(&mut *lane, vec![work(&seen, Ok(news(&order, unknown, NewsStatus::Success)))]).await;
        assert_eq!(applied(&committed.outcomes[0]), NewsOutcome::Dead { refusal: NewsRefusal::UnknownPayment });
        assert_eq!(told(&committed, RoomId::Ops), ["notification"]);
        let letters = store.store.dead_letters(Some("payment"), None, 10).await.unwrap();
        assert_eq!((letters.len(), letters[0].reason, letters[0].order), (1, NewsRefusal::UnknownPayment, Some(order.id)));
        assert_eq!(store.store.dead_letters(Some("other"), None, 10).await.unwrap(), []);
        assert_eq!(store.store.dead_letters(None, Some(letters[0].id), 10).await.unwrap(), []);
        let letter = store.store.dead_letter(letters[0].id).await.unwrap().unwrap();
        assert_eq!(letter.body.as_ref().map(|body| body.0.as_str()), Some("{\"event_id\":\"a\"}"));
        assert_eq!(store.store.open_dead_letters().await.unwrap(), 1);
    }

    async fn a_dead_letter_is_replayed_to_its_end_or_dies_again(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let payment = open(&mut *lane, &order).await;
        run_one(&mut *lane, message("a", Some(order.id), Some(payment))).await;
        let seen = due(&store).await;
        let too_little = || PaymentNews { amount_minor: Some(order.total_minor - 1), ..news(&order, payment, NewsStatus::Success) };
        let outcome = run_one(&mut *lane, work(&seen, Ok(too_little()))).await;
        assert_eq!(applied(&outcome), NewsOutcome::Dead { refusal: NewsRefusal::AmountMismatch });
        let letter = store.store.dead_letters(None, None, 10).await.unwrap()[0].id;
        assert_eq!(now_of(&store, &order).await, order, "nothing has changed");
        for (replays, id) in [(1, Some(letter)), (2, None)] {
            let committed = run(&mut *lane, vec![replay(id)]).await;
            assert!(matches!(committed.outcomes[0], Outcome::Replayed(1)), "{:?}", committed.outcomes);
            assert!(committed.money_due);
            let kept = store.store.dead_letter(letter).await.unwrap().unwrap();
            assert_eq!((kept.state, kept.replays), (DeadLetterState::Replayed, replays));
            let seen = due(&store).await;
            assert_eq!(seen.attempts, 0);
            if replays == 1 {
                run_one(&mut *lane, work(&seen, Ok(too_little()))).await;
                let kept = store.store.dead_letter(letter).await.unwrap().unwrap();
                assert_eq!(kept.state, DeadLetterState::Open);
            } else {
                // The operator has cancelled the order meanwhile: what was captured goes back.
                run_one(&mut *lane, move_to(&order, Status::Cancelled)).await;
                let outcome = run_one(&mut *lane, work(&seen, Ok(too_little()))).await;
                assert_eq!(applied(&outcome), NewsOutcome::Applied);
            }
        }
        let kept = store.store.dead_letter(letter).await.unwrap().unwrap();
        assert_eq!(kept.state, DeadLetterState::Done);
        assert_eq!(money(&store, &order).await.refunds()[0].amount_minor, order.total_minor - 1);
        assert!(matches!(run_one(&mut *lane, replay(None)).await, Outcome::Replayed(0)));
        assert!(matches!(run_one(&mut *lane, replay(Some(letter))).await, Outcome::Replayed(0)));
    }

    async fn a_payment_of_another_order_and_an_unreadable_body_are_dead_letters_at_once(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (order, other) = (waiting(&world, &mut *lane).await, waiting(&world, &mut *lane).await);
        let payment = open(&mut *lane, &order).await;
        run_one(&mut *lane, message("a", Some(other.id), Some(payment))).await;
        let seen = due(&store).await;
        let outcome = run_one(&mut *lane, work(&seen, Ok(news(&other, payment, NewsStatus::Success)))).await;
        assert_eq!(applied(&outcome), NewsOutcome::Dead { refusal: NewsRefusal::WrongOrder });
        let letters = store.store.dead_letters(None, None, 10).await.unwrap();
        assert_eq!((letters[0].order, letters[0].payment), (Some(order.id), Some(payment)));
        run_one(&mut *lane, message("b", None, None)).await;
        let seen = due(&store).await;
        let outcome = run_one(&mut *lane, work(&seen, Err(NewsRefusal::Unreadable))).await;
        assert_eq!(applied(&outcome), NewsOutcome::Dead { refusal: NewsRefusal::Unreadable });
        for order in [order, other] {
            assert_eq!(now_of(&store, &order).await, order);
        }
    }

    async fn an_answer_that_cannot_be_is_one_dead_letter_however_often_it_comes(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let order = waiting(&world, &mut *lane).await;
        let payment = open(&mut *lane, &order).await;
        let too_little = PaymentNews { amount_minor: Some(1), ..news(&order, payment, NewsStatus::Success) };
        let mut alarms = 0;
        for _ in 0..3 {
            let committed = run(&mut *lane, vec![asked(&order, too_little.clone()), asked(&order, too_little.clone())]).await;
            assert_eq!(applied(&committed.outcomes[0]), NewsOutcome::Dead { refusal: NewsRefusal::AmountMismatch });
            alarms += told(&committed, RoomId::Ops).len();
        }
        assert_eq!((alarms, store.store.open_dead_letters().await.unwrap()), (1, 1));
        let letter = store.store.dead_letters(None, None, 10).await.unwrap().remove(0);
        assert_eq!((letter.source.as_str(), letter.body), (payment.to_string().as_str(), None));
        assert_eq!(store.store.payments_to_ask(store.store.clock().now(), 10).await.unwrap(), []);
        run_one(&mut *lane, replay(Some(letter.id))).await;
        assert_eq!(store.store.payments_to_ask(store.store.clock().now(), 10).await.unwrap().len(), 1, "it is asked again");
        run_one(&mut *lane, asked(&order, news(&order, payment, NewsStatus::Success))).await;
        let kept = store.store.dead_letter(letter.id).await.unwrap().unwrap();
        assert_eq!((kept.state, now_of(&store, &order).await.status), (DeadLetterState::Done, Status::Placed));
    }

    #[expect(clippy::print_stdout, reason = "the figure is the point")]
    async fn batches_of_64_messages_a_second(store) {
        if std::env::var_os("BELLHOP_MEASURE").is_none() {
            return;
        }
        let (_, mut lane) = Fixture::new(&store).await;
        let started = std::time::Instant::now();
        for batch in 0..50 {
            run(&mut *lane, (0..64).map(|n| message(&format!("{batch}.{n}"), None, None)).collect()).await;
        }
        let rate = 50.0 * 64.0 / started.elapsed().as_secs_f64();
        println!("{}: {rate:.0} messages/s in batches of 64", store.store.name());
    }
}
