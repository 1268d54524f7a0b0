//! Settings of the store: data folder, database, encryption keys, cache.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr as _;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use sqlx::postgres::PgConnectOptions;

use crate::settings::{Checks, REDACTED, SettingProblem, redacted_list};

/// Settings of the store.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Files of this node.
    pub data: DataSettings,
    /// Address and bounds of the database.
    pub database: DatabaseSettings,
    /// Keys for phone numbers and addresses at rest.
    pub encryption: EncryptionSettings,
    /// Bounds of reads from memory.
    pub cache: CacheSettings,
}

/// `[data]`: files of this node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// Folder for the SQLite file and, in development, the generated secrets; made when absent. Default `./data`.
    pub dir: PathBuf,
}

/// `[database]`: the store and its bounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseSettings {
    /// `postgres://…` or `sqlite://<path>`; empty means the SQLite file `bellhop.sqlite` in the data folder. A Postgres on another
    /// machine must speak TLS with a certificate for its name, unless the URL names an `sslmode`.
    #[serde(serialize_with = "without_account")]
    pub url: SecretString,
    /// Idle connections that the pool keeps open, 0–500, at most `max_connections`. This and the following settings are for
    /// Postgres; SQLite has four readers, which wait 5 s, and one writer.
    pub min_connections: u32,
    /// Connections in the pool, 1–500. Writer lanes own theirs on top of these.
    pub max_connections: u32,
    /// Longest wait for a connection of the pool, seconds, 1–60.
    pub acquire_timeout_s: u64,
    /// Longest wait for a new connection to be made, seconds, 1–60.
    pub connect_timeout_s: u64,
    /// An idle connection is closed after this, seconds, 1–86400.
    pub idle_timeout_s: u64,
    /// Every connection is replaced after this, seconds, 60–86400, so that a moved primary is found.
    pub max_lifetime_s: u64,
    /// Longest time one statement may run, milliseconds, 100–60000.
    pub statement_timeout_ms: u64,
    /// Longest wait for a row lock, milliseconds, 50–60000; below the statement's, so that the lock is what is blamed.
    pub lock_timeout_ms: u64,
    /// Writer lanes, each with a connection of its own, 1–4; SQLite always has one (see [`Settings::writer_lanes`]).
    pub lanes: usize,
}

/// `[encryption]`: keys for personal data at rest.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncryptionSettings {
    /// `id:base64(32 bytes)` each. The first encrypts, all decrypt; an id is 1–16 of `a-z 0-9 _ -`.
    #[serde(serialize_with = "redacted_list")]
    pub keys: Vec<SecretString>,
}

/// `[cache]`: reads answered from memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Most bytes, 0–4 GiB; 0 switches it off.
    pub max_bytes: usize,
    /// Most entries, 64–10,000,000.
    pub max_entries: usize,
    /// Businesses, menus and statistics are kept for this long, seconds, 1–300.
    pub business_s: u64,
    /// Orders, first pages of lists and memberships are kept for this long, seconds, 1–30.
    pub order_s: u64,
    /// While the database is away, copies are shown for so long beyond their time, marked as stale, seconds, 0–86400.
    /// Memberships are kept as long, so the default is the life of an access token.
    pub stale_s: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_entries: 100_000, business_s: 300, order_s: 30, stale_s: 3600 }
    }
}

impl CacheSettings {
    fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("cache");
        checks.range("max_bytes", self.max_bytes, 0..=4 << 30);
        checks.range("max_entries", self.max_entries, 64..=10_000_000);
        checks.range("business_s", self.business_s, 1..=300);
        checks.range("order_s", self.order_s, 1..=30);
        checks.range("stale_s", self.stale_s, 0..=86_400);
        checks.found()
    }
}

/// One decoded key for XChaCha20-Poly1305.
#[derive(Debug)]
pub struct EncryptionKey {
    /// Stored beside what the key encrypted, so that it is found again after a rotation.
    pub id: String,
    /// 256 bits.
    pub key: SecretBox<[u8; 32]>,
}

/// Kind and place of the database.
#[derive(Debug, Clone)]
pub enum DatabaseLocation {
    /// A file of this node.
    Sqlite(PathBuf),
    /// A connection URL, which may hold a password.
    Postgres(SecretString),
}

/// The place as operators are told it: never with a name of a user or a password.
impl Display for DatabaseLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "the SQLite file {}", path.display()),
            Self::Postgres(url) => match PgConnectOptions::from_str(url.expose_secret()) {
                Ok(options) => write!(f, "Postgres at {}, database {}", host(&options), name(&options)),
                Err(_) => f.write_str("Postgres"),
            },
        }
    }
}

