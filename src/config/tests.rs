//! Settings as an operator gives them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use toml::{Table, Value};

use super::layers::flatten;
use super::*;
use crate::outbound::ProviderKind;
use crate::settings::REDACTED;
use crate::storage::settings::DatabaseLocation;
use crate::telemetry::settings::LogFormat;

const KEY: &str = "Qm9yZWFsLXN0b3JtLW92ZXItdGhlLWhhcmJvdXItNDI3";
const ENCRYPTION_KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn sources(data: &Path, variables: &[(&str, &str)]) -> Sources {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { variables, ..Sources::bare(data) }
}

fn load(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let data = folder();
    Settings::load(&sources(data.path(), variables))
}

fn refused(variables: &[(&str, &str)]) -> Vec<SettingProblem> {
    load(variables).expect_err("these settings are wrong").problems
}

fn keys(problems: &[SettingProblem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.key.as_str()).collect()
}

fn default_keys() -> BTreeMap<String, Value> {
    flatten(&Settings::default().to_table())
}

#[test]
fn default_toml_holds_every_setting_with_its_default_and_no_other() {
    let file: Table = include_str!("../../config/default.toml").parse().unwrap();
    assert_eq!(flatten(&file), default_keys());
}

#[test]
fn env_example_holds_every_setting_with_its_default_and_no_other() {
    let text = include_str!("../../.env.example");
    let assignments = text.lines().filter_map(|line| line.strip_prefix('#').unwrap_or(line).split_once('='));
    let assignments = assignments.filter(|(name, _)| name.starts_with("BELLHOP__"));
    let variables: BTreeMap<String, String> =
        assignments.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let named: BTreeSet<String> =
        variables.keys().map(|name| name["BELLHOP__".len()..].to_lowercase().replace("__", ".")).collect();
    assert_eq!(named, default_keys().into_keys().collect());

    let given = layers::read(&Sources { variables, ..Sources::default() }, Environment::Staging);
    assert_eq!(given.problems, []);
    let defaults = default_keys();
    for (key, leaf) in given.leaves.iter().filter(|(_, leaf)| leaf.origin.starts_with("BELLHOP__")) {
        assert_eq!(&leaf.value, &defaults[key], "{key}");
    }
}

#[test]
fn env_example_explains_the_plain_names() {
    let text = include_str!("../../.env.example");
    for name in ["BELLHOP_ENV", "ENVIRONMENT"].into_iter().chain(layers::plain_names()) {
        assert!(text.contains(name), "{name}");
    }
}

#[test]
fn the_secrets_are_those_that_are_redacted() {
    let mut settings = Settings::default();
    settings.http.auth.secret_key = KEY.into();
    settings.storage.database.url = "postgres://user:hunter2@host/db".into();
    settings.storage.encryption.keys = vec![ENCRYPTION_KEY.into()];
    settings.outbound.payments.api_key = "sk_live_1234567890".into();
    settings.outbound.payments.webhook_secrets = vec!["whsec_0987654321".into()];
    settings.redis.redis.url = "redis://default:r3dis-pass@host".into();
    settings.bus.bus.key = "first-bus-key".into();
    settings.bus.bus.previous_key = "second-bus-key".into();
    let mut redacted: Vec<String> = flatten(&settings.to_table())
        .into_iter()
        .filter(|(_, value)| value.to_string().contains(REDACTED))
        .map(|(key, _)| key)
        .collect();
    redacted.sort();
    assert_eq!(redacted, secrets::SECRETS);

    let shown = format!("{settings:?}{}", settings.to_table());
    for secret in [KEY, "hunter2", "AAECAw", "sk_live", "whsec", "r3dis", "bus-key"] {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
}

#[test]
fn with_nothing_given_development_starts_on_loopback_with_secrets_of_its_own() {
    let data = folder();
    let settings = Settings::load(&sources(data.path(), &[])).unwrap();
    assert_eq!(settings.environment, Environment::Development);
    assert!(settings.http.server.host.is_loopback());
    assert!(settings.http.drivers.auto_approve);
    assert_eq!(settings.telemetry.log.format, LogFormat::Pretty);
    assert!(settings.http.auth.secret_key.expose_secret().len() >= 32);
    assert_eq!(settings.storage.encryption.decoded().unwrap().len(), 1);
    let Ok(DatabaseLocation::Sqlite(path)) = settings.storage.location() else { panic!("not SQLite") };
    assert_eq!(path, data.path().join("bellhop.sqlite"));
}

#[test]
fn development_secrets_are_made_once_and_are_private() {
    let data = folder();
    let nested = data.path().join("a/b");
    let first = Settings::load(&Sources::bare(&nested)).unwrap();
    let second = Settings::load(&Sources::bare(&nested)).unwrap();
    assert_eq!(first.http.auth.secret_key.expose_secret(), second.http.auth.secret_key.expose_secret());
    assert_eq!(fs::metadata(nested.join("secrets.toml")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&nested).unwrap().count(), 1, "a draft was left behind");
}

#[test]
fn of_many_that_start_at_once_all_get_the_same_secrets() {
    let data = folder();
    let found: BTreeSet<String> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| Settings::load(&Sources::bare(data.path())).unwrap().http.auth.secret_key)
            })
            .collect();
        starts.into_iter().map(|start| start.join().unwrap().expose_secret().to_owned()).collect()
    });
    assert_eq!(found.len(), 1);
}

