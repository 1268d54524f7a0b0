use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use super::Standing::{Known, Stranger};
use super::*;

fn passwords(max_waiting: usize, max_wait_ms: u64) -> Passwords {
    let settings =
        PasswordSettings { concurrency: Some(1), max_waiting, max_wait_ms, ..PasswordSettings::default() };
    Passwords::new(&settings).unwrap()
}

fn new_password(text: &str) -> Result<NewPassword, PasswordPolicyError> {
    NewPassword::parse(text.into())
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_hash_verifies_its_own_password_only_and_names_its_cost() {
    let passwords = passwords(1, 3_000);
    let stored = passwords.hash(new_password("correct horse").unwrap(), Stranger).await.unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
    assert_eq!(passwords.verify("correct horse".into(), &stored, Stranger).await, Ok(Verified::Yes));
    assert_eq!(passwords.verify("correct horsf".into(), &stored, Stranger).await, Ok(Verified::No));
    assert_eq!(passwords.verify("".into(), &stored, Stranger).await, Ok(Verified::No));
    let again = passwords.hash(new_password("correct horse").unwrap(), Stranger).await.unwrap();
    assert_ne!(again, stored, "equal passwords must not look equal");
}

#[tokio::test]
async fn one_password_is_one_in_every_form_and_a_hash_of_another_form_is_renewed() {
    let passwords = passwords(1, 3_000);
    let (nfc, nfd) = ("p\u{e4}ssw\u{f6}rter", "pa\u{308}sswo\u{308}rter");
    for chosen in [nfc, nfd] {
        let stored = passwords.hash(new_password(chosen).unwrap(), Stranger).await.unwrap();
        for typed in [nfc, nfd] {
            assert_eq!(passwords.verify(typed.into(), &stored, Stranger).await, Ok(Verified::Yes));
        }
    }
    // As hashes were made before, of the bytes that were sent.
    let stored = hash(&passwords.hasher, nfd).unwrap();
    let renewed = match passwords.verify(nfd.into(), &stored, Stranger).await {
        Ok(Verified::Renewed(renewed)) => renewed,
        other => panic!("{other:?}"),
    };
    assert_eq!(passwords.verify(nfc.into(), &stored, Stranger).await, Ok(Verified::No), "nobody can tell");
    assert_eq!(passwords.verify(nfc.into(), &renewed, Stranger).await, Ok(Verified::Yes));
    let wrong = "pa\u{308}sswo\u{308}rtes";
    assert_eq!(passwords.verify(wrong.into(), &stored, Stranger).await, Ok(Verified::No));
}

#[tokio::test]
async fn an_unknown_user_costs_what_a_real_one_costs() {
    let passwords = passwords(1, 3_000);
    let stored = passwords.hash(new_password("correct horse").unwrap(), Stranger).await.unwrap();
    let cost = |text: &str| {
        let hash = PasswordHash::new(text).unwrap();
        let output = hash.hash.unwrap().len();
        (hash.algorithm, hash.version, hash.params, hash.salt.unwrap().len(), output)
    };
    assert_eq!(cost(&passwords.nobody), cost(&stored));
    // `false` is only known once the whole hash was computed.
    assert_eq!(passwords.verify("correct horse".into(), &passwords.nobody, Stranger).await, Ok(Verified::No));
    assert_eq!(passwords.verify_unknown_user("correct horse".into(), Stranger).await, Ok(()));
}

#[tokio::test]
async fn a_stored_text_that_is_no_hash_is_told_apart_from_a_wrong_password() {
    let passwords = passwords(1, 3_000);
    for bad in ["", "plain", "$2b$12$abc", "$argon2id$v=19$m=19456,t=2,p=1$AAAA"] {
        assert_eq!(
            passwords.verify("x".into(), bad, Stranger).await,
            Err(PasswordError::MalformedHash),
            "{bad:?}"
        );
    }
}

#[tokio::test]
async fn whose_turn_does_not_come_in_time_is_told_so() {
    let passwords = passwords(8, 0);
    let taken = passwords.queue.permit(Stranger).await.unwrap();
    assert_eq!(passwords.verify_unknown_user("x".into(), Stranger).await, Err(PasswordError::Busy));
    drop(taken);
    assert_eq!(passwords.verify_unknown_user("x".into(), Stranger).await, Ok(()));
}

#[tokio::test]
async fn one_more_than_may_wait_is_refused_at_once_and_places_come_back() {
    let passwords = passwords(2, 3_600_000);
    let taken = passwords.queue.permit(Stranger).await.unwrap();
    let mut first = pin!(passwords.queue.permit(Stranger));
    assert!(poll_once(first.as_mut()).is_pending());
    {
        let mut second = pin!(passwords.queue.permit(Stranger));
        assert!(poll_once(second.as_mut()).is_pending());
        assert!(matches!(
            poll_once(pin!(passwords.queue.permit(Stranger))),
            Poll::Ready(Err(PasswordError::Busy))
        ));
    }
    let mut third = pin!(passwords.queue.permit(Stranger));
    assert!(poll_once(third.as_mut()).is_pending(), "who gave up gave the place back");
    drop(taken);
    let turn = first.await.unwrap();
    assert!(poll_once(third.as_mut()).is_pending(), "one at a time, first come first served");
    drop(turn);
    assert!(third.await.is_ok());
}

#[tokio::test]
async fn strangers_that_fill_the_queue_keep_nobody_waiting_who_signed_in_before() {
    let passwords = passwords(8, 3_600_000);
    let taken = passwords.queue.permit(Known).await.unwrap();
    let mut strangers: Vec<_> = (0..6).map(|_| Box::pin(passwords.queue.permit(Stranger))).collect();
    strangers.iter_mut().for_each(|turn| assert!(poll_once(turn.as_mut()).is_pending()));
    assert!(matches!(
        poll_once(pin!(passwords.queue.permit(Stranger))),
        Poll::Ready(Err(PasswordError::Busy))
    ));
    let mut known = Box::pin(passwords.queue.permit(Known));
    assert!(poll_once(known.as_mut()).is_pending(), "there is a place for them");
    drop(taken);
    let first = strangers.remove(0).await.unwrap();
    drop(first);
    let next = poll_once(known.as_mut());
    assert!(matches!(next, Poll::Ready(Ok(_))), "one stranger was before them, and not six");
    drop(next);
    for turn in strangers {
        assert!(turn.await.is_ok());
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_let_more_run_at_once() {
    let passwords = passwords(1, 3_600_000);
    let (started, has_started) = mpsc::channel();
    let (end, may_end) = mpsc::channel::<()>();
    {
        let mut hash = pin!(passwords.compute(Stranger, move || {
            started.send(()).unwrap();
            may_end.recv().map_err(|_| PasswordError::Failed)
        }));
        assert!(poll_once(hash.as_mut()).is_pending());
        has_started.recv().unwrap();
    }
    assert_eq!(passwords.queue.running.available_permits(), 0, "the abandoned hash still runs");
    end.send(()).unwrap();
    assert!(passwords.queue.permit(Stranger).await.is_ok());
}

#[test]
fn the_policy_counts_characters_of_any_script() {
    use PasswordPolicyError::{ControlCharacter, TooLong, TooShort};
    for (text, error) in [
        (String::new(), TooShort),
        ("1234567".to_owned(), TooShort),
        ("пароль1".to_owned(), TooShort),
        ("x".repeat(201), TooLong),
        ("x".repeat(1_000_000), TooLong),
        ("1234\u{0}5678".to_owned(), ControlCharacter),
        ("1234\n5678".to_owned(), ControlCharacter),
        ("1234\u{9b}5678".to_owned(), ControlCharacter),
        ("a\u{308}".repeat(4), TooShort),
        ("\u{308}".repeat(500_000), TooLong),
    ] {
        assert_eq!(new_password(&text).err(), Some(error), "{text:.20?}");
    }
    for text in [
        "12345678",
        "        ",
        "пароль12",
        &"ß".repeat(200),
        &"a\u{308}".repeat(200),
        &"\u{1112}\u{1161}\u{11ab}".repeat(200),
    ] {
        assert!(new_password(text).is_ok(), "{text}");
    }
    assert!(!format!("{:?}", new_password("12345678")).contains("1234"));
}

#[test]
fn settings_that_make_hashes_cheap_or_impossible_are_refused() {
    use PasswordSettingsError::{NoConcurrency, Refused, TooCheap};
    let good = PasswordSettings::default();
    for (settings, error) in [
        (PasswordSettings { memory_kib: 19_455, ..good.clone() }, TooCheap),
        (PasswordSettings { iterations: 1, ..good.clone() }, TooCheap),
        (PasswordSettings { parallelism: 0, ..good.clone() }, Refused),
        (PasswordSettings { concurrency: Some(0), ..good.clone() }, NoConcurrency),
    ] {
        assert_eq!(Passwords::new(&settings).err(), Some(error));
    }
    assert!(Passwords::new(&good).is_ok());
}
