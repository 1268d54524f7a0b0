use secrecy::SecretBox;

use super::*;
use crate::domain::access::Role;
use crate::domain::business::{MenuItem, NotTakingOrders};
use crate::domain::cursor::{Cursor, Epoch};
use crate::domain::ids::UserId;
use crate::domain::order::MoveRefusal;
use crate::domain::saga::{DeadlineKind, Rung};
use crate::storage::commands::{
    Addition, AnswerState, Creation, EpochChange, InvitationOutcome, MaintenanceProgress, MemberRefusal,
    Removal, Rotation, UserChange,
};

const USER: &str = "usr_01a1fdcb036d70308359e1ff1e336b07";

fn cipher() -> Cipher {
    let key = |byte| SecretBox::new(Box::new([byte; 32]));
    Cipher::new(vec![("k".parse().unwrap(), key(1))], key(2)).unwrap()
}

fn read(json: &str) -> Outcome {
    let stored: StoredOutcome = serde_json::from_str(json).unwrap();
    let cipher = cipher();
    stored.into_outcome(None, None, &cipher).unwrap()
}

/// The words of each kind of outcome, as every release has written them, with the outcome they stand for.
fn every_form() -> Vec<(String, Outcome)> {
    let user: UserId = USER.parse().unwrap();
    let at = Timestamp::from_micros(1_700_000_000_000_123);
    let head = Cursor::new(Epoch::new(7), 3);
    let soup = MenuItem {
        sku: "S".to_owned(),
        name: "Soup".to_owned(),
        category: None,
        price_minor: 5,
        available: true,
    };
    let continued =
        Rotation::Continued { generation: 2, user, role: Role::Merchant, device: None, expires_at: at };
    let report = FireReport {
        kind: DeadlineKind::Alert,
        due_at: at,
        fired_at: at,
        rungs: vec![Rung::Ring],
        moved_from: None,
        answer: AnswerState::Open,
    };
    let refused = |refusal| Outcome::Placed(PlaceOutcome::Refused(refusal));
    let not_moved = |refusal| Outcome::Moved(Err(MoveError::Refused(refusal)));
    let forms = vec![
        (r#""done""#, Outcome::Done),
        (r#""acks_left""#, Outcome::AcksLeft),
        (r#""key_reused""#, Outcome::Placed(PlaceOutcome::KeyReused)),
        (r#""key_of_another""#, Outcome::Repeated(KeyedRepeat::KeyReused)),
        (r#"{"refused":"no_such_business"}"#, refused(PlaceRefusal::NoSuchBusiness)),
        (r#"{"refused":"closed"}"#, refused(PlaceRefusal::NotTakingOrders(NotTakingOrders::Closed))),
        (
            r#"{"refused":{"paused":1700000000000123}}"#,
            refused(PlaceRefusal::NotTakingOrders(NotTakingOrders::Paused(at))),
        ),
        (r#"{"refused":{"unknown_items":[1,2]}}"#, refused(PlaceRefusal::UnknownItems(vec![1, 2]))),
        (
            r#"{"refused":{"price_changed":{"total_minor":9,"currency":"EUR"}}}"#,
            refused(PlaceRefusal::PriceChanged { total_minor: 9, currency: "EUR".parse().unwrap() }),
        ),
        (r#""no_such_order""#, Outcome::Moved(Err(MoveError::NoSuchOrder))),
        (r#""not_their_move""#, not_moved(MoveRefusal::NotTheirMove)),
        (
            r#"{"move_stale":{"current":4,"status":"ready"}}"#,
            not_moved(MoveRefusal::Stale { current: 4, status: Status::Ready }),
        ),
        (
            r#"{"move_forbidden":{"from":"ready","allowed":["cancelled"]}}"#,
            not_moved(MoveRefusal::Forbidden { from: Status::Ready, allowed: vec![Status::Cancelled] }),
        ),
        (
            r#"{"fired":{"report":null,"order":null,"at":1700000000000123}}"#,
            Outcome::Fired(FireOutcome { report: None, moved: None, left: None, now: at }),
        ),
        (
            r#"{"fired":{"report":{"kind":"alert","due_at":1700000000000123,"fired_at":1700000000000123,"rungs":["ring"],"moved_from":null,"answer":"open"},"order":null,"at":1700000000000123}}"#,
            Outcome::Fired(FireOutcome { report: Some(report), moved: None, left: None, now: at }),
        ),
        (r#"{"user_created":true}"#, Outcome::UserCreated(Creation::Created)),
        (r#"{"user_created":false}"#, Outcome::UserCreated(Creation::AlreadyThere)),
        (r#"{"user_changed":true}"#, Outcome::UserChanged(UserChange::Made)),
        (r#"{"user_changed":false}"#, Outcome::UserChanged(UserChange::NotThere)),
        (r#"{"ticket_redeemed":true}"#, Outcome::TicketRedeemed(Creation::Created)),
        (
            r#"{"continued":{"generation":2,"user":"USER","role":"merchant","device":null,"expires_at":1700000000000123}}"#,
            Outcome::Rotated(continued),
        ),
        (r#"{"reused":{"user":"USER"}}"#, Outcome::Rotated(Rotation::Reused { user })),
        (r#""rotation_refused""#, Outcome::Rotated(Rotation::Refused)),
        (r#"{"business_updated":null}"#, Outcome::BusinessUpdated(BusinessUpdate::NotThere)),
        (r#""currency_in_use""#, Outcome::BusinessUpdated(BusinessUpdate::CurrencyInUse)),
        (r#""zone_held""#, Outcome::BusinessUpdated(BusinessUpdate::ZoneHeld)),
        (r#"{"item_added":true}"#, Outcome::ItemAdded(Addition::Added)),
        (r#"{"item_added":false}"#, Outcome::ItemAdded(Addition::AlreadyThere)),
        (r#""menu_full""#, Outcome::ItemAdded(Addition::Full)),
        (r#"{"item_updated":null}"#, Outcome::ItemUpdated(None)),
        (
            r#"{"item_updated":{"sku":"S","name":"Soup","category":null,"price_minor":5,"available":true}}"#,
            Outcome::ItemUpdated(Some(soup)),
        ),
        (r#""removed""#, Outcome::Removed(Removal::Removed)),
        (r#""not_there""#, Outcome::Removed(Removal::NotThere)),
        (r#""removal_of_last_owner""#, Outcome::Removed(Removal::LastOwner)),
        (r#""member_put""#, Outcome::MemberPut(Ok(()))),
        (r#""no_such_user""#, Outcome::MemberPut(Err(MemberRefusal::NoSuchUser))),
        (r#""demotion_of_last_owner""#, Outcome::MemberPut(Err(MemberRefusal::LastOwner))),
        (r#""team_full""#, Outcome::MemberPut(Err(MemberRefusal::Full))),
        (r#"{"invitation_answered":"declined"}"#, Outcome::InvitationAnswered(InvitationOutcome::Declined)),
        (r#"{"purged":12}"#, Outcome::Purged(12)),
        (r#"{"notification_read":null}"#, Outcome::NotificationRead(None)),
        (r#"{"notification_read":1700000000000123}"#, Outcome::NotificationRead(Some(at))),
        (r#"{"resealed":3}"#, Outcome::Resealed(3)),
        (
            r#"{"advanced":{"changed":3,"last":"ord_1"}}"#,
            Outcome::Advanced(MaintenanceProgress { changed: 3, last: Some("ord_1".to_owned()) }),
        ),
        (
            r#"{"room_rotated":{"made":true,"head":"00000007.3"}}"#,
            Outcome::RoomRotated(EpochChange::Made(head)),
        ),
        (
            r#"{"room_rotated":{"made":false,"head":"00000007.3"}}"#,
            Outcome::RoomRotated(EpochChange::NotNeeded(head)),
        ),
    ];
    forms.into_iter().map(|(json, outcome)| (json.replace("USER", USER), outcome)).collect()
}

#[test]
fn an_outcome_is_stored_as_every_release_before_stored_it() {
    let command = Command {
        id: crate::domain::ids::CommandId::generate(),
        at: Timestamp::now(),
        write: crate::storage::commands::Analyze.into(),
    };
    let cipher = cipher();
    for (json, outcome) in every_form() {
        let stored = StoredOutcome::of(&outcome, &command, &cipher).unwrap();
        assert_eq!(serde_json::to_string(&stored).unwrap(), json);
        assert_eq!(format!("{:?}", read(&json)), format!("{outcome:?}"));
    }
}