#[test]
fn given_secrets_win_over_generated_ones() {
    let data = folder();
    Settings::load(&sources(data.path(), &[])).unwrap();
    let settings = Settings::load(&sources(data.path(), &[("SECRET_KEY", KEY)])).unwrap();
    assert_eq!(settings.http.auth.secret_key.expose_secret(), KEY);
}

#[test]
fn a_secrets_file_that_others_can_read_or_that_is_damaged_is_refused_and_left_alone() {
    let data = folder();
    let path = data.path().join("secrets.toml");
    Settings::load(&sources(data.path(), &[])).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Settings::load(&sources(data.path(), &[])).unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for damaged in ["", "[auth]\nsecret_key = \"short\"\n[encryption]\nkeys = [\"k1:hunter2\"]\n"] {
        fs::write(&path, damaged).unwrap();
        let error = Settings::load(&sources(data.path(), &[])).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
}

#[test]
fn nothing_is_written_for_settings_that_are_refused() {
    let data = folder();
    let nested = data.path().join("new");
    Settings::load(&Sources::bare(&nested).with("server.port", "x")).unwrap_err();
    assert!(!nested.exists());
}

#[test]
fn production_refuses_to_start_without_secrets() {
    let problems = refused(&[("BELLHOP_ENV", "production")]);
    assert_eq!(keys(&problems), ["auth.secret_key", "encryption.keys"]);
}

#[test]
fn production_refuses_short_copied_and_typed_secrets() {
    let zeros = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for weak in
        ["short", "your-secret-key-change-in-production-please", "abcabcabcabcabcabcabcabcabcabcabcabc"]
    {
        let variables =
            [("ENVIRONMENT", "Production"), ("SECRET_KEY", weak), ("BELLHOP__ENCRYPTION__KEYS", zeros)];
        let problems = refused(&variables);
        assert_eq!(keys(&problems), ["auth.secret_key", "encryption.keys"], "{weak}");
        assert!(problems.iter().all(|problem| !problem.message.contains(weak)));
    }
}

#[test]
fn production_with_secrets_listens_outside_and_hides_the_documentation() {
    let variables =
        [("ENVIRONMENT", "production"), ("SECRET_KEY", KEY), ("BELLHOP__ENCRYPTION__KEYS", ENCRYPTION_KEY)];
    let settings = load(&variables).unwrap();
    assert!(settings.http.server.host.is_unspecified());
    assert!(!settings.http.docs.enabled);
    assert!(!settings.http.drivers.auto_approve);
    assert_eq!(settings.telemetry.log.format, LogFormat::Json);
}

#[test]
fn every_problem_is_listed_with_where_it_was_set() {
    let data = folder();
    let config = folder();
    let file = "[server]\nport = \"x\"\nhots = \"::1\"\n[rooms]\nlinger_s = -1\n[log]\nformat = \"xml\"\n";
    fs::write(config.path().join("development.toml"), file).unwrap();
    let variables = [
        ("BELLHOP__SESSIONS__PING_S", "31"),
        ("BELLHOP__DOCS__ENABLED", "maybe"),
        ("BELLHOP__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,proxy,::/200"),
        ("BELLHOP__WEATHER__ENABLED", "true"),
        ("DATABASE_URL", "mysql://root:hunter2@host/db"),
    ];
    let sources = Sources { folder: Some(config.path().to_owned()), ..sources(data.path(), &variables) };
    let error = Settings::load(&sources).unwrap_err();
    let mut found = keys(&error.problems);
    found.sort_unstable();
    let expected = [
        "database.url",
        "docs.enabled",
        "log.format",
        "rooms.linger_s",
        "server.hots",
        "server.port",
        "server.trusted_proxies",
        "server.trusted_proxies",
        "sessions.ping_s",
        "weather.enabled",
    ];
    assert_eq!(found, expected);
    let text = error.to_string();
    assert!(text.starts_with("10 problems in the settings:\n"), "{text}");
    for part in [
        "31 is not between 1 and 30 (set by BELLHOP__SESSIONS__PING_S)",
        "development.toml",
        "'proxy'",
        "'::/200'",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_file_that_is_no_toml_is_named_by_line_without_its_content() {
    let data = folder();
    let config = folder();
    fs::write(config.path().join("development.toml"), "[auth]\nsecret_key = hunter2\n").unwrap();
    let sources = Sources { folder: Some(config.path().to_owned()), ..Sources::bare(data.path()) };
    let text = Settings::load(&sources).unwrap_err().to_string();
    assert!(text.contains("development.toml: line 2"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_secret_of_the_wrong_type_is_refused_without_being_shown() {
    let data = folder();
    let config = folder();
    fs::write(config.path().join("default.toml"), "[auth]\nsecret_key = 1234567\n").unwrap();
    let sources = Sources { folder: Some(config.path().to_owned()), ..Sources::bare(data.path()) };
    let error = Settings::load(&sources).unwrap_err();
    assert_eq!(keys(&error.problems), ["auth.secret_key"]);
    assert!(!error.to_string().contains("1234567"));
}

#[test]
fn later_sources_win_over_earlier_ones() {
    let data = folder();
    let config = folder();
    fs::write(
        config.path().join("default.toml"),
        "[server]\nport = 1\nworkers = 1\n[log]\nformat = \"json\"\n",
    )
    .unwrap();
    fs::write(config.path().join("development.toml"), "[server]\nworkers = 2\n").unwrap();
    let from = |variables: &[(&str, &str)]| {
        let sources = sources(data.path(), variables);
        Sources { folder: Some(config.path().to_owned()), ..sources }
    };
    let settings = Settings::load(&from(&[])).unwrap();
    assert_eq!((settings.http.server.port, settings.http.server.workers), (1, 2));
    assert_eq!(
        settings.telemetry.log.format,
        LogFormat::Pretty,
        "the environment's own file comes after default.toml"
    );

    let plain = [("PORT", "3"), ("LOG_LEVEL", "WARNING")];
    let settings = Settings::load(&from(&plain)).unwrap();
    assert_eq!((settings.http.server.port, settings.telemetry.log.level.as_str()), (3, "warn"));

    let prefixed =
        [("PORT", "3"), ("BELLHOP__SERVER__PORT", "4"), ("LOG_LEVEL", "info"), ("RUST_LOG", "debug")];
    let settings = Settings::load(&from(&prefixed)).unwrap();
    assert_eq!((settings.http.server.port, settings.telemetry.log.level.as_str()), (4, "debug"));

    let settings = Settings::load(&from(&prefixed).with("server.port", "0")).unwrap();
    assert_eq!(settings.http.server.port, 0);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let settings = load(&[("PORT", ""), ("SECRET_KEY", ""), ("BELLHOP__ROOMS__LINGER_S", "")]).unwrap();
    assert_eq!(settings.http.server.port, 8000);
    assert_eq!(settings.actors.rooms.linger_s, 30);
}

#[test]
fn secrets_are_read_from_files_and_taken_as_they_are() {
    let data = folder();
    let digits = "01234567890123456789012345678901";
    let path = data.path().join("key");
    fs::write(&path, format!("{digits}\n")).unwrap();
    let path = path.to_str().unwrap();
    for name in ["SECRET_KEY_FILE", "BELLHOP__AUTH__SECRET_KEY_FILE"] {
        let settings = Settings::load(&sources(data.path(), &[(name, path)])).unwrap();
        assert_eq!(settings.http.auth.secret_key.expose_secret(), digits, "{name}");
    }
    let both = Settings::load(&sources(data.path(), &[("SECRET_KEY", KEY), ("SECRET_KEY_FILE", path)]));
    assert!(both.unwrap_err().to_string().contains("both SECRET_KEY and SECRET_KEY_FILE"));
    assert_eq!(keys(&refused(&[("DATABASE_URL_FILE", "/no/such/file")])), ["database.url"]);
    assert_eq!(keys(&refused(&[("BELLHOP__SERVER__PORT_FILE", path)])), ["server.port_file"]);
}

#[test]
fn lists_are_separated_by_commas() {
    let origins = "https://a.example, https://b.example,";
    let settings = load(&[("BELLHOP__SERVER__ALLOWED_ORIGINS", origins)]).unwrap();
    assert_eq!(settings.http.server.allowed_origins, ["https://a.example", "https://b.example"]);
}

#[test]
fn an_unknown_environment_and_a_missing_folder_are_problems() {
    assert_eq!(keys(&refused(&[("BELLHOP_ENV", "prod")])), ["BELLHOP_ENV"]);
    let data = folder();
    let sources = Sources { folder: Some("/no/such/folder".into()), ..Sources::bare(data.path()) };
    assert_eq!(keys(&Settings::load(&sources).unwrap_err().problems), ["--config"]);
}

#[test]
fn a_log_level_that_is_none_is_refused() {
    assert_eq!(keys(&refused(&[("LOG_LEVEL", "loud")])), ["log.level"]);
    assert_eq!(keys(&refused(&[("RUST_LOG", "bellhop=loud")])), ["log.level"]);
}

#[test]
fn names_of_other_hubs_are_taken_and_those_that_mean_nothing_are_told() {
    let raw = ENCRYPTION_KEY.strip_prefix("k1:").unwrap();
    let variables = [
        ("JWT_SECRET", KEY),
        ("ENCRYPTION_KEY", raw),
        ("DB_POOL_SIZE", "7"),
        ("RATE_LIMIT_ENABLED", "False"),
        ("DEBUG", "1"),
        ("REDIS_URL", "redis://x"),
        ("SENTRY_DSN", "https://x"),
        ("WEBHOOK_SECRET", "a-new-webhook-secret,an-old-webhook-secret"),
    ];
    let settings = load(&variables).unwrap();
    assert_eq!(settings.http.auth.secret_key.expose_secret(), KEY);
    assert_eq!(settings.storage.encryption.keys[0].expose_secret(), ENCRYPTION_KEY);
    assert_eq!((settings.storage.database.max_connections, settings.http.limits.enabled), (7, false));
    assert_eq!(settings.telemetry.log.level, "debug");
    let notices = settings.provenance.notices;
    assert_eq!(settings.outbound.payments.webhook_secrets.len(), 2);
    assert!(notices.len() == 1 && notices[0].starts_with("SENTRY_DSN"), "{notices:?}");
    assert_eq!(settings.redis.redis.url.expose_secret(), "redis://x");
    let host = load(&[("REDIS_HOST", "cache"), ("REDIS_PORT", "7000")]).unwrap().redis.redis;
    assert_eq!((host.host.as_str(), host.port, host.is_configured()), ("cache", 7000, true));
    let service = load(&[("REDIS_PORT", "tcp://10.0.0.9:6379")]).unwrap();
    assert!(!service.redis.redis.is_configured(), "a service of Kubernetes is called redis");
    assert!(service.provenance.notices[0].starts_with("REDIS_PORT"), "{:?}", service.provenance.notices);
    let odd = load(&[("DEBUG", "express:*")]).unwrap().provenance.notices;
    assert!(odd.len() == 1 && odd[0].starts_with("DEBUG"), "{odd:?}");
}

#[test]
fn development_pays_by_a_simulated_provider_whose_messages_have_a_secret_and_other_environments_by_none() {
    let data = folder();
    let load = || Settings::load(&sources(data.path(), &[])).unwrap().outbound.payments;
    let (first, second) = (load(), load());
    assert_eq!(first.provider, ProviderKind::Simulated);
    let secret = first.webhook_secrets[0].expose_secret();
    assert_eq!(secret, second.webhook_secrets[0].expose_secret());
    assert!(secret.len() > 40);
    let given = Settings::load(&sources(data.path(), &[("WEBHOOK_SECRET", "0123456789abcdef")])).unwrap();
    assert_eq!(given.outbound.payments.webhook_secrets[0].expose_secret(), "0123456789abcdef");

    let production =
        [("BELLHOP_ENV", "production"), ("SECRET_KEY", KEY), ("BELLHOP__ENCRYPTION__KEYS", ENCRYPTION_KEY)];
    let payments = self::load(&production).unwrap().outbound.payments;
    assert_eq!((payments.provider, payments.webhook_secrets.len()), (ProviderKind::None, 0));
}

#[test]
fn production_refuses_a_simulated_provider_one_in_the_open_and_typed_secrets() {
    fn with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        let production = [
            ("BELLHOP_ENV", "production"),
            ("SECRET_KEY", KEY),
            ("BELLHOP__ENCRYPTION__KEYS", ENCRYPTION_KEY),
        ];
        [&production, more].concat()
    }
    let problems = refused(&with(&[("BELLHOP__PAYMENTS__PROVIDER", "simulated")]));
    assert_eq!(keys(&problems), ["payments.provider"]);
    let problems = refused(&with(&[
        ("BELLHOP__PAYMENTS__PROVIDER", "http"),
        ("BELLHOP__PAYMENTS__URL", "http://pay.example"),
        ("BELLHOP__PAYMENTS__API_KEY", "a-key"),
        ("WEBHOOK_SECRET", "aaaaaaaaaaaaaaaaaaaa"),
    ]));
    assert_eq!(keys(&problems), ["payments.url", "payments.webhook_secrets"]);
    let problems = refused(&with(&[
        ("REDIS_URL", "redis://:r3dis-pass@cache.example"),
        ("BELLHOP__BUS__KEY", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ]));
    assert_eq!(keys(&problems), ["redis.url", "bus.key"]);
    assert!(problems.iter().all(|problem| !problem.message.contains("r3dis")));
    let open = [("REDIS_URL", "redis://cache.example"), ("BELLHOP__REDIS__ALLOW_PLAINTEXT", "true")];
    assert!(load(&with(&open)).is_ok());
    assert!(load(&with(&[("REDIS_URL", "rediss://cache.example")])).is_ok());
}

#[test]
fn production_without_a_database_is_told_so() {
    let secrets =
        [("BELLHOP_ENV", "production"), ("SECRET_KEY", KEY), ("BELLHOP__ENCRYPTION__KEYS", ENCRYPTION_KEY)];
    let notices = load(&secrets).unwrap().provenance.notices;
    assert!(notices.len() == 1 && notices[0].starts_with("DATABASE_URL is not set"), "{notices:?}");
    let with_one: Vec<_> = secrets.into_iter().chain([("DATABASE_URL", "postgres://h/db")]).collect();
    assert_eq!(load(&with_one).unwrap().provenance.notices, Vec::<String>::new());
}

#[test]
fn a_file_that_no_environment_reads_is_told_and_what_is_shown_says_where_it_came_from() {
    let (data, config) = (folder(), folder());
    fs::write(config.path().join("developement.toml"), "[server]\nport = 1\n").unwrap();
    fs::write(config.path().join("production.toml"), "[server]\nport = 2\n").unwrap();
    fs::write(config.path().join("default.toml"), "[rooms]\nlinger_s = 7\n").unwrap();
    let sources =
        Sources { folder: Some(config.path().to_owned()), ..sources(data.path(), &[("PORT", "3")]) };
    let settings = Settings::load(&sources).unwrap();
    let [notice] = &settings.provenance.notices[..] else { panic!("{:?}", settings.provenance.notices) };
    assert!(notice.contains("developement.toml is read in no environment"), "{notice}");
    let shown = settings.to_annotated_toml();
    for line in ["port = 3  # PORT", &format!("linger_s = 7  # {}/default.toml", config.path().display())] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing in {shown}");
    }
    assert_eq!(shown.parse::<Table>().unwrap(), settings.to_table(), "it is TOML still");
}

#[test]
fn a_data_folder_that_is_a_file_is_named() {
    let data = folder();
    let file = data.path().join("file");
    fs::write(&file, "x").unwrap();
    let problems = Settings::load(&Sources::bare(&file)).unwrap_err().problems;
    assert_eq!(keys(&problems), ["data.dir"]);
    assert!(problems[0].message.contains("is a file; name a folder"), "{problems:?}");
}
