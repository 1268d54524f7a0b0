use super::*;
use crate::domain::order::Fulfilment;
use crate::domain::order::tests::order;

const LIMIT: u32 = 3;

fn customers<const N: usize>() -> [UserId; N] {
    std::array::from_fn(|_| UserId::generate())
}

#[test]
fn three_customers_in_a_row_without_an_answer_pause_the_business() {
    let [a, b, c] = customers();
    let mut policy = AlertPolicy::default();
    let pauses = [a, a, b, b, a, c].map(|customer| policy.ran_out(customer, &[], LIMIT));
    assert_eq!(pauses, [false, false, false, false, false, true], "one customer counts once");
    assert!(!policy.ran_out(a, &[], LIMIT), "a pause begins the count anew");
    assert!(!AlertPolicy::default().ran_out(a, &[b, c], 0), "a limit of 0 is none");
}

#[test]
fn one_that_ran_out_while_two_more_customers_wait_pauses_the_business() {
    let [a, b, c] = customers();
    for (waiting, pauses) in
        [(vec![], false), (vec![b], false), (vec![b, b], false), (vec![a, b], false), (vec![c, b], true)]
    {
        assert_eq!(AlertPolicy::default().ran_out(a, &waiting, LIMIT), pauses, "{waiting:?}");
    }
}

#[test]
fn the_answer_of_a_member_begins_the_count_anew_and_nothing_else_does() {
    for fulfilment in Fulfilment::ALL {
        for placed_by in [Party::Customer, Party::Member] {
            for party in Party::ALL {
                for status in Status::ALL {
                    let mut order = order(fulfilment);
                    (order.placed_by, order.status) = (placed_by, status);
                    let [a, b, c] = customers();
                    let mut policy = AlertPolicy { unanswered: vec![a, b], ..AlertPolicy::default() };
                    let resets = party == Party::Member
                        && matches!(status, Status::Accepted | Status::Rejected)
                        && placed_by == Party::Customer
                        && fulfilment != Fulfilment::DineIn;
                    assert_eq!(policy.answered(&order, Status::Placed, party), resets);
                    assert_eq!(policy.ran_out(c, &[], LIMIT), !resets);
                }
            }
        }
    }
    let mut policy = AlertPolicy { unanswered: customers::<2>().to_vec(), ..AlertPolicy::default() };
    let mut moved = order(Fulfilment::Pickup);
    moved.status = Status::Rejected;
    assert!(!policy.answered(&moved, Status::Accepted, Party::Member), "only an answer is one");
}
