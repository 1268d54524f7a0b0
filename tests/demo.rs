//! The demo plays to its end and finds nothing lost and nothing doubled.

use std::time::Duration;

use bellhop::demo::{self, Options};

#[test]
fn a_short_demo_loses_nothing_and_doubles_nothing() {
    let options = Options {
        run_for: Some(Duration::from_secs(3)),
        port: 0,
        orders_per_second: 20,
        businesses: 4,
        seed: Some(7),
        ..Options::default()
    };
    let verdict = actix_rt::System::new().block_on(demo::run(options)).expect("the demo runs");
    assert_eq!((verdict.lost, verdict.doubled, verdict.missed), (0, 0, 0), "{verdict}");
    assert!(verdict.placed > 0 && verdict.completed == verdict.placed, "{verdict}");
    assert_eq!((verdict.rung, verdict.acked), (verdict.placed, verdict.placed), "{verdict}");
    assert_eq!((verdict.refused, &verdict.odd), (0, &(0, None)), "{verdict}");
    assert!(verdict.commit_to_ack.is_some() && verdict.is_good(), "{verdict}");
}
