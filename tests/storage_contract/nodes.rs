//! Nodes that know each other by their signs of life, and jobs that one of them runs.

use std::time::Duration;

use bellhop::domain::ids::{BusinessId, NodeId};
use bellhop::domain::node::{NodeFacts, NodeState};
use bellhop::domain::saga::Clocks;
use bellhop::domain::time::Timestamp;
use bellhop::storage::Lane;
use bellhop::storage::commands::{
    Analyze, BeginIntent, ClaimJob, EndJob, Expirable, FinishIntent, FireDeadline, HeldJob, HubSeen,
    IntentResult, JobClaim, Lease, LeaseHistory, LeaveHub, NodeBeat, Outcome, Purge, RedeemTicket,
    RenewLeases, ResetQuotas, Write, WriteOfJob,
};

use sqlx::Connection as _;

use crate::fixtures::{Fixture, now, place_once, run, run_one};
use crate::harness::Place;

const LEASE: Duration = Duration::from_secs(15);

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn facts(state: NodeState) -> NodeFacts {
    NodeFacts {
        version: "1.2.3".to_owned(),
        schema_version: 7,
        state,
        sockets: 3,
        rooms: 2,
        started_at: Timestamp::from_unix_seconds(1),
    }
}

/// A node says that it lives, and which businesses it has devices of.
async fn beat(
    lane: &mut dyn Lane,
    node: NodeId,
    state: NodeState,
    businesses: &[BusinessId],
    looked_at: Option<Timestamp>,
) -> HubSeen {
    let leases = businesses.iter().map(|business| Lease { business: *business, devices: 1 }).collect();
    let renewal = RenewLeases {
        node,
        leases,
        lapsed: Vec::new(),
        lease: LEASE,
        history: LeaseHistory::Unbroken,
        clocks: Clocks::default(),
        beat: Some(NodeBeat { facts: facts(state), looked_at, late: s(9) }),
    };
    let Outcome::LeasesRenewed(renewed) = run_one(lane, Write::RenewLeases(renewal)).await else {
        panic!("another outcome")
    };
    *renewed.hub.expect("it is told what there is")
}

fn claim(node: NodeId) -> Write {
    Write::ClaimJob(ClaimJob { job: "tickets", node, period: s(300), lease: s(30) })
}

async fn taken(lane: &mut dyn Lane, node: NodeId) -> HeldJob {
    match run_one(lane, claim(node)).await {
        Outcome::JobClaimed(JobClaim::Taken(fence)) => HeldJob { job: "tickets", fence, lease: s(30) },
        other => panic!("it is not taken: {other:?}"),
    }
}

async fn later(lane: &mut dyn Lane, node: NodeId) -> u64 {
    match run_one(lane, claim(node)).await {
        Outcome::JobClaimed(JobClaim::Later(millis)) => millis,
        other => panic!("it is taken: {other:?}"),
    }
}

fn purge(held: HeldJob) -> Write {
    let purge = Purge { what: Expirable::Tickets, before: now().plus(s(1_000)), limit: 10 };
    Write::WriteOfJob(Box::new(WriteOfJob { held, write: Write::Purge(purge) }))
}

fn end(held: HeldJob) -> Write {
    Write::EndJob(Box::new(EndJob {
        held,
        due_in: s(300),
        took: Duration::from_millis(12),
        outcome: "done",
        rows: Some(1),
        error: None,
    }))
}

