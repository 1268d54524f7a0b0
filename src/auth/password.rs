//! Passwords: argon2id on the blocking pool, few at a time, so that sign-ins cannot take the machine from orders. One
//! password is one whatever its characters are made of: it is hashed and compared in the composed form (NFC).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use prometheus::IntGauge;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

/// Least memory a hash may use: 19 MiB (requirement 1.5).
const MIN_MEMORY_KIB: u32 = 19 * 1024;
/// Least passes over that memory (requirement 1.5).
const MIN_ITERATIONS: u32 = 2;

/// Share of the places in the queue that is kept for who is known: one in so many.
const KEPT_SHARE: usize = 4;

const MIN_CHARACTERS: usize = 8;
const MAX_CHARACTERS: usize = 200;

/// No password of [`MAX_CHARACTERS`] is longer, in whatever form: composing a longer text would be for nothing.
const MAX_BYTES: usize = 12 * MAX_CHARACTERS;

/// What a hash costs, how many run at once, and how long others wait.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordSettings {
    /// KiB of memory a hash fills; at least 19456.
    pub memory_kib: u32,
    /// Passes over it; at least 2.
    pub iterations: u32,
    /// Lanes of argon2, computed one after the other.
    pub parallelism: u32,
    /// Hashes at once on this node; absent: half of the cores, at least 1.
    pub concurrency: Option<usize>,
    /// Requests that may wait for their turn, a quarter of them in places kept for [`Standing::Known`]; one more is
    /// answered `Busy` at once.
    pub max_waiting: usize,
    /// Milliseconds a request waits for its turn before it is answered `Busy`.
    pub max_wait_ms: u64,
}

impl Default for PasswordSettings {
    /// 20 ms a hash on the machine this was measured on, so 64 waiting behind one lane are done in 1.3 s.
    fn default() -> Self {
        Self {
            memory_kib: MIN_MEMORY_KIB,
            iterations: MIN_ITERATIONS,
            parallelism: 1,
            concurrency: None,
            max_waiting: 64,
            max_wait_ms: 3_000,
        }
    }
}

/// Whose turn comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Somebody who signed in to the account before, from the same place or on the same device: goes before strangers.
    Known,
    /// Anybody else.
    Stranger,
}

/// Settings that no hash should be made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordSettingsError {
    /// Under 19 MiB or 2 passes.
    #[error("password hashing needs memory_kib of at least 19456 and iterations of at least 2")]
    TooCheap,
    /// A combination argon2 refuses.
    #[error("argon2 does not accept these values of memory_kib, iterations and parallelism")]
    Refused,
    /// Nothing could ever be hashed.
    #[error("password hashing needs a concurrency of at least 1")]
    NoConcurrency,
}

/// Why a password was neither hashed nor checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many wait, or it waited too long: to be tried again later. Nothing was computed.
    #[error("too many passwords are being checked")]
    Busy,
    /// The stored text is not an argon2 hash.
    #[error("the stored password hash is malformed")]
    MalformedHash,
    /// The computation was lost: no memory, no randomness, or the process is stopping.
    #[error("the password could not be computed")]
    Failed,
}

/// Why a password may not be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordPolicyError {
    /// Under 8 characters.
    #[error("must have at least 8 characters")]
    TooShort,
    /// Over 200 characters.
    #[error("must have at most 200 characters")]
    TooLong,
    /// A character nobody can type on purpose.
    #[error("must not contain control characters")]
    ControlCharacter,
}

/// A password that may be chosen: 8 to 200 characters of any script in the composed form, no control characters.
#[derive(Debug)]
pub struct NewPassword(SecretString);

impl NewPassword {
    /// Judges `text` by the policy. Existing passwords are not judged again when they sign in.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn parse(text: SecretString) -> Result<Self, PasswordPolicyError> {
        if text.expose_secret().len() > MAX_BYTES {
            return Err(PasswordPolicyError::TooLong);
        }
        let composed = match composed(text.expose_secret()) {
            Cow::Borrowed(_) => None,
            Cow::Owned(composed) => Some(SecretString::from(composed)),
        };
        let password = composed.unwrap_or(text);
        let exposed = password.expose_secret();
        match exposed.chars().count() {
            0..MIN_CHARACTERS => Err(PasswordPolicyError::TooShort),
            MIN_CHARACTERS..=MAX_CHARACTERS if exposed.chars().any(char::is_control) => {
                Err(PasswordPolicyError::ControlCharacter)
            }
            MIN_CHARACTERS..=MAX_CHARACTERS => Ok(Self(password)),
            _ => Err(PasswordPolicyError::TooLong),
        }
    }
}

/// The composed form; borrowed when the text is in it already.
fn composed(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        IsNormalized::No | IsNormalized::Maybe => {
            let composed: String = text.nfc().collect();
            if composed == text { Cow::Borrowed(text) } else { Cow::Owned(composed) }
        }
    }
}