fn host(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

fn name(options: &PgConnectOptions) -> &str {
    options.get_database().unwrap_or_else(|| options.get_username())
}

/// Serialises a URL as where it leads, without who asks and the password.
fn without_account<S: Serializer>(url: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    let text = url.expose_secret();
    if text.is_empty() || text.starts_with("sqlite://") {
        return serializer.serialize_str(text);
    }
    match PgConnectOptions::from_str(text) {
        Ok(options) => {
            let (host, name) = (host(&options), name(&options));
            serializer.serialize_str(&format!("postgres://{REDACTED}@{host}/{name}"))
        }
        Err(_) => serializer.serialize_str(REDACTED),
    }
}

impl Default for DataSettings {
    fn default() -> Self {
        Self { dir: PathBuf::from("./data") }
    }
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: SecretString::default(),
            min_connections: 2,
            max_connections: 20,
            acquire_timeout_s: 5,
            connect_timeout_s: 10,
            idle_timeout_s: 600,
            max_lifetime_s: 1800,
            statement_timeout_ms: 2000,
            lock_timeout_ms: 1500,
            lanes: 2,
        }
    }
}

impl Settings {
    /// Which database is meant; `Err` names a URL of another kind without showing it.
    pub fn location(&self) -> Result<DatabaseLocation, SettingProblem> {
        let url = self.database.url.expose_secret();
        let refuse =
            |message: &str| SettingProblem { key: "database.url".to_owned(), message: message.to_owned() };
        if url.is_empty() {
            return Ok(DatabaseLocation::Sqlite(self.data.dir.join("bellhop.sqlite")));
        }
        if let Some(path) = url.strip_prefix("sqlite://") {
            return match path {
                "" | ":memory:" => Err(refuse("SQLite needs a file: sqlite://<path>")),
                _ if path.contains('?') => Err(refuse("a SQLite URL takes no parameters")),
                _ => Ok(DatabaseLocation::Sqlite(PathBuf::from(path))),
            };
        }
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        match rest {
            Some("") => Err(refuse("a Postgres URL needs a host")),
            Some(_) => Ok(DatabaseLocation::Postgres(self.database.url.clone())),
            None => Err(refuse(
                "must start with postgres:// or sqlite://, or be empty for SQLite in the data folder",
            )),
        }
    }

    /// Number of writer lanes to start: one on SQLite, which has one writer, else `database.lanes`.
    pub fn writer_lanes(&self) -> usize {
        match self.location() {
            Ok(DatabaseLocation::Postgres(_)) => self.database.lanes,
            Ok(DatabaseLocation::Sqlite(_)) | Err(_) => 1,
        }
    }

    /// Everything wrong with these settings.
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut problems = Vec::new();
        if self.data.dir.as_os_str().is_empty() {
            problems.push(SettingProblem {
                key: "data.dir".to_owned(),
                message: "must name a folder".to_owned(),
            });
        }
        problems.extend(self.location().err());
        problems.extend(self.database.problems());
        problems.extend(self.encryption.problems());
        problems.extend(self.cache.problems());
        problems
    }
}

impl DatabaseSettings {
    fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("database");
        checks.range("min_connections", self.min_connections, 0..=500);
        checks.range("max_connections", self.max_connections, 1..=500);
        checks.range("acquire_timeout_s", self.acquire_timeout_s, 1..=60);
        checks.range("connect_timeout_s", self.connect_timeout_s, 1..=60);
        checks.range("idle_timeout_s", self.idle_timeout_s, 1..=86_400);
        checks.range("max_lifetime_s", self.max_lifetime_s, 60..=86_400);
        checks.range("statement_timeout_ms", self.statement_timeout_ms, 100..=60_000);
        checks.range("lock_timeout_ms", self.lock_timeout_ms, 50..=60_000);
        checks.range("lanes", self.lanes, 1..=4);
        if self.lock_timeout_ms >= self.statement_timeout_ms {
            checks.refuse("lock_timeout_ms", "must be below database.statement_timeout_ms");
        }
        checks.found()
    }
}

