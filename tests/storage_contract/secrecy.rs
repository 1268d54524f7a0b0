//! A stolen database shows no phone number and no address, and what is printed for logs nothing private at all.

use bellhop::domain::access::{MemberRole, Role};
use bellhop::domain::email::EmailAddress;
use bellhop::domain::ids::{InvitationId, LoginSessionId, UserId};
use bellhop::protocol::frames::ClientFrame;
use bellhop::storage::Attempt;
use bellhop::storage::commands::{
    Invitee, NewInvitation, NewSession, NewUser, RotateSession, SetPassword, SetPhone, Write,
};

use crate::fixtures::{Fixture, command, move_to, now, place_once, placed, user};

on_every_store! {
    async fn a_dump_shows_no_phone_number_and_no_address(store) {
        let (world, mut lane) = Fixture::new(&store).await;
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

    async fn commands_outcomes_orders_and_frames_print_nothing_private(store) {
        const EMAIL: &str = "zoe.lang@example.com";
        const SECRET: &str = "eyJhbGciOi.secret";
        let (world, mut lane) = Fixture::new(&store).await;
        let mut commands = vec![
            command(place_once(world.draft(), "k", "m")),
            command(place_once(world.draft(), "k", "m")),
        ];
        let outcomes = lane.run(&commands, Attempt::First).await.unwrap().outcomes;
        let order = store.store.order(placed(&outcomes[0]).id).await.unwrap();
        let (session, account) = (LoginSessionId::generate(), UserId::generate());
        commands.extend([
            Write::CreateUser(Box::new(NewUser {
                email: EMAIL.to_owned(), password_hash: SECRET.to_owned(), ..user(Role::Merchant)
            })),
            Write::SetPassword(Box::new(SetPassword {
                user: account, password_hash: SECRET.to_owned(), instead_of: Some(SECRET.to_owned()),
            })),
            Write::SetPhone(Box::new(SetPhone { user: account, phone: Some("5550123".to_owned()) })),
            Write::OpenSession(Box::new(NewSession {
                id: session, user: account, device: None, token_hash: SECRET.to_owned(),
                created_at: now(), expires_at: now(),
            })),
            Write::RotateSession(RotateSession {
                session, generation: 1, presented_hash: SECRET.to_owned(), successor_hash: SECRET.to_owned(),
                lifetime: std::time::Duration::from_secs(1), used: None,
            }),
            Write::Invite(Box::new(NewInvitation {
                id: InvitationId::generate(), business: world.business.id, invitee: Invitee::Email(EMAIL.to_owned()),
                role: MemberRole::Staff, invited_by: account, expires_at: now(),
            })),
        ].map(command));
        let frame: ClientFrame =
            serde_json::from_str(&format!(r#"{{"type":"refresh","token":"{SECRET}"}}"#)).unwrap();
        let account = store.store.user(world.owner).await.unwrap().unwrap();
        let members = store.store.members(world.business.id).await.unwrap();
        let email = EmailAddress::parse(EMAIL).unwrap();
        let text = format!("{commands:?} {outcomes:?} {order:?} {frame:?} {account:?} {members:?} {email:?}");
        for private in [
            "5550123", "Unter den Linden", "13.25", "王小明", "zoe.lang", "secret",
            account.email.as_str(), account.password_hash.as_str(),
        ] {
            assert!(!text.contains(private), "{private} is printed: {text}");
        }
        for word in ["PlaceOrder", "Replayed", "Refresh", "RotateSession", "Order {"] {
            assert!(text.contains(word), "{word} is missing: {text}");
        }
    }

    async fn a_sealed_value_moved_to_another_order_does_not_open(store) {
        let (world, mut lane) = Fixture::new(&store).await;
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