/// What came of comparing a password with a stored hash.
#[derive(PartialEq, Eq)]
pub enum Verified {
    /// It is the one.
    Yes,
    /// It is the one, stored in the form in which it was sent long ago: this hash, of the composed form, is to take the
    /// place of the stored one.
    Renewed(String),
    /// It is another one.
    No,
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "Yes",
            Self::Renewed(_) => "Renewed(..)",
            Self::No => "No",
        })
    }
}

/// Hashes and checks passwords for the whole node: share one behind an `Arc`. At most `concurrency` run at once, on
/// the blocking pool of the calling runtime; the others wait in order, bounded in number and time. A caller that
/// goes away leaves its hash running, and its place taken until that ends.
#[derive(Debug)]
pub struct Passwords {
    hasher: Argon2<'static>,
    running: Arc<Semaphore>,
    /// Places of strangers; others may have them too.
    places: Semaphore,
    kept_places: Semaphore,
    /// As many strangers as hashes run at once stand in the queue itself; the others wait for that, so that who is known
    /// has no more than so many before them.
    strangers_next: Semaphore,
    max_wait: Duration,
    nobody: Arc<str>,
    count: Arc<RunningCount>,
}

/// How many hashes run, for the metrics.
#[derive(Debug, Default)]
struct RunningCount {
    running: AtomicI64,
    peak: AtomicI64,
    gauges: Option<HashGauges>,
}

/// What tells others how many hashes run.
#[derive(Debug, Clone)]
pub struct HashGauges {
    /// Now.
    pub running: IntGauge,
    /// At most, since the start.
    pub peak: IntGauge,
}

impl RunningCount {
    fn begin(&self) {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(gauges) = &self.gauges {
            gauges.running.inc();
            if self.peak.fetch_max(now, Ordering::SeqCst) < now {
                gauges.peak.set(self.peak.load(Ordering::SeqCst));
            }
        }
    }

    fn end(&self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
        if let Some(gauges) = &self.gauges {
            gauges.running.dec();
        }
    }
}

impl Passwords {
    /// Checks the settings and hashes nothing.
    ///
    /// # Errors
    /// Settings below the bounds of requirement 1.5, or that argon2 refuses.
    pub fn new(settings: &PasswordSettings) -> Result<Self, PasswordSettingsError> {
        if settings.memory_kib < MIN_MEMORY_KIB || settings.iterations < MIN_ITERATIONS {
            return Err(PasswordSettingsError::TooCheap);
        }
        let (m, t, p) = (settings.memory_kib, settings.iterations, settings.parallelism);
        let params = Params::new(m, t, p, None).map_err(|_| PasswordSettingsError::Refused)?;
        let half = || thread::available_parallelism().map_or(1, |cores| cores.get() / 2).max(1);
        let concurrency = settings.concurrency.unwrap_or_else(half).min(Semaphore::MAX_PERMITS);
        if concurrency == 0 {
            return Err(PasswordSettingsError::NoConcurrency);
        }
        let max_waiting = settings.max_waiting.min(Semaphore::MAX_PERMITS);
        let kept = max_waiting / KEPT_SHARE;
        // A hash of no known password with the parameters of a real one: checking it costs the same. Salt and
        // output are zeros in base64.
        let nobody = format!("$argon2id$v=19$m={m},t={t},p={p}${}${}", "A".repeat(22), "A".repeat(43));
        Ok(Self {
            hasher: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            running: Arc::new(Semaphore::new(concurrency)),
            places: Semaphore::new(max_waiting - kept),
            kept_places: Semaphore::new(kept),
            strangers_next: Semaphore::new(concurrency),
            max_wait: Duration::from_millis(settings.max_wait_ms),
            nobody: nobody.into(),
            count: Arc::default(),
        })
    }

    /// The same, telling `gauges` how many hashes run.
    #[must_use]
    pub fn counted_by(self, gauges: HashGauges) -> Self {
        Self { count: Arc::new(RunningCount { gauges: Some(gauges), ..RunningCount::default() }), ..self }
    }

    /// A salted PHC string (`$argon2id$v=19$…`) for the store.
    ///
    /// # Errors
    /// `Busy` when its turn does not come in time, `Failed` when the computation is lost.
    pub async fn hash(&self, password: NewPassword, standing: Standing) -> Result<String, PasswordError> {
        let hasher = self.hasher.clone();
        self.compute(standing, move || hash(&hasher, password.0.expose_secret())).await
    }

    /// Whether `password` is the one `stored` was made from, at the cost `stored` names: in its composed form, then as it was
    /// sent, which costs as much again.
    ///
    /// # Errors
    /// As [`Passwords::hash`], and `MalformedHash` for a `stored` that is no argon2 hash.
    pub async fn verify(
        &self,
        password: SecretString,
        stored: &str,
        standing: Standing,
    ) -> Result<Verified, PasswordError> {
        self.check(password, stored.into(), standing).await
    }

