use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::signing::MAX_TOKEN_BYTES;
use super::*;
use crate::domain::access::Role;
use crate::domain::ids::{LoginSessionId, UserId};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn tokens() -> Tokens {
    Tokens::new(TokenKey::hs256(SECRET).unwrap(), TokenSettings::default())
}

fn principal() -> Principal {
    Principal {
        user: UserId::from_uuid(Uuid::from_u128(1)),
        session: LoginSessionId::from_uuid(Uuid::from_u128(2)),
        role: Role::Merchant,
    }
}

fn access() -> String {
    tokens().issue_access(principal(), Some("till"), 7, Uuid::from_u128(3), NOW).text
}

fn access_claims() -> AccessClaims {
    tokens().verify_access(&access(), NOW).unwrap()
}

fn ticket() -> String {
    tokens().issue_ticket(&access_claims(), Uuid::from_u128(4), NOW).text
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with our secret's signature, whatever it says.
fn forged(header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(SECRET);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn our_header() -> Value {
    json!({"typ": "at+jwt", "alg": "HS256"})
}

/// Our own claims with some of them replaced; null removes one.
fn our_claims(changes: &Value) -> Value {
    let token = access();
    let payload = token.split('.').nth(1).unwrap();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn changed(changes: &Value) -> String {
    forged(&our_header(), &our_claims(changes))
}

#[test]
fn an_access_token_says_what_was_signed_until_the_second_it_expires() {
    let tokens = tokens();
    let signed = tokens.issue_access(principal(), Some("till"), 7, Uuid::from_u128(3), NOW);
    let end = NOW.plus(Duration::from_secs(3600));
    assert_eq!(signed.expires_at, end);
    let expected = AccessClaims {
        principal: principal(),
        device: Some("till".into()),
        generation: Some(7),
        token_id: Uuid::from_u128(3),
        issued_at: NOW,
        expires_at: end,
    };
    assert_eq!(tokens.verify_access(&signed.text, NOW), Ok(expected.clone()));
    let last = end.minus(Duration::from_secs(1));
    assert_eq!(tokens.verify_access(&signed.text, last), Ok(expected));
    assert_eq!(tokens.verify_access(&signed.text, end), Err(TokenError::Expired));
}

#[test]
fn a_ticket_lasts_30_s_and_remembers_when_the_access_token_ends() {
    let tokens = tokens();
    let claims = tokens.verify_ticket(&ticket(), NOW).unwrap();
    assert_eq!(claims.principal, principal());
    assert_eq!(claims.ticket_id, Uuid::from_u128(4));
    assert_eq!(claims.access_expires_at, access_claims().expires_at);
    assert_eq!(claims.expires_at, NOW.plus(TICKET_LIFETIME));
    assert_eq!(tokens.verify_ticket(&ticket(), NOW.plus(TICKET_LIFETIME)), Err(TokenError::Expired));
}

#[test]
fn a_ticket_that_opened_a_stream_is_recognised_until_the_access_token_ends() {
    let tokens = tokens();
    let end = access_claims().expires_at;
    let last = end.minus(Duration::from_secs(1));
    assert_eq!(tokens.verify_ticket(&ticket(), last), Err(TokenError::Expired));
    assert_eq!(tokens.verify_old_ticket(&ticket(), last).unwrap().ticket_id, Uuid::from_u128(4));
    assert_eq!(tokens.verify_old_ticket(&ticket(), end), Err(TokenError::Expired));
    assert_eq!(tokens.verify_old_ticket(&access(), NOW), Err(TokenError::WrongAudience));
    let short = TokenSettings { access_ttl_s: 60, ..TokenSettings::default() };
    let tokens = Tokens::new(TokenKey::hs256(SECRET).unwrap(), short);
    let after = |seconds| NOW.plus(Duration::from_secs(seconds));
    assert_eq!(
        tokens.verify_old_ticket(&ticket(), after(60)),
        Err(TokenError::Expired),
        "by today's settings"
    );
    assert!(tokens.verify_old_ticket(&ticket(), after(59)).is_ok());
}

#[test]
fn a_ticket_does_not_outlive_its_access_token() {
    let access = AccessClaims { expires_at: NOW.plus(Duration::from_secs(10)), ..access_claims() };
    let signed = tokens().issue_ticket(&access, Uuid::from_u128(4), NOW);
    assert_eq!(signed.expires_at, access.expires_at);
}

#[test]
fn a_ticket_never_passes_for_an_access_token_nor_the_other_way_round() {
    let tokens = tokens();
    assert_eq!(tokens.verify_access(&ticket(), NOW), Err(TokenError::WrongAudience));
    assert_eq!(tokens.verify_ticket(&access(), NOW), Err(TokenError::WrongAudience));
    let relabelled = forged(
        &json!({"typ": "ticket+jwt", "alg": "HS256"}),
        &our_claims(&json!({"access_exp": 1_900_000_000})),
    );
    assert_eq!(tokens.verify_access(&relabelled, NOW), Err(TokenError::WrongType));
    let without_end =
        forged(&json!({"typ": "ticket+jwt", "alg": "HS256"}), &our_claims(&json!({"aud": "bellhop:ticket"})));
    assert_eq!(tokens.verify_ticket(&without_end, NOW), Err(TokenError::Malformed));
}

#[test]
fn each_bad_token_is_refused_by_its_name() {
    use TokenError as E;
    let ours = access();
    let (message, signature) = ours.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let claims = our_claims(&json!({}));
    let promoted = part(&our_claims(&json!({"role": "admin"})));
    let with_alg = |alg: &str| part(&json!({"typ": "at+jwt", "alg": alg}));
    let other_key = Tokens::new(TokenKey::hs256(&[7; 32]).unwrap(), TokenSettings::default())
        .issue_access(principal(), Some("till"), 7, Uuid::from_u128(3), NOW)
        .text;
    let mut table: Vec<(String, String, TokenError)> = [
        ("empty", String::new(), E::Malformed),
        ("a word", "token".to_owned(), E::Malformed),
        ("two parts", message.to_owned(), E::Malformed),
        ("four parts", format!("{ours}.x"), E::Malformed),
        ("header not json", forged(&json!("HS256"), &claims), E::Malformed),
        ("huge", format!("{ours}{}", "A".repeat(MAX_TOKEN_BYTES)), E::Malformed),
        ("alg none, unsigned", format!("{}.{payload}.", with_alg("none")), E::WrongAlgorithm),
        ("alg None, unsigned", format!("{}.{payload}.", with_alg("None")), E::WrongAlgorithm),
        ("alg none, signed", format!("{}.{payload}.{signature}", with_alg("none")), E::WrongAlgorithm),
        ("alg RS256", format!("{}.{payload}.{signature}", with_alg("RS256")), E::WrongAlgorithm),
        ("alg EdDSA", format!("{}.{payload}.{signature}", with_alg("EdDSA")), E::WrongAlgorithm),
        ("alg HS512", format!("{}.{payload}.{signature}", with_alg("HS512")), E::WrongAlgorithm),
        ("alg hs256", format!("{}.{payload}.{signature}", with_alg("hs256")), E::WrongAlgorithm),
        ("no alg", forged(&json!({"typ": "at+jwt"}), &claims), E::Malformed),
        ("type JWT", forged(&json!({"typ": "JWT", "alg": "HS256"}), &claims), E::WrongType),
        ("no type", forged(&json!({"alg": "HS256"}), &claims), E::WrongType),
        ("crit", forged(&json!({"typ": "at+jwt", "alg": "HS256", "crit": ["exp"]}), &claims), E::Malformed),
        ("another key", other_key, E::BadSignature),
        ("role changed", format!("{header}.{promoted}.{signature}"), E::BadSignature),
        ("signature cut off", format!("{message}."), E::BadSignature),
        ("wrong issuer", changed(&json!({"iss": "elsewhere"})), E::WrongIssuer),
        ("wrong audience", changed(&json!({"aud": "elsewhere"})), E::WrongAudience),
        ("audiences in a list", changed(&json!({"aud": ["bellhop", "x"]})), E::Malformed),
        ("issued in the future", changed(&json!({"iat": 1_800_003_601})), E::NotYetValid),
        ("not before later", changed(&json!({"nbf": 1_800_000_006})), E::NotYetValid),
        ("expired", changed(&json!({"exp": 1_800_000_000})), E::Expired),
        ("expired long ago", changed(&json!({"exp": -1})), E::Expired),
        ("exp as text", changed(&json!({"exp": "1900000000"})), E::Malformed),
        ("exp as fraction", changed(&json!({"exp": 1.9e9})), E::Malformed),
        ("unknown role", changed(&json!({"role": "root"})), E::Malformed),
        ("sub of another kind", changed(&json!({"sub": principal().session})), E::Malformed),
    ]
    .map(|(name, token, error)| (name.to_owned(), token, error))
    .into();
    for claim in ["iss", "aud", "exp", "iat", "jti", "sub", "sid", "role"] {
        let token = changed(&json!({ claim: null }));
        table.push((format!("without {claim}"), token, E::Malformed));
    }
    for (name, token, error) in table {
        assert_eq!(tokens().verify_access(&token, NOW), Err(error), "{name}");
    }
    assert!(tokens().verify_access(&changed(&json!({})), NOW).is_ok(), "the forger's own base is good");
    assert!(
        tokens().verify_access(&changed(&json!({"iat": 1_800_003_600, "exp": 1_800_007_200})), NOW).is_ok()
    );
}

#[test]
fn tokens_hold_on_a_clock_that_was_set_back_by_less_than_they_live() {
    let back = |seconds| NOW.minus(Duration::from_secs(seconds));
    for seconds in [6, 60, 3600] {
        assert!(tokens().verify_access(&access(), back(seconds)).is_ok(), "{seconds} s");
    }
    assert_eq!(tokens().verify_access(&access(), back(3601)), Err(TokenError::NotYetValid));
    assert!(tokens().verify_ticket(&ticket(), back(30)).is_ok());
    assert_eq!(tokens().verify_ticket(&ticket(), back(31)), Err(TokenError::NotYetValid));
}

#[test]
fn a_short_secret_is_refused_and_no_secret_is_printed() {
    assert_eq!(TokenKey::hs256(&SECRET[..31]).err(), Some(WeakSecret(31)));
    let tokens = tokens();
    let printed = format!(
        "{tokens:?} {:?}",
        tokens.issue_access(principal(), Some("till"), 7, Uuid::from_u128(3), NOW)
    );
    assert!(!printed.contains("eyJ") && !printed.contains("0123456789") && !printed.contains("48, 49, 50"));
}

proptest! {
    #[test]
    fn a_change_of_any_character_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let mut token = access();
        let at = at.index(token.len());
        prop_assume!(token[at..=at] != to);
        token.replace_range(at..=at, &to);
        prop_assert!(tokens().verify_access(&token, NOW).is_err());
    }
}

#[test]
fn a_token_lives_no_longer_than_the_present_settings_let_a_new_one() {
    let token = access();
    let ttl = |access_ttl_s| {
        Tokens::new(
            TokenKey::hs256(SECRET).unwrap(),
            TokenSettings { access_ttl_s, ..TokenSettings::default() },
        )
    };
    let after = |seconds| NOW.plus(Duration::from_secs(seconds));
    assert_eq!(ttl(60).verify_access(&token, after(59)).unwrap().expires_at, after(60));
    assert_eq!(ttl(60).verify_access(&token, after(60)), Err(TokenError::Expired));
    assert_eq!(ttl(86_400).verify_access(&token, after(0)).unwrap().expires_at, after(3600), "nor longer");
}
