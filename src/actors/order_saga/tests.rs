//! Sagas of orders on a thread of their own, beside a store in which nothing is due.

use actix::System;

use super::*;
use crate::domain::ids::{BusinessId, OrderId};
use crate::telemetry::Metrics;

const AT: Timestamp = Timestamp::from_unix_seconds(1_000_000);

async fn sagas(settings: &SagaSettings) -> (OrderSagas, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::storage::sqlite::empty(folder.path(), Metrics::new(folder.path())).await;
    (OrderSagas::start(Deadlines::new(store), settings), folder)
}

fn due_in(seconds: u64) -> SagaDue {
    SagaDue {
        order: OrderId::generate(),
        business: BusinessId::generate(),
        attempt: 1,
        due_at: Some(AT.plus(Duration::from_secs(seconds))),
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let wait = async {
        while !holds() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect(what);
}

#[test]
fn only_deadlines_within_the_horizon_have_a_saga_and_it_ends_with_the_last_of_them() {
    System::new().block_on(async {
        let (sagas, _folder) = sagas(&SagaSettings::default()).await;
        let near = due_in(50);
        sagas.schedule(&near, AT);
        sagas.schedule(&due_in(61), AT);
        sagas.schedule(&SagaDue { due_at: None, ..due_in(1) }, AT);
        assert_eq!(sagas.count(), 1);
        sagas.schedule(&SagaDue { attempt: 2, due_at: None, ..near }, AT);
        until("the saga ends", || sagas.count() == 0).await;
        sagas.stop();
    });
}

#[test]
fn a_node_has_no_more_sagas_than_it_may_and_an_end_makes_room() {
    System::new().block_on(async {
        let (sagas, _folder) = sagas(&SagaSettings { max_actors: 2, ..SagaSettings::default() }).await;
        let first = due_in(50);
        sagas.schedule(&first, AT);
        for _ in 0..5 {
            sagas.schedule(&due_in(50), AT);
        }
        assert_eq!(sagas.count(), 2);
        sagas.schedule(&SagaDue { attempt: 2, due_at: None, ..first }, AT);
        until("its place is free", || sagas.places.available_permits() == 1).await;
        sagas.schedule(&due_in(50), AT);
        assert_eq!(sagas.count(), 2);
        sagas.stop();
    });
}

#[test]
#[ignore = "measures the memory of the process: to be run alone"]
fn a_saga_takes_less_than_two_kib() {
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }
    const SAGAS: usize = 50_000;
    System::new().block_on(async {
        let (sagas, _folder) = sagas(&SagaSettings::default()).await;
        let start = async |count| {
            (0..count).for_each(|_| sagas.schedule(&due_in(50), AT));
            // The thread starts them one after the other, and this behind the last of them.
            let (started, all_started) = tokio::sync::oneshot::channel();
            sagas.arbiter().spawn_fn(move || started.send(()).unwrap());
            all_started.await.unwrap();
        };
        start(100).await;
        let before = resident();
        start(SAGAS).await;
        let each = (resident() - before) / SAGAS;
        assert!((100..2048).contains(&each), "{each} bytes a saga");
        sagas.stop();
    });
}
