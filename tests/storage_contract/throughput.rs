//! A rough figure, on request: `BELLHOP_MEASURE=1 cargo test --release --test storage_contract batches_of -- --nocapture`.

use std::time::Instant;

use crate::fixtures::{Fixture, place, run};

on_every_store! {
    #[expect(clippy::print_stdout, reason = "the figure is the point")]
    async fn batches_of_64_orders_a_second(store) {
        if std::env::var_os("BELLHOP_MEASURE").is_none() {
            return;
        }
        let (world, mut lane) = Fixture::new(&store).await;
        for round in 0..3 {
            let started = Instant::now();
            for _ in 0..50 {
                run(&mut *lane, (0..64).map(|_| place(world.draft())).collect()).await;
            }
            let rate = 50.0 / started.elapsed().as_secs_f64();
            println!("{} round {round}: {rate:.0} commits/s of 64 orders", store.store.name());
        }
    }
}
