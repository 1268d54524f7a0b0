//! A stolen database shows no phone number and no address.

use bellhop::storage::Attempt;

use crate::fixtures::{World, command, move_to, place_once, placed};

on_every_store! {
    async fn a_dump_shows_no_phone_number_and_no_address(store) {
        let (world, mut lane) = World::new(&store).await;
        let commands = [command(place_once(world.draft(), "k", "m")), command(place_once(world.draft(), "k", "m"))];
        let order = placed(&lane.run(&commands, Attempt::First).await.unwrap().outcomes[0]);
        crate::fixtures::run_one(&mut *lane, move_to(&order, bellhop::domain::order::Status::Accepted)).await;
        lane.run(&commands, Attempt::AfterUnknown).await.unwrap();
        let dump = store.dump().await;
        assert!(dump.contains("王小明"), "the dump is one: names are in it");
        for secret in ["5550123", "Unter den Linden", "13.25"] {
            assert!(!dump.contains(secret), "{secret} is readable");
        }
    }

    async fn a_sealed_value_moved_to_another_order_does_not_open(store) {
        let (world, mut lane) = World::new(&store).await;
        let one = crate::fixtures::place_one(&mut *lane, world.draft()).await;
        crate::fixtures::place_one(&mut *lane, world.draft()).await;
        store.tamper("UPDATE orders SET phone = (SELECT phone FROM orders WHERE order_number = 2) \
                      WHERE order_number = 1").await;
        let read = store.store.order(one.id).await;
        assert!(matches!(read, Err(bellhop::storage::StoreError::Corrupt(_))), "{read:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn on_sqlite_the_file_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    crate::harness::check(crate::harness::TestStore::sqlite().await, |store| async move {
        let crate::harness::Place::Sqlite { path, .. } = &store.place else { unreachable!("made above") };
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    })
    .await;
}
