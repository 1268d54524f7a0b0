use proptest::prelude::*;

use super::*;

const PATIENCE: Duration = Duration::from_secs(6);

/// A breaker and a clock that goes on a millisecond with each thing that happens.
struct Bench {
    breaker: CircuitBreaker,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { breaker: CircuitBreaker::default(), now: Instant::now() }
    }

    fn observe(&mut self, probe: Probe) -> Option<CircuitChange> {
        let began = self.now;
        self.now += Duration::from_millis(1);
        self.breaker.record(probe, began, self.now)
    }
}

#[test]
fn three_silences_in_a_row_open_the_circuit_and_one_answer_closes_it() {
    use Probe::{NoResponse as Silence, Ok as Answer};
    let table: &[(&[Probe], Circuit)] = &[
        (&[], Circuit::Closed),
        (&[Silence, Silence], Circuit::Closed),
        (&[Silence, Silence, Silence], Circuit::Open),
        (&[Silence, Silence, Answer, Silence, Silence], Circuit::Closed),
        (&[Silence, Silence, Silence, Silence], Circuit::Open),
        (&[Silence, Silence, Silence, Answer], Circuit::Closed),
        (&[Silence, Silence, Silence, Answer, Silence], Circuit::Closed),
    ];
    for (probe, circuit) in table {
        let mut bench = Bench::new();
        for probe in *probe {
            bench.observe(*probe);
        }
        assert_eq!(bench.breaker.circuit(), *circuit, "{probe:?}");
    }
}

#[test]
fn reads_that_fall_silent_together_count_once() {
    let mut bench = Bench::new();
    let began = bench.now;
    let later = began + Duration::from_secs(1);
    for _ in 0..100 {
        assert_eq!(bench.breaker.record(Probe::NoResponse, began, later), None);
    }
    assert_eq!(bench.breaker.circuit(), Circuit::Closed);
    bench.now = later;
    assert_eq!(
        [bench.observe(Probe::NoResponse), bench.observe(Probe::NoResponse)],
        [None, Some(CircuitChange::Opened)]
    );
}

#[test]
fn it_tells_once_how_long_reads_were_refused() {
    let mut bench = Bench::new();
    let turns: Vec<_> = (0..5).filter_map(|_| bench.observe(Probe::NoResponse)).collect();
    assert_eq!(turns, [CircuitChange::Opened]);
    bench.now += Duration::from_secs(60);
    let Some(CircuitChange::Closed(refused)) = bench.observe(Probe::Ok) else { panic!("it closes") };
    assert!(refused >= Duration::from_secs(60), "{refused:?}");
    assert_eq!(bench.observe(Probe::Ok), None);
}

#[test]
fn probes_begin_with_the_first_doubt_and_end_with_the_first_answer() {
    let mut bench = Bench::new();
    assert!(!bench.breaker.start_prober(), "nothing is in doubt");
    bench.breaker.suspect();
    assert!(bench.breaker.start_prober());
    assert!(!bench.breaker.start_prober(), "one at a time");
    let waits: Vec<_> = (0..5).filter_map(|_| bench.breaker.next_probe(PATIENCE)).collect();
    assert_eq!(waits, [PROBE_WITHIN, PROBE_WITHIN, PROBE_WITHIN, PATIENCE, PROBE_WITHIN]);
    for _ in 0..3 {
        bench.observe(Probe::NoResponse);
    }
    let waits: Vec<_> = (0..3).filter_map(|_| bench.breaker.next_probe(PATIENCE)).collect();
    assert_eq!(waits, [OPEN_PROBE_WITHIN, OPEN_PROBE_WITHIN, PATIENCE]);
    bench.observe(Probe::Ok);
    assert_eq!(bench.breaker.next_probe(PATIENCE), None);
    bench.observe(Probe::NoResponse);
    assert!(bench.breaker.start_prober());
    bench.breaker.retire();
    assert_eq!(bench.breaker.next_probe(PATIENCE), None);
    assert!(!bench.breaker.start_prober(), "nobody asks a closed pool");
}

#[test]
fn a_probe_never_takes_longer_than_a_read() {
    let short = Duration::from_millis(300);
    let mut bench = Bench::new();
    bench.breaker.suspect();
    assert!(bench.breaker.start_prober());
    for _ in 0..8 {
        assert_eq!(bench.breaker.next_probe(short), Some(short));
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Hear(Probe),
    Doubt,
    Start,
    Probe,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Hear(Probe::Ok)),
        Just(Step::Hear(Probe::NoResponse)),
        Just(Step::Hear(Probe::NoResponse)),
        Just(Step::Doubt),
        Just(Step::Start),
        Just(Step::Probe),
    ]
}

proptest! {
    /// Whatever happens: it is open exactly after three silences without an answer since; there is never more than one
    /// prober; and an open circuit always has one or gets one, so that it cannot stay open for ever.
    #[test]
    fn it_is_open_after_three_silences_and_never_without_a_way_back(
        steps in proptest::collection::vec(step(), 0..200)
    ) {
        let mut bench = Bench::new();
        let (mut silences, mut running) = (0, false);
        for step in steps {
            match step {
                Step::Hear(Probe::Ok) => { bench.observe(Probe::Ok); silences = 0; }
                Step::Hear(Probe::NoResponse) => { bench.observe(Probe::NoResponse); silences += 1; }
                Step::Doubt => bench.breaker.suspect(),
                Step::Start => {
                    let starts = bench.breaker.start_prober();
                    prop_assert!(!(starts && running));
                    running |= starts;
                }
                Step::Probe => running = bench.breaker.next_probe(PATIENCE).is_some(),
            }
            prop_assert_eq!(bench.breaker.circuit() == Circuit::Open, silences >= OPENS_AFTER);
        }
        if bench.breaker.circuit() == Circuit::Open {
            prop_assert!(running || bench.breaker.start_prober());
            prop_assert!(bench.breaker.next_probe(PATIENCE).is_some());
        }
    }
}