impl EncryptionSettings {
    /// The keys, decoded, current one first. `Err` lists every key that is malformed, by its place in the list.
    pub fn decoded(&self) -> Result<Vec<EncryptionKey>, Vec<SettingProblem>> {
        let mut checks = Checks::of("encryption");
        let mut ids = BTreeSet::new();
        let mut keys = Vec::with_capacity(self.keys.len());
        for (place, text) in self.keys.iter().enumerate() {
            let place = place + 1;
            match decode(text.expose_secret()) {
                Ok(key) if ids.insert(key.id.clone()) => keys.push(key),
                Ok(key) => checks.refuse("keys", format!("key {place} repeats the id {}", key.id)),
                Err(reason) => checks.refuse("keys", format!("key {place} {reason}")),
            }
        }
        let problems = checks.found();
        if problems.is_empty() { Ok(keys) } else { Err(problems) }
    }

    fn problems(&self) -> Vec<SettingProblem> {
        self.decoded().err().unwrap_or_default()
    }
}

fn decode(text: &str) -> Result<EncryptionKey, &'static str> {
    let (id, encoded) = text.split_once(':').ok_or("is not id:base64")?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if id.is_empty() || id.len() > 16 || !id.chars().all(allowed) {
        return Err("needs an id of 1 to 16 of a-z 0-9 _ -");
    }
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(encoded).map_err(|_| "is not base64 after its id")?);
    let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| "does not hold exactly 32 bytes")?;
    Ok(EncryptionKey { id: id.to_owned(), key: SecretBox::new(Box::new(bytes)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_url(url: &str) -> Settings {
        let mut settings = Settings::default();
        settings.database.url = url.into();
        settings
    }

    fn with_keys(keys: &[&str]) -> EncryptionSettings {
        EncryptionSettings { keys: keys.iter().map(|key| (*key).into()).collect() }
    }

    #[test]
    fn no_url_means_sqlite_in_the_data_folder_with_one_lane() {
        let settings = Settings::default();
        let Ok(DatabaseLocation::Sqlite(path)) = settings.location() else { panic!("not SQLite") };
        assert_eq!(path, PathBuf::from("./data/bellhop.sqlite"));
        assert_eq!(settings.writer_lanes(), 1);
    }

    #[test]
    fn urls_choose_the_store() {
        assert!(
            matches!(with_url("sqlite:///var/x.db").location(), Ok(DatabaseLocation::Sqlite(p)) if p.is_absolute())
        );
        assert!(matches!(with_url("postgres://u:p@h/db").location(), Ok(DatabaseLocation::Postgres(_))));
        assert_eq!(with_url("postgresql://h/db").writer_lanes(), 2);
        for wrong in ["mysql://h/db", "sqlite://", "sqlite://:memory:", "sqlite://a?mode=ro", "postgres://"] {
            assert_eq!(with_url(wrong).problems()[0].key, "database.url", "{wrong}");
        }
    }

    #[test]
    fn a_place_is_told_without_account_and_password() {
        for (url, place, shown) in [
            ("sqlite:///var/x.db", "the SQLite file /var/x.db", "sqlite:///var/x.db"),
            (
                "postgres://ann:hunter2@db.example:5433/orders?application_name=x",
                "Postgres at db.example:5433, database orders",
                "postgres://[redacted]@db.example:5433/orders",
            ),
            (
                "postgres://ann:hunter2@[::1]/ann",
                "Postgres at [::1]:5432, database ann",
                "postgres://[redacted]@[::1]:5432/ann",
            ),
            ("postgres://ann:hun/ter2@h/db", "Postgres", "[redacted]"),
        ] {
            let settings = with_url(url);
            assert_eq!(settings.location().unwrap().to_string(), place);
            let table = toml::Table::try_from(&settings).unwrap();
            assert_eq!(table["database"]["url"].as_str(), Some(shown), "{url}");
        }
    }

    #[test]
    fn encryption_keys_decode_in_order() {
        let one = format!("b:{}", BASE64_STANDARD.encode([1; 32]));
        let two = format!("a:{}", BASE64_STANDARD.encode([2; 32]));
        let keys = with_keys(&[&one, &two]).decoded().unwrap();
        assert_eq!(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(keys[0].key.expose_secret(), &[1; 32]);
    }

    #[test]
    fn every_malformed_key_is_named_by_place_and_never_shown() {
        let good = format!("k1:{}", BASE64_STANDARD.encode([1; 32]));
        let short = format!("k2:{}", BASE64_STANDARD.encode([1; 31]));
        let problems = with_keys(&[&good, "hunter2", "K!:x", &short, "k4:hunter2*", &good]).problems();
        let text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
        for place in 2..=6 {
            assert!(text.contains(&format!("key {place} ")), "{text}");
        }
        assert_eq!(problems.len(), 5);
        assert!(!text.contains("hunter2"));
    }
}
