//! The report of a run: the table at the end.

use std::fmt::{self, Display};
use std::time::Duration;

use crate::domain::saga::Rung;

use super::counts::Counts;
use super::figures::{major, quantiles, row};
use super::ledger::{Alerts, Audit, Ledger, Recoveries, Totals};
use super::play::Findings;

pub use super::figures::{DeliveryReport, Quantiles};

/// The report of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// Orders answered with 201.
    pub placed: u64,
    /// Orders that each node took, one for each; those of visitors count too.
    pub taken_by_node: Vec<u64>,
    /// Of them, those that rang on every device of their business.
    pub rung: u64,
    /// Of them, those that every device of their business acknowledged.
    pub acked: u64,
    /// Of them, those that ended while they waited for their payment, and rang nowhere.
    pub never_placed: u64,
    /// Of them, those that ended: delivered, rejected or cancelled.
    pub completed: u64,
    /// Orders that have not ended, and that a deadline ahead or a member moves on.
    pub live: u64,
    /// Orders that were cancelled because nobody answered.
    pub unanswered: u64,
    /// Orders that rang once more, and how often devices heard it.
    pub rung_again: (u64, u64),
    /// Uses of other channels because an order was not answered for a while, as the hub counted them.
    pub escalated: u64,
    /// Orders that the hub accepted for their business.
    pub accepted_by_itself: u64,
    /// Pauses of businesses that began, and those that ended.
    pub paused_and_resumed: (u64, u64),
    /// The names of businesses that are paused at the end.
    pub paused_at_end: Vec<String>,
    /// Orders that were not taken because the business was paused.
    pub refused_by_pause: u64,
    /// From placing to the answer of a member; absent when nobody answered.
    pub time_to_answer: Option<Quantiles>,
    /// Orders answered with 201 that the hub does not list or that did not ring everywhere. Must be 0.
    pub lost: u64,
    /// Second orders for one idempotency key, and events that a device got twice in spite of its cursor. Must be 0.
    pub doubled: u64,
    /// Events that a device never got and was not told of. Must be 0.
    pub missed: u64,
    /// Orders that have not ended, and that neither a deadline ahead nor a member moves on. Must be 0.
    pub stuck: u64,
    /// Orders that were open when somebody left without waiting for them, and are not judged.
    pub left: u64,
    /// Connections of devices that ended, and how many came back where they had been.
    pub cut_and_resumed: (u64, u64),
    /// Events that were sent to devices from the history, as the hub counted them.
    pub caught_up: u64,
    /// Orders sent a second time with the same key, and how many of them got the first order as their answer.
    pub repeated_and_same: (u64, u64),
    /// Orders that customers could not place in spite of all patience.
    pub refused: u64,
    /// Answers and frames that should not have been, and the last of them.
    pub odd: (u64, Option<String>),
    /// From commit to a device's acknowledgement, as the hub measured it; absent when nothing was acknowledged.
    pub commit_to_ack: Option<Quantiles>,
    /// Money of orders that are paid online.
    pub money: MoneyReport,
    /// Orders that drivers bring.
    pub deliveries: DeliveryReport,
    /// Time the hub was up.
    pub lasted: Duration,
}

/// Money of orders that are paid online, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoneyReport {
    /// Orders that were to be paid online.
    pub online: u64,
    /// What the provider captured for them.
    pub captured_minor: i64,
    /// What has gone back.
    pub refunded_minor: i64,
    /// What the orders owe by their ends.
    pub owed_minor: i64,
    /// Orders whose money is not what they owe. Must be 0.
    pub wrong: u64,
    /// Orders whose cash nobody took.
    pub uncollected: u64,
}

impl MoneyReport {
    /// What is too much or too little, over all orders.
    fn off_minor(&self) -> i64 {
        self.captured_minor - self.refunded_minor - self.owed_minor
    }

    fn is_right(&self) -> bool {
        self.wrong == 0 && self.off_minor() == 0
    }
}