on_every_store! {
    async fn nodes_that_say_so_are_known_until_their_lease_has_run_out_or_they_leave(store) {
        let mut lane = store.lane().await;
        let [one, two, three] = [(); 3].map(|()| NodeId::generate());
        assert_eq!(beat(&mut *lane, one, NodeState::Ready, &[], None).await.nodes, [one]);
        beat(&mut *lane, two, NodeState::Ready, &[], None).await;
        let draining = beat(&mut *lane, three, NodeState::Draining, &[], None).await;
        assert_eq!(draining.nodes, [one, two], "who drains takes nothing new");
        store.store.clock().advance(s(10));
        beat(&mut *lane, two, NodeState::Ready, &[], None).await;
        store.store.clock().advance(s(6));
        assert_eq!(beat(&mut *lane, three, NodeState::Ready, &[], None).await.nodes, [two, three]);
        run_one(&mut *lane, Write::LeaveHub(LeaveHub { node: two })).await;
        assert_eq!(beat(&mut *lane, three, NodeState::Ready, &[], None).await.nodes, [three]);
        let nodes = store.store.nodes().await.unwrap();
        assert_eq!(nodes.iter().map(|node| node.id).collect::<Vec<_>>(), [one, two, three]);
        assert_eq!(nodes[2].facts, facts(NodeState::Ready));
    }

    async fn what_a_node_that_died_had_is_told_to_the_others_when_it_runs_out(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let (own, lane) = (world.business.id, &mut *lane);
        let [dead, alive] = [(); 2].map(|()| NodeId::generate());
        beat(lane, dead, NodeState::Ready, &[own], None).await;
        let first = beat(lane, alive, NodeState::Ready, &[], None).await;
        assert_eq!((first.next_lapse, first.lapsed.len()), (None, 0), "it is not late");
        store.store.clock().advance(s(7));
        let second = beat(lane, alive, NodeState::Ready, &[], Some(first.at)).await;
        let lapse = second.next_lapse.expect("it has missed a sign of life");
        assert!(lapse > second.at && lapse.since(second.at) <= s(8), "{second:?}");
        assert_eq!(store.store.devices_by_node(own, second.at).await.unwrap(), [(dead, 1)]);
        store.store.clock().advance(lapse.since(second.at) + Duration::from_millis(1));
        let third = beat(lane, alive, NodeState::Ready, &[], Some(second.at)).await;
        assert_eq!((third.next_lapse, &third.lapsed), (None, &vec![(own, 0)]));
        let fourth = beat(lane, alive, NodeState::Ready, &[], Some(third.at)).await;
        assert_eq!(fourth.lapsed, [], "once");
        assert_eq!(store.store.devices_by_node(own, fourth.at).await.unwrap(), []);
    }

    async fn every_node_hears_of_the_schema_and_that_quotas_were_given_back(store) {
        let (mut lane, node) = (store.lane().await, NodeId::generate());
        let first = beat(&mut *lane, node, NodeState::Ready, &[], None).await;
        assert_eq!(first.schema_version, store.store.known_schema());
        assert_eq!(store.store.schema().await.unwrap(), store.store.known_schema());
        let Outcome::QuotaEra(era) = run_one(&mut *lane, Write::ResetQuotas(ResetQuotas)).await else {
            panic!("another outcome")
        };
        assert_eq!(era, first.quota_era + 1);
        assert_eq!(beat(&mut *lane, node, NodeState::Ready, &[], None).await.quota_era, era);
    }

    async fn a_hub_runs_on_the_schema_of_a_newer_release(store) {
        let bytes = match &store.place {
            Place::Postgres { .. } => "'\\x00'",
            Place::Sqlite { .. } => "x'00'",
        };
        let sql = format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (99999, 'of the next release', {}, {bytes}, 0)",
            if bytes.starts_with('x') { "1" } else { "true" },
        );
        store.tamper(Box::leak(sql.into_boxed_str())).await;
        store.store.migrate().await.unwrap();
        assert_eq!(store.store.schema().await.unwrap(), 99_999);
        assert!(store.store.known_schema() < 99_999);
    }

    async fn a_change_of_the_schema_that_meets_a_lock_lets_others_pass_and_is_tried_again(store) {
        let Place::Postgres { url, .. } = &store.place else { return };
        for sql in [
            "DELETE FROM _sqlx_migrations WHERE version = 16",
            "DROP TABLE nodes, job_leases",
            "ALTER TABLE hub DROP COLUMN quota_era",
        ] {
            store.tamper(sql).await;
        }
        let mut reader = sqlx::PgConnection::connect(url).await.unwrap();
        let mut long_read = reader.begin().await.unwrap();
        sqlx::query("SELECT 1 FROM hub").execute(&mut *long_read).await.unwrap();
        let migrating = {
            let store = store.store.clone();
            tokio::spawn(async move { store.migrate().await })
        };
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'hub'::regclass";
        while store.peek(waits).await == 0 {
            tokio::task::yield_now().await;
        }
        // Behind the migration's wish for the table, until that gives up.
        let others = tokio::time::timeout(s(30), store.peek("SELECT count(*) FROM hub")).await;
        assert_eq!(others.expect("the migration gives up"), 1);
        assert!(!migrating.is_finished(), "the table is still read");
        long_read.rollback().await.unwrap();
        migrating.await.unwrap().unwrap();
        assert_eq!(store.store.schema().await.unwrap(), store.store.known_schema());
    }

    async fn a_job_is_one_nodes_until_it_ends_and_then_due_for_everybody_after_its_period(store) {
        let mut lane = store.lane().await;
        let [one, two] = [(); 2].map(|()| NodeId::generate());
        let held = taken(&mut *lane, one).await;
        assert_eq!(held.fence, 1);
        assert!((20_000..=30_000).contains(&later(&mut *lane, two).await), "while it runs");
        run_one(&mut *lane, end(held)).await;
        assert!((280_000..=300_000).contains(&later(&mut *lane, two).await));
        assert!((280_000..=300_000).contains(&later(&mut *lane, one).await));
        let jobs = store.store.jobs().await.unwrap();
        let last = jobs[0].last.as_ref().unwrap();
        assert_eq!((jobs.len(), &*jobs[0].job, &*last.outcome), (1, "tickets", "done"));
        assert_eq!((&last.node, last.took, last.rows), (&one.to_string(), Duration::from_millis(12), Some(1)));
        store.store.clock().advance(s(301));
        assert_eq!(taken(&mut *lane, two).await.fence, 2);
    }

    async fn a_node_that_has_lost_a_job_changes_nothing_any_more(store) {
        let mut lane = store.lane().await;
        let [slow, other] = [(); 2].map(|()| NodeId::generate());
        let ticket = RedeemTicket { jti: "t".to_owned(), expires_at: now() };
        run_one(&mut *lane, Write::RedeemTicket(ticket)).await;
        let lost = taken(&mut *lane, slow).await;
        store.store.clock().advance(s(31));
        let held = taken(&mut *lane, other).await;
        assert!(matches!(run_one(&mut *lane, purge(lost)).await, Outcome::JobLost));
        run_one(&mut *lane, end(lost)).await;
        assert_eq!(store.peek("SELECT count(*) FROM tickets").await, 1);
        assert_eq!(store.peek("SELECT count(*) FROM job_leases WHERE last_outcome IS NULL").await, 1);
        assert!(matches!(run_one(&mut *lane, purge(held)).await, Outcome::Purged(1)));
        let write = Write::WriteOfJob(Box::new(WriteOfJob { held, write: Write::Analyze(Analyze) }));
        assert!(matches!(run_one(&mut *lane, write).await, Outcome::Done));
    }

    async fn every_write_of_a_job_keeps_it_and_a_node_that_died_loses_it(store) {
        let mut lane = store.lane().await;
        let [one, two] = [(); 2].map(|()| NodeId::generate());
        let held = taken(&mut *lane, one).await;
        for _ in 0..3 {
            store.store.clock().advance(s(20));
            assert!(matches!(run_one(&mut *lane, purge(held)).await, Outcome::Purged(0)));
        }
        assert!(later(&mut *lane, two).await > 25_000);
        store.store.clock().advance(s(31));
        assert_eq!(taken(&mut *lane, two).await.fence, 2);
    }

    async fn a_use_of_a_channel_is_begun_by_one_node_and_is_due_again_when_that_says_nothing(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let lane = &mut *lane;
        let committed = run(lane, vec![place_once(world.draft(), "k", "m")]).await;
        let due = committed.sagas[0];
        store.store.clock().advance(s(5));
        let fire = FireDeadline { order: due.order, business: due.business, attempt: due.attempt };
        run_one(lane, Write::FireDeadline(fire)).await;
        let now = store.store.clock().now();
        let wanted = store.store.due_intents(now, 1).await.unwrap()[0];
        let until = now.plus(s(20));
        let begin = Write::BeginIntent(BeginIntent { intent: wanted.id, due_at: wanted.due_at, until });
        assert!(matches!(run_one(lane, begin.clone()).await, Outcome::IntentBegun(true)));
        assert!(matches!(run_one(lane, begin).await, Outcome::IntentBegun(false)), "another node has read it as well");
        let ids = async |at| store.store.due_intents(at, 10).await.unwrap().into_iter().map(|i| i.id).collect::<Vec<_>>();
        assert!(!ids(now).await.contains(&wanted.id));
        assert!(ids(until).await.contains(&wanted.id), "the node that began it may have died");
        let finish = FinishIntent { intent: wanted.id, result: IntentResult::Sent };
        run_one(lane, Write::FinishIntent(finish)).await;
        let begin = Write::BeginIntent(BeginIntent { intent: wanted.id, due_at: until, until: until.plus(s(20)) });
        assert!(matches!(run_one(lane, begin).await, Outcome::IntentBegun(false)), "it has ended");
    }

    async fn a_due_time_that_a_clock_set_far_ahead_has_left_holds_no_job_up(store) {
        let (mut lane, node) = (store.lane().await, NodeId::generate());
        let held = taken(&mut *lane, node).await;
        run_one(&mut *lane, end(held)).await;
        store.tamper("UPDATE job_leases SET due_at = due_at + 86400000000").await;
        assert_eq!(taken(&mut *lane, node).await.fence, 2);
    }
}