    /// Takes as long as [`Passwords::verify`] and finds nobody, so that time does not tell which accounts exist.
    ///
    /// # Errors
    /// As [`Passwords::hash`].
    pub async fn verify_unknown_user(
        &self,
        password: SecretString,
        standing: Standing,
    ) -> Result<(), PasswordError> {
        self.check(password, Arc::clone(&self.nobody), standing).await.map(drop)
    }

    async fn check(
        &self,
        password: SecretString,
        stored: Arc<str>,
        standing: Standing,
    ) -> Result<Verified, PasswordError> {
        let hasher = self.hasher.clone();
        self.compute(standing, move || {
            let stored = PasswordHash::new(&stored).map_err(|_| PasswordError::MalformedHash)?;
            let sent = password.expose_secret();
            // More than any password has is not composed: it is wrong in either form.
            let composed = if sent.len() > MAX_BYTES { Cow::Borrowed(sent) } else { composed(sent) };
            if matches(&hasher, &composed, &stored)? {
                return Ok(Verified::Yes);
            }
            if matches!(composed, Cow::Borrowed(_)) || !matches(&hasher, sent, &stored)? {
                return Ok(Verified::No);
            }
            hash(&hasher, &composed).map(Verified::Renewed)
        })
        .await
    }

    async fn compute<T: Send + 'static>(
        &self,
        standing: Standing,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = self.turn(standing).await?;
        let count = Arc::clone(&self.count);
        tokio::task::spawn_blocking(move || {
            count.begin();
            let outcome = work();
            count.end();
            drop(permit);
            outcome
        })
        .await
        .unwrap_or(Err(PasswordError::Failed))
    }

    async fn turn(&self, standing: Standing) -> Result<OwnedSemaphorePermit, PasswordError> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(permit);
        }
        let place = self.places.try_acquire();
        let _place = match standing {
            Standing::Stranger => place,
            Standing::Known => place.or_else(|_| self.kept_places.try_acquire()),
        }
        .map_err(|_| PasswordError::Busy)?;
        let turn = async {
            let _next = match standing {
                Standing::Stranger => Some(self.strangers_next.acquire().await),
                Standing::Known => None,
            };
            Arc::clone(&self.running).acquire_owned().await
        };
        match timeout(self.max_wait, turn).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(PasswordError::Busy),
        }
    }
}

fn hash(hasher: &Argon2<'static>, password: &str) -> Result<String, PasswordError> {
    let hash = hasher.hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|_| PasswordError::Failed)
}

fn matches(hasher: &Argon2<'static>, password: &str, stored: &PasswordHash) -> Result<bool, PasswordError> {
    match hasher.verify_password(password.as_bytes(), stored) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(argon2::password_hash::Error::OutOfMemory) => Err(PasswordError::Failed),
        Err(_) => Err(PasswordError::MalformedHash),
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    use super::Standing::{Known, Stranger};
    use super::*;

    fn passwords(max_waiting: usize, max_wait_ms: u64) -> Passwords {
        let settings = PasswordSettings {
            concurrency: Some(1),
            max_waiting,
            max_wait_ms,
            ..PasswordSettings::default()
        };
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
        assert_eq!(
            passwords.verify(nfc.into(), &stored, Stranger).await,
            Ok(Verified::No),
            "nobody can tell"
        );
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
        assert_eq!(
            passwords.verify("correct horse".into(), &passwords.nobody, Stranger).await,
            Ok(Verified::No)
        );
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
        let taken = passwords.turn(Stranger).await.unwrap();
        assert_eq!(passwords.verify_unknown_user("x".into(), Stranger).await, Err(PasswordError::Busy));
        drop(taken);
        assert_eq!(passwords.verify_unknown_user("x".into(), Stranger).await, Ok(()));
    }

    #[tokio::test]
    async fn one_more_than_may_wait_is_refused_at_once_and_places_come_back() {
        let passwords = passwords(2, 3_600_000);
        let taken = passwords.turn(Stranger).await.unwrap();
        let mut first = pin!(passwords.turn(Stranger));
        assert!(poll_once(first.as_mut()).is_pending());
        {
            let mut second = pin!(passwords.turn(Stranger));
            assert!(poll_once(second.as_mut()).is_pending());
            assert!(matches!(
                poll_once(pin!(passwords.turn(Stranger))),
                Poll::Ready(Err(PasswordError::Busy))
            ));
        }
        let mut third = pin!(passwords.turn(Stranger));
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
        let taken = passwords.turn(Known).await.unwrap();
        let mut strangers: Vec<_> = (0..6).map(|_| Box::pin(passwords.turn(Stranger))).collect();
        strangers.iter_mut().for_each(|turn| assert!(poll_once(turn.as_mut()).is_pending()));
        assert!(matches!(poll_once(pin!(passwords.turn(Stranger))), Poll::Ready(Err(PasswordError::Busy))));
        let mut known = Box::pin(passwords.turn(Known));
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
        assert_eq!(passwords.running.available_permits(), 0, "the abandoned hash still runs");
        end.send(()).unwrap();
        assert!(passwords.turn(Stranger).await.is_ok());
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
}