impl RunReport {
    pub(super) fn new(ledger: &Ledger, findings: Findings, counts: &Counts, lasted: Duration) -> Self {
        let Findings { audit, paused: paused_at_end } = findings;
        let Audit { lost, doubled, missed, stuck, live, left, uncollected, driven, money } = audit;
        let Totals { placed, rung, acked, completed, settled: _, rang_again, unanswered, never_placed } =
            ledger.totals();
        let Alerts { rings_heard, accepted_by_itself, paused, resumed: open_again, refused_by_pause } =
            ledger.alerts.counts();
        let [delivered, ended_otherwise, open] = driven;
        let orders = driven.iter().sum();
        let driven = DeliveryReport { orders, delivered, ended_otherwise, open, ..DeliveryReport::default() };
        let (refused, odd, last) = ledger.odd();
        let Recoveries { cut, resumed, repeated, same } = ledger.recoveries;
        Self {
            placed,
            taken_by_node: counts.orders_by_node(),
            rung,
            acked,
            never_placed,
            completed,
            live,
            unanswered,
            rung_again: (rang_again, rings_heard),
            escalated: counts
                .sum(|metrics| metrics.order_rings_total.with_label_values(&[Rung::Escalate.as_str()]).get()),
            accepted_by_itself,
            paused_and_resumed: (paused, open_again),
            paused_at_end,
            refused_by_pause,
            time_to_answer: Quantiles::of(&[ledger.alerts.answer_times()]),
            lost,
            doubled,
            missed,
            stuck,
            left,
            cut_and_resumed: (cut, resumed),
            caught_up: counts.caught_up(),
            repeated_and_same: (repeated, same),
            refused,
            odd: (odd, last.map(str::to_owned)),
            commit_to_ack: counts.commit_to_ack(),
            money: MoneyReport {
                online: money.online,
                captured_minor: money.captured_minor,
                refunded_minor: money.refunded_minor,
                owed_minor: money.owed_minor,
                wrong: money.wrong,
                uncollected,
            },
            deliveries: counts.deliveries(driven, ledger.deliveries.searched_anew()),
            lasted,
        }
    }

    /// Whether orders were placed and completed and none was lost, doubled or stuck, nor any event of one lost or doubled.
    pub fn is_good(&self) -> bool {
        self.placed > 0 && self.completed > 0 && self.is_clean()
    }

    /// Whether somebody left before everything came to its end, and nothing was wrong until then.
    pub fn was_left(&self) -> bool {
        self.left > 0 && self.is_clean()
    }

    fn is_clean(&self) -> bool {
        let nothing_wrong = self.lost == 0 && self.doubled == 0 && self.missed == 0 && self.stuck == 0;
        nothing_wrong && self.money.is_right() && self.deliveries.open == 0
    }
}

impl RunReport {
    fn orders(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "orders placed", &self.placed)?;
        for (n, taken) in (1..).zip(&self.taken_by_node).filter(|_| self.taken_by_node.len() > 1) {
            row(f, &format!("  taken by node {n}"), taken)?;
        }
        row(f, "  rung on every device", &self.rung)?;
        row(f, "  acknowledged by every device", &self.acked)?;
        row(f, "  ended before they were paid", &self.never_placed)?;
        row(f, "  completed", &self.completed)?;
        if self.live > 0 {
            row(f, "  live, with a deadline or a member", &self.live)?;
        }
        if self.left > 0 {
            row(f, "left open, not judged", &self.left)?;
        }
        Ok(())
    }

    fn alerts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((orders, rings), (paused, resumed)) = (self.rung_again, self.paused_and_resumed);
        row(f, "cancelled because nobody answered", &self.unanswered)?;
        row(f, "rung again", &orders)?;
        row(f, "  rings heard by devices", &rings)?;
        row(f, "escalated to other channels", &self.escalated)?;
        row(f, "accepted by the hub itself", &self.accepted_by_itself)?;
        row(f, "businesses paused", &paused)?;
        row(f, "  resumed", &resumed)?;
        row(f, "  paused at the end", &self.paused_at_end.len())?;
        for name in &self.paused_at_end {
            writeln!(f, "    {name}")?;
        }
        row(f, "orders refused by a pause", &self.refused_by_pause)?;
        quantiles(f, "time to an answer", self.time_to_answer)
    }

    fn connections(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((cut, resumed), (repeated, same)) = (self.cut_and_resumed, self.repeated_and_same);
        row(f, "connections of devices cut", &cut)?;
        row(f, "  resumed where they had been", &resumed)?;
        row(f, "  events caught up from the history", &self.caught_up)?;
        row(f, "orders sent again with their key", &repeated)?;
        row(f, "  answered with the first order", &same)?;
        quantiles(f, "commit to acknowledgement", self.commit_to_ack)
    }

    fn money(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let money = &self.money;
        row(f, "orders to be paid online", &money.online)?;
        row(f, "  paid", &major(money.captured_minor))?;
        row(f, "  refunded", &major(money.refunded_minor))?;
        row(f, "  owed by their orders", &major(money.owed_minor))?;
        row(f, "  paid - refunded - owed (must be 0)", &major(money.off_minor()))?;
        row(f, "  orders that differ (must be 0)", &money.wrong)?;
        row(f, "orders whose cash is uncollected", &money.uncollected)
    }

    fn faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "lost (must be 0)", &self.lost)?;
        row(f, "doubled (must be 0)", &self.doubled)?;
        row(f, "stuck (must be 0)", &self.stuck)?;
        row(f, "events missed (must be 0)", &self.missed)?;
        if self.refused > 0 {
            row(f, "orders refused to customers", &self.refused)?;
        }
        if let (count @ 1.., Some(last)) = &self.odd {
            row(f, "unexpected answers", count)?;
            writeln!(f, "    the last: {last}")?;
        }
        Ok(())
    }
}

