//! Accounts, sign-ins and tickets.

use std::time::Duration;

use bellhop::domain::access::{MemberRole, Role};
use bellhop::domain::ids::{LoginSessionId, UserId};
use bellhop::domain::time::Timestamp;
use bellhop::storage::commands::{
    Approval, ApproveUser, Command, Creation, Device, EndSession, NewSession, Outcome, PutMember,
    RedeemTicket, Removal, RotateSession, Rotation, SessionActivity, SetAlertMe, SetPassword, SetPhone,
    TokenUse, UserChange, Write,
};
use bellhop::storage::{Attempt, Lane};

use crate::fixtures::{Fixture, command, now, run, run_one, user};

const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

async fn sign_in(lane: &mut dyn Lane, at: Timestamp) -> (LoginSessionId, UserId) {
    let account = user(Role::Merchant);
    let session = NewSession {
        id: LoginSessionId::generate(),
        user: account.id,
        device: Some(Device { id: "till".to_owned(), name: Some("Till".to_owned()), platform: None }),
        token_hash: "h0".to_owned(),
        created_at: at,
        expires_at: at.plus(LIFETIME),
    };
    let ids = (session.id, session.user);
    let actions = vec![Write::CreateUser(Box::new(account)), Write::OpenSession(Box::new(session))];
    run(lane, actions).await;
    ids
}

/// Presents the token of `generation` at `at`.
async fn present(lane: &mut dyn Lane, session: LoginSessionId, generation: u32, at: Timestamp) -> Rotation {
    present_hash(lane, session, generation, &format!("h{generation}"), at).await
}

async fn present_hash(
    lane: &mut dyn Lane,
    session: LoginSessionId,
    generation: u32,
    hash: &str,
    at: Timestamp,
) -> Rotation {
    rotate(lane, rotation(session, generation, hash), at).await
}

fn rotation(session: LoginSessionId, generation: u32, hash: &str) -> RotateSession {
    RotateSession {
        session,
        generation,
        presented_hash: hash.to_owned(),
        successor_hash: format!("h{}", generation + 1),
        lifetime: LIFETIME,
        used: None,
    }
}

async fn rotate(lane: &mut dyn Lane, rotate: RotateSession, at: Timestamp) -> Rotation {
    let command = Command { at, ..command(Write::RotateSession(rotate)) };
    match lane.run(&[command], Attempt::First).await.unwrap().outcomes.pop() {
        Some(Outcome::Rotated(rotation)) => rotation,
        other => panic!("expected a rotation, got {other:?}"),
    }
}

/// A node has seen that the client of `session` has its tokens of `generation`.
async fn store_use(lane: &mut dyn Lane, session: LoginSessionId, generation: u32, at: Timestamp) {
    let activity = SessionActivity { session, at, used: Some(TokenUse { generation, at }) };
    run_one(lane, Write::StoreActivity(vec![activity])).await;
}

fn after(at: Timestamp, seconds: u64) -> Timestamp {
    at.plus(Duration::from_secs(seconds))
}