impl Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.orders(f)?;
        self.alerts(f)?;
        self.connections(f)?;
        self.money(f)?;
        if self.deliveries.orders > 0 {
            self.deliveries.fmt(f)?;
        }
        self.faults(f)?;
        row(f, "seconds", &format!("{:.1}", self.lasted.as_secs_f64()))?;
        if self.was_left() {
            writeln!(f, "left {} open, not judged; of the others none lost, doubled or stuck", self.left)
        } else {
            let good = "nothing lost, nothing doubled, nothing stuck";
            writeln!(f, "{}", if self.is_good() { good } else { "NOT GOOD" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> RunReport {
        let ms = Duration::from_millis;
        RunReport {
            placed: 400,
            taken_by_node: vec![140, 260],
            rung: 400,
            acked: 400,
            never_placed: 0,
            completed: 400,
            live: 0,
            unanswered: 3,
            rung_again: (3, 18),
            escalated: 7,
            accepted_by_itself: 21,
            paused_and_resumed: (2, 1),
            paused_at_end: vec!["Trattoria Nonna Pia".to_owned()],
            refused_by_pause: 44,
            time_to_answer: Some(Quantiles { p50: ms(350), p95: ms(600), p99: ms(21_000) }),
            lost: 0,
            doubled: 0,
            missed: 0,
            stuck: 0,
            left: 0,
            cut_and_resumed: (210, 205),
            caught_up: 903,
            repeated_and_same: (21, 21),
            refused: 0,
            odd: (0, None),
            commit_to_ack: Some(Quantiles { p50: ms(3), p95: ms(7), p99: ms(12) }),
            money: MoneyReport {
                online: 140,
                captured_minor: 123_450,
                refunded_minor: 12_005,
                owed_minor: 111_445,
                wrong: 0,
                uncollected: 0,
            },
            deliveries: DeliveryReport { orders: 58, delivered: 58, ..DeliveryReport::default() },
            lasted: Duration::from_secs(23),
        }
    }

    #[test]
    fn it_is_good_only_when_something_was_done_and_nothing_lost_doubled_or_stuck() {
        assert!(good().is_good());
        assert!(!RunReport { placed: 0, completed: 0, ..good() }.is_good());
        assert!(!RunReport { completed: 0, ..good() }.is_good());
        assert!(!RunReport { lost: 1, ..good() }.is_good());
        assert!(!RunReport { doubled: 1, ..good() }.is_good());
        assert!(!RunReport { missed: 1, ..good() }.is_good());
        assert!(!RunReport { stuck: 1, ..good() }.is_good());
        let wrong = MoneyReport { wrong: 1, ..good().money };
        assert!(!RunReport { money: wrong, ..good() }.is_good());
        let open = DeliveryReport { open: 1, ..good().deliveries };
        assert!(!RunReport { deliveries: open, ..good() }.is_good());
        let off = MoneyReport { refunded_minor: 12_004, ..good().money };
        assert!(!RunReport { money: off, ..good() }.is_good());
        assert!(RunReport { live: 1, completed: 399, ..good() }.is_good(), "the hub or a member goes on");
    }

    #[test]
    fn what_was_left_open_is_no_loss_and_a_loss_is_one_all_the_same() {
        let left = RunReport { left: 22, completed: 378, ..good() };
        assert!(left.was_left() && left.to_string().contains("left 22 open, not judged"), "{left}");
        let lost = RunReport { lost: 1, ..left };
        assert!(!lost.was_left() && lost.to_string().contains("NOT GOOD"), "{lost}");
    }

    #[test]
    fn the_table_names_what_is_counted() {
        let table = good().to_string();
        for line in [
            "connections of devices cut",
            "903",
            "answered with the first order",
            "orders placed",
            "  taken by node 1                             140",
            "  taken by node 2                             260",
            "lost (must be 0)",
            "doubled (must be 0)",
            "stuck (must be 0)",
            "cancelled because nobody answered               3",
            "rung again                                      3",
            "  rings heard by devices                       18",
            "escalated to other channels                     7",
            "accepted by the hub itself                     21",
            "businesses paused                               2",
            "  resumed                                       1",
            "    Trattoria Nonna Pia\n",
            "orders refused by a pause                      44",
            "  paid                                    1234.50",
            "  refunded                                 120.05",
            "  paid - refunded - owed (must be 0)         0.00",
            "orders whose cash is uncollected                0",
            "time to an answer, p50                   350.0 ms",
            "                   p99                     21.0 s",
            "commit to acknowledgement, p50             3.0 ms",
            "p99",
            "12.0 ms",
        ] {
            assert!(table.contains(line), "{table}");
        }
        assert!(
            !table.contains("refused to") && !table.contains("live, with") && !table.contains("unexpected"),
            "{table}"
        );
        let odd = RunReport { odd: (2, Some("POST /orders: 500".to_owned())), lost: 1, ..good() };
        assert!(
            odd.to_string().contains("the last: POST /orders: 500") && odd.to_string().contains("NOT GOOD")
        );
    }
}