on_every_store! {
    async fn an_account_is_found_by_id_and_address_and_exists_once(store) {
        let mut lane = store.lane().await;
        let mut driver = user(Role::Driver);
        driver.approved = Approval::Pending;
        driver.name = None;
        let created = run_one(&mut *lane, Write::CreateUser(Box::new(driver.clone()))).await;
        assert!(matches!(created, Outcome::UserCreated(Creation::Created)));
        let mut double = user(Role::Customer);
        double.email = driver.email.clone();
        let double_id = double.id;
        let again = run_one(&mut *lane, Write::CreateUser(Box::new(double))).await;
        assert!(matches!(again, Outcome::UserCreated(Creation::AlreadyThere)));
        let found = store.store.user_by_email(&driver.email).await.unwrap().unwrap();
        assert_eq!((found.id, found.role, found.approved), (driver.id, Role::Driver, Approval::Pending));
        assert_eq!((found.name, found.created_at), (None, driver.created_at));
        assert_eq!(found.password_hash, driver.password_hash);
        assert!(store.store.user(driver.id).await.unwrap().is_some());
        assert!(store.store.user(double_id).await.unwrap().is_none());
        assert!(store.store.user_by_email("nobody@example.test").await.unwrap().is_none());
    }

    async fn addresses_that_are_written_otherwise_than_today_are_found(store) {
        let mut lane = store.lane().await;
        let mut made = Vec::new();
        for (n, email) in
            ["zoe@example.com", "Zoe@example.com", "zoe@exämple.de", "zoe@xn--exmple-cua.de", "z oe@example.com", "zoe+1~@x.y"]
                .into_iter().enumerate()
        {
            let mut account = user(Role::Customer);
            account.email = email.to_owned();
            if (1..=4).contains(&n) {
                made.push((account.id, email.to_owned()));
            }
            run_one(&mut *lane, Write::CreateUser(Box::new(account))).await;
        }
        made.sort_by_key(|(id, _)| id.to_string());
        assert_eq!(store.store.unusual_addresses(10).await.unwrap(), made);
        assert_eq!(store.store.unusual_addresses(1).await.unwrap(), made[..1]);
    }

    async fn a_rotation_continues_the_family_and_slides_its_end(store) {
        let mut lane = store.lane().await;
        let start = now();
        let (session, account) = sign_in(&mut *lane, start).await;
        let at = after(start, 60);
        let first = present(&mut *lane, session, 0, at).await;
        let continued = |generation, at: Timestamp| Rotation::Continued {
            generation, user: account, role: Role::Merchant, device: Some("till".to_owned()),
            expires_at: at.plus(LIFETIME),
        };
        assert_eq!(first, continued(1, at));
        let later = after(at, 3_600);
        assert_eq!(present(&mut *lane, session, 1, later).await, continued(2, later));
    }

    async fn a_rotated_token_yields_the_same_successor_however_late_until_that_is_used(store) {
        let mut lane = store.lane().await;
        let start = now();
        let (session, account) = sign_in(&mut *lane, start).await;
        let first = present(&mut *lane, session, 0, start).await;
        for seconds in [0, 10, 11, 30, 3_600, 29 * 86_400] {
            assert_eq!(present(&mut *lane, session, 0, after(start, seconds)).await, first, "{seconds} s");
        }
        // What is known of older tokens says nothing of these.
        store_use(&mut *lane, session, 0, after(start, 40)).await;
        assert_eq!(present(&mut *lane, session, 0, after(start, 60)).await, first);
        let used = after(start, 100);
        store_use(&mut *lane, session, 1, used).await;
        store_use(&mut *lane, session, 1, after(used, 9)).await;
        assert_eq!(present(&mut *lane, session, 0, after(used, 10)).await, first, "a page that is open twice");
        assert_eq!(present(&mut *lane, session, 0, after(used, 11)).await, Rotation::Reused { user: account });
    }

    async fn a_use_that_only_this_node_has_seen_counts_as_well(store) {
        let mut lane = store.lane().await;
        let start = now();
        let (session, account) = sign_in(&mut *lane, start).await;
        let first = present(&mut *lane, session, 0, start).await;
        let seen = |generation| RotateSession {
            used: Some(TokenUse { generation, at: start }), ..rotation(session, 0, "h0")
        };
        assert_eq!(rotate(&mut *lane, seen(0), after(start, 11)).await, first);
        assert_eq!(rotate(&mut *lane, seen(1), after(start, 10)).await, first);
        assert_eq!(rotate(&mut *lane, seen(1), after(start, 11)).await, Rotation::Reused { user: account });
    }

    async fn a_token_that_was_never_used_is_exchanged_like_any_other(store) {
        let mut lane = store.lane().await;
        let start = now();
        let (session, _) = sign_in(&mut *lane, start).await;
        present(&mut *lane, session, 0, start).await;
        let next = present(&mut *lane, session, 1, after(start, 30)).await;
        assert!(matches!(next, Rotation::Continued { generation: 2, .. }), "{next:?}");
        assert!(matches!(present(&mut *lane, session, 0, after(start, 30)).await, Rotation::Reused { .. }));
    }

    async fn a_rotated_token_used_again_ends_the_family(store) {
        let mut lane = store.lane().await;
        let start = now();
        let (session, account) = sign_in(&mut *lane, start).await;
        present(&mut *lane, session, 0, start).await;
        store_use(&mut *lane, session, 1, start).await;
        let late = after(start, 11);
        assert_eq!(present(&mut *lane, session, 0, late).await, Rotation::Reused { user: account });
        assert_eq!(present(&mut *lane, session, 1, late).await, Rotation::Refused);
        assert_eq!(store.store.sessions_ended_since(late).await.unwrap(), [session]);
        assert!(store.store.sessions_ended_since(after(late, 1)).await.unwrap().is_empty());
    }

    async fn a_token_two_generations_old_ends_the_family_even_at_once(store) {
        let mut lane = store.lane().await;
        let start = now();
        let (session, account) = sign_in(&mut *lane, start).await;
        present(&mut *lane, session, 0, start).await;
        present(&mut *lane, session, 1, start).await;
        assert_eq!(present(&mut *lane, session, 0, start).await, Rotation::Reused { user: account });
    }

    async fn wrong_unknown_ended_and_expired_tokens_are_refused(store) {
        let mut lane = store.lane().await;
        let start = now();
        let (session, _) = sign_in(&mut *lane, start).await;
        assert_eq!(present_hash(&mut *lane, session, 0, "forged", start).await, Rotation::Refused);
        assert_eq!(present(&mut *lane, session, 5, start).await, Rotation::Refused);
        assert_eq!(present(&mut *lane, LoginSessionId::generate(), 0, start).await, Rotation::Refused);
        assert_eq!(present(&mut *lane, session, 0, start.plus(LIFETIME)).await, Rotation::Refused);
        let end = || Write::EndSession(EndSession { session });
        let outcomes = run(&mut *lane, vec![end(), end()]).await.outcomes;
        assert!(matches!(outcomes[..], [Outcome::Removed(Removal::Removed), Outcome::Removed(Removal::NotThere)]));
        assert_eq!(present(&mut *lane, session, 0, start).await, Rotation::Refused);
    }

    async fn a_family_ended_twice_keeps_the_first_moment(store) {
        let mut lane = store.lane().await;
        let start = now();
        let (session, _) = sign_in(&mut *lane, start).await;
        for seconds in [0, 100] {
            let command = Command { at: after(start, seconds), ..command(Write::EndSession(EndSession { session })) };
            lane.run(&[command], Attempt::First).await.unwrap();
        }
        assert!(store.store.sessions_ended_since(after(start, 1)).await.unwrap().is_empty());
        assert_eq!(store.store.sessions_ended_since(start).await.unwrap(), [session]);
    }

    async fn a_users_sign_ins_are_listed_with_device_and_last_activity_until_they_end(store) {
        let mut lane = store.lane().await;
        let start = now();
        let (first, account) = sign_in(&mut *lane, start).await;
        let second = NewSession {
            id: LoginSessionId::generate(),
            user: account,
            device: None,
            token_hash: "h0".to_owned(),
            created_at: after(start, 1),
            expires_at: start.plus(LIFETIME),
        };
        let second_id = second.id;
        run_one(&mut *lane, Write::OpenSession(Box::new(second))).await;
        let (stranger, _) = sign_in(&mut *lane, start).await;
        let listed = async |now| {
            let listed = store.store.sessions_of(account, now, 10).await.unwrap();
            listed.into_iter().map(|s| (s.id, s.last_active_at)).collect::<Vec<_>>()
        };
        assert_eq!(listed(start).await, [(second_id, after(start, 1)), (first, start)]);
        let seen = |session, seconds| SessionActivity { session, at: after(start, seconds), used: None };
        let activity = vec![seen(first, 60), seen(stranger, 60)];
        run_one(&mut *lane, Write::StoreActivity(activity)).await;
        run_one(&mut *lane, Write::StoreActivity(vec![seen(first, 30), seen(LoginSessionId::generate(), 30)])).await;
        assert_eq!(listed(start).await, [(first, after(start, 60)), (second_id, after(start, 1))]);
        present(&mut *lane, second_id, 0, after(start, 90)).await;
        assert_eq!(listed(start).await, [(second_id, after(start, 90)), (first, after(start, 60))]);
        let device = store.store.sessions_of(account, start, 10).await.unwrap().pop().unwrap().device;
        assert_eq!(device.map(|d| (d.id, d.name)), Some(("till".to_owned(), Some("Till".to_owned()))));
        assert_eq!(store.store.sessions_of(account, start, 1).await.unwrap().len(), 1);
        run_one(&mut *lane, Write::EndSession(EndSession { session: first })).await;
        assert_eq!(listed(start).await, [(second_id, after(start, 90))]);
        assert!(listed(after(start, 90).plus(LIFETIME)).await.is_empty());
        assert_eq!(store.store.session_owner(first).await.unwrap(), Some(account));
        assert_eq!(store.store.session_owner(LoginSessionId::generate()).await.unwrap(), None);
    }

    async fn a_clock_that_is_set_back_makes_no_grace_longer(store) {
        let (mut lane, start) = (store.lane().await, now());
        let (session, _) = sign_in(&mut *lane, start).await;
        present(&mut *lane, session, 0, after(start, 3600)).await;
        store_use(&mut *lane, session, 1, after(start, 3600)).await;
        let a_little = present(&mut *lane, session, 0, after(start, 3595)).await;
        assert!(matches!(a_little, Rotation::Continued { generation: 1, .. }), "clocks differ: {a_little:?}");
        let an_hour = present(&mut *lane, session, 0, start).await;
        assert!(matches!(an_hour, Rotation::Reused { .. }), "{an_hour:?}");
    }

    async fn a_device_is_known_to_the_user_who_signed_in_on_it_also_afterwards(store) {
        let mut lane = store.lane().await;
        let (session, account) = sign_in(&mut *lane, now()).await;
        let (_, stranger) = sign_in(&mut *lane, now()).await;
        let knows = async |user, device| store.store.knows_device(user, device).await.unwrap();
        assert!(knows(account, "till").await && knows(stranger, "till").await);
        assert!(!knows(account, "tablet").await);
        assert!(!knows(UserId::generate(), "till").await);
        run_one(&mut *lane, Write::EndSession(EndSession { session })).await;
        assert!(knows(account, "till").await);
    }

    async fn a_password_is_replaced_only_while_it_is_the_one_named(store) {
        let mut lane = store.lane().await;
        let account = user(Role::Customer);
        let (id, old) = (account.id, account.password_hash.clone());
        run_one(&mut *lane, Write::CreateUser(Box::new(account))).await;
        let set = |password_hash: &str, instead_of: Option<&str>, user| Write::SetPassword(Box::new(SetPassword {
            user, password_hash: password_hash.to_owned(), instead_of: instead_of.map(str::to_owned),
        }));
        let outcomes = run(&mut *lane, vec![
            set("second", Some(&old), id), set("third", Some(&old), id), set("fourth", None, UserId::generate()),
        ]).await.outcomes;
        assert!(matches!(outcomes[..], [
            Outcome::UserChanged(UserChange::Made), Outcome::UserChanged(UserChange::NotThere),
            Outcome::UserChanged(UserChange::NotThere),
        ]), "{outcomes:?}");
        assert_eq!(store.store.user(id).await.unwrap().unwrap().password_hash, "second");
        run_one(&mut *lane, set("fifth", None, id)).await;
        assert_eq!(store.store.user(id).await.unwrap().unwrap().password_hash, "fifth");
    }

    async fn a_phone_number_is_sealed_and_is_read_by_its_account_only(store) {
        let mut lane = store.lane().await;
        let (one, other) = (user(Role::Merchant), user(Role::Customer));
        let (id, other_id) = (one.id, other.id);
        let set = |user, phone: Option<&str>| {
            Write::SetPhone(Box::new(SetPhone { user, phone: phone.map(str::to_owned) }))
        };
        for account in [one, other] {
            run_one(&mut *lane, Write::CreateUser(Box::new(account))).await;
        }
        let outcomes = run(&mut *lane, vec![
            set(id, Some("+351 21 555 01 99")), set(UserId::generate(), Some("112")),
        ]).await.outcomes;
        assert!(matches!(outcomes[..], [
            Outcome::UserChanged(UserChange::Made), Outcome::UserChanged(UserChange::NotThere),
        ]), "{outcomes:?}");
        assert_eq!(store.store.user_phone(id).await.unwrap().as_deref(), Some("+351 21 555 01 99"));
        assert_eq!(store.store.user_phone(other_id).await.unwrap(), None);
        assert_eq!(store.store.user_phone(UserId::generate()).await.unwrap(), None);
        assert_eq!(store.peek("SELECT count(*) FROM users WHERE phone LIKE '%555%'").await, 0);
        store.tamper("UPDATE users SET phone = (SELECT u.phone FROM users u WHERE u.phone IS NOT NULL) WHERE phone IS NULL").await;
        let moved = store.store.user_phone(other_id).await;
        assert!(moved.is_err(), "it opens in its own row only: {moved:?}");
        run_one(&mut *lane, set(id, None)).await;
        assert_eq!(store.store.user_phone(id).await.unwrap(), None);
    }

    async fn owners_are_called_until_they_say_otherwise_and_staff_when_they_say_so(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let business = world.business.id;
        let staff = user(Role::Merchant);
        let staff_id = staff.id;
        let called = async || {
            let members = store.store.members(business).await.unwrap();
            members.into_iter().filter(|member| member.is_called()).map(|member| member.user).collect::<Vec<_>>()
        };
        run(&mut *lane, vec![
            Write::CreateUser(Box::new(staff)),
            Write::PutMember(PutMember { business, user: staff_id, role: MemberRole::Staff }),
        ]).await;
        assert_eq!(called().await, [world.owner]);
        let say = |user, alert_me| Write::SetAlertMe(SetAlertMe { business, user, alert_me });
        let outcomes = run(&mut *lane, vec![
            say(staff_id, true), say(world.owner, false), say(UserId::generate(), true),
        ]).await.outcomes;
        assert!(matches!(outcomes[..], [
            Outcome::UserChanged(UserChange::Made), Outcome::UserChanged(UserChange::Made),
            Outcome::UserChanged(UserChange::NotThere),
        ]), "{outcomes:?}");
        assert_eq!(called().await, [staff_id]);
        run(&mut *lane, vec![Write::PutMember(PutMember { business, user: staff_id, role: MemberRole::Owner })]).await;
        assert_eq!(called().await, [staff_id], "another role is no other wish");
    }

    async fn an_approval_stays_whoever_repeats_it(store) {
        let mut lane = store.lane().await;
        let driver = bellhop::storage::commands::NewUser { approved: Approval::Pending, ..user(Role::Driver) };
        let id = driver.id;
        run_one(&mut *lane, Write::CreateUser(Box::new(driver))).await;
        for _ in 0..2 {
            let approved = run_one(&mut *lane, Write::ApproveUser(ApproveUser { user: id })).await;
            assert!(matches!(approved, Outcome::UserChanged(UserChange::Made)), "{approved:?}");
            assert_eq!(store.store.user(id).await.unwrap().unwrap().approved, Approval::Approved);
        }
        let nobody = run_one(&mut *lane, Write::ApproveUser(ApproveUser { user: UserId::generate() })).await;
        assert!(matches!(nobody, Outcome::UserChanged(UserChange::NotThere)), "{nobody:?}");
    }

    async fn a_ticket_is_good_once(store) {
        let mut lane = store.lane().await;
        let redeem = || Write::RedeemTicket(RedeemTicket { jti: "t1".to_owned(), expires_at: now() });
        let first = run(&mut *lane, vec![redeem(), redeem()]).await.outcomes;
        assert!(matches!(first[..], [
            Outcome::TicketRedeemed(Creation::Created), Outcome::TicketRedeemed(Creation::AlreadyThere),
        ]));
        assert!(matches!(run_one(&mut *lane, redeem()).await, Outcome::TicketRedeemed(Creation::AlreadyThere)));
    }
}
