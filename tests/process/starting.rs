//! What a start says: where the hub is, what is wrong and where, and that it waits.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::hub::{Hub, LONG};
use crate::support::{Endpoint, StoreKind, TestDatabase};

/// `bellhop` in `folder`, with nothing in its environment but `variables`.
fn bellhop(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
    command.current_dir(folder).args(arguments).env_clear().envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The exit status and what was said on standard error of a command that ends by itself.
fn ended(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = bellhop(folder, arguments, variables).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The hub's log, once it has `wanted` in it.
async fn log_with(path: &Path, wanted: &str) -> String {
    let told = async {
        loop {
            let log = fs::read_to_string(path).unwrap();
            if log.contains(wanted) {
                return log;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, told).await.unwrap_or_else(|_| panic!("{wanted} is not in the log"))
}

#[tokio::test]
async fn a_second_hub_on_the_same_sqlite_folder_is_refused_and_commands_are_not() {
    let hub = Hub::start("warn", "", |_, _| ()).await;
    let data = hub.data.path().join("data");
    let data = data.to_str().unwrap();
    let (status, said) = ended(hub.data.path(), &["serve", "--port", "0", "--data", data], &[]);
    assert_eq!(status, Some(1), "{said}");
    let expected = format!("another hub (process {}) uses {data}/bellhop.sqlite", hub.child.id());
    assert!(said.contains(&expected), "{said}");
    let copy = hub.data.path().join("copy.sqlite");
    for arguments in [vec!["backup", copy.to_str().unwrap()], vec!["keys", "rotate"], vec!["migrate"]] {
        let arguments = [&arguments[..], &["--data", data]].concat();
        let (status, said) = ended(hub.data.path(), &arguments, &[]);
        assert_eq!(status, Some(0), "{arguments:?}: {said}");
    }
    assert_eq!(hub.stop().code(), Some(0));
}

#[test]
fn what_cannot_be_used_is_named_with_its_place_and_once() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/bellhop.sqlite"), "this is no database, it is a letter".repeat(99))
        .unwrap();
    fs::write(folder.path().join("file"), "x").unwrap();
    let port = free_port();
    let away = format!("postgres://ann:hunter2@127.0.0.1:{port}/orders");
    let real = std::env::var("BELLHOP_TEST_POSTGRES").expect("BELLHOP_TEST_POSTGRES names a server");
    let (server, _) = real.rsplit_once('/').unwrap();
    let absent = format!("{server}/no_such_database");
    let serve: &[&str] = &["serve", "--port", "0"];
    let at_port = format!("Postgres at 127.0.0.1:{port}, database orders cannot be used: Connection refused");
    for (arguments, url, status, expected) in [
        (
            serve,
            "",
            1,
            "the SQLite file ./data/bellhop.sqlite cannot be used: file is not a database (code 26)",
        ),
        (&["migrate"], away.as_str(), 1, at_port.as_str()),
        (serve, absent.as_str(), 1, "database \"no_such_database\" does not exist (code 3D000)"),
        (serve, "sqlite://typo/dir/x.db", 1, "there is no folder typo/dir"),
        (&["serve", "--port", "0", "--data", "file"], "", 64, "data.dir: file is a file; name a folder"),
    ] {
        let (code, said) = ended(folder.path(), arguments, &[("DATABASE_URL", url)]);
        assert_eq!(code, Some(status), "{said}");
        let last = said.lines().rev().find(|line| line.contains(expected));
        let last = last.unwrap_or_else(|| panic!("{expected} is missing in {said}"));
        for noise in ["hunter2", "the store", "error returned", "at line"] {
            assert!(!last.contains(noise), "{last}");
        }
    }
    assert!(!folder.path().join("typo").exists());
}

#[test]
fn a_variable_that_is_no_setting_ends_the_start_with_what_was_meant() {
    let folder = TempDir::new().unwrap();
    for (name, meant) in [
        ("BELLHOP_PORT", "BELLHOP__SERVER__PORT"),
        ("BELLHOP_SERVER__PORT", "BELLHOP__SERVER__PORT"),
        ("bellhop__server__port", "BELLHOP__SERVER__PORT"),
        ("BELLHOP__SERVER__PROT", "server.port"),
    ] {
        for command in ["serve", "healthcheck"] {
            let (status, said) = ended(folder.path(), &[command], &[(name, "9000")]);
            assert_eq!(status, Some(64), "{said}");
            assert!(said.contains(&format!("did you mean {meant}?")), "{name}: {said}");
        }
    }
    let (status, _) = ended(folder.path(), &["config", "check"], &[("BELLHOP_PORT", "tcp://10.0.0.7:8000")]);
    assert_eq!(status, Some(0), "a service of Kubernetes is called bellhop");
}

#[test]
fn the_settings_are_shown_with_where_they_came_from_and_without_passwords() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("config")).unwrap();
    fs::write(folder.path().join("config/default.toml"), "[rooms]\nlinger_s = 7\n").unwrap();
    fs::write(folder.path().join("config/developement.toml"), "[rooms]\nlinger_s = 8\n").unwrap();
    let variables = [
        ("DATABASE_URL", "postgres://ann:hunter2@db.example/orders"),
        ("REDIS_URL", "redis://:hunter2@x"),
        ("SENTRY_DSN", "x"),
    ];
    let output = bellhop(folder.path(), &["config", "check"], &variables).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    for line in [
        "url = \"postgres://[redacted]@db.example:5432/orders\"  # DATABASE_URL",
        "linger_s = 7  # config/default.toml",
        "port = 8000",
        "# SENTRY_DSN is set but has no effect: errors are not reported to other services yet",
        "url = \"[redacted]\"  # REDIS_URL",
        "# config/developement.toml is read in no environment: name it default, development, staging or production",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing in\n{shown}");
    }
    assert!(!shown.contains("hunter2") && shown.parse::<toml::Table>().is_ok(), "{shown}");
}

#[test]
fn output_onto_a_full_disk_fails_and_a_reader_that_has_seen_enough_is_no_failure() {
    let folder = TempDir::new().unwrap();
    for arguments in [vec!["openapi"], vec!["completions", "bash"], vec!["config", "check"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = bellhop(folder.path(), &arguments, &[]).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("could not be written"), "{arguments:?}");
    }
    let mut child = bellhop(folder.path(), &["openapi"], &[]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_start_in_development_says_where_everything_is_in_one_line() {
    let hub = Hub::start("info", "", |command, folder| {
        command.stderr(File::create(folder.join("log")).unwrap());
        command.env("SENTRY_DSN", "https://x@sentry.example/1");
    })
    .await;
    let log = log_with(&hub.data.path().join("log"), "Bellhop").await;
    let data = hub.data.path().join("data");
    let expected = format!(
        "Bellhop {} on http://{}, docs at /docs/, data in {} (new), limits off",
        env!("CARGO_PKG_VERSION"),
        hub.at.address,
        data.display()
    );
    assert!(log.lines().any(|line| line.ends_with(&expected)), "{expected}\n{log}");
    assert!(log.contains("SENTRY_DSN is set but has no effect"), "{log}");
    assert!(!log.to_lowercase().contains("actix") && !log.contains("ops="), "{log}");
    assert_eq!(hub.stop().code(), Some(0));
}

/// Passes bytes on to the server of `url`, from the port that a hub was told of.
async fn forward(port: u16, server: SocketAddr) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = TcpStream::connect(server).await.unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
}

#[tokio::test]
async fn a_hub_whose_database_is_away_at_the_start_waits_and_then_serves() {
    let database = TestDatabase::create(StoreKind::Postgres).await;
    let url = database.postgres.as_ref().unwrap().url.clone();
    let (account, rest) = url.split_once('@').unwrap();
    let (server, name) = rest.split_once('/').unwrap();
    let port = free_port();
    let url = format!("{account}@127.0.0.1:{port}/{name}");
    let hub = Hub::start("info", "", |command, folder| {
        command.env("DATABASE_URL", url);
        command.stderr(File::create(folder.join("log")).unwrap());
    })
    .await;
    let ask = async |at: &Endpoint, path: &str| {
        let answer = at.http.get(at.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    };
    assert_eq!(ask(&hub.at, "/health/live").await, (200, json!({"status": "alive"})));
    let (status, ready) = ask(&hub.at, "/health/ready").await;
    assert_eq!((status, ready["status"].as_str()), (503, Some("not_ready")));
    let (status, problem) = ask(&hub.at, "/api/v1/orders").await;
    assert_eq!((status, problem["code"].as_str()), (503, Some("unavailable")));
    let log = log_with(&hub.data.path().join("log"), "the hub waits for it and is not ready").await;
    assert!(log.contains(&format!("Postgres at 127.0.0.1:{port}")) && !log.contains(" on http://"), "{log}");

    forward(port, server.parse().unwrap()).await;
    let served = async {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        while !hub
            .at
            .http
            .get(hub.at.url("/health/ready"))
            .send()
            .await
            .is_ok_and(|a| a.status().is_success())
        {
            pace.tick().await;
        }
    };
    tokio::time::timeout(LONG, served).await.expect("it serves once the database is there");
    let (merchant, business, customer) = hub.people().await;
    customer.order(&hub.at, &business).await;
    merchant.get(&hub.at, "/orders").await.expect(200);
    assert_eq!(hub.stop().code(), Some(0));
}

#[tokio::test]
async fn a_hub_that_waits_for_its_database_ends_when_it_is_told() {
    let url = format!("postgres://ann@127.0.0.1:{}/orders", free_port());
    let hub = Hub::start("warn", "", |command, _| {
        command.env("DATABASE_URL", url);
    })
    .await;
    assert_eq!(hub.stop().code(), Some(0));
}

#[test]
fn a_business_is_put_back_from_its_file_and_a_refused_change_ends_the_import_with_an_error() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str]| {
        let Output { status, stdout, stderr } = bellhop(folder.path(), arguments, &[]).output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
    };
    let (_, said) = run(&["seed"]);
    let business = said.lines().find_map(|line| line.strip_prefix("Cantina Sol is ")).expect("a business");
    assert_eq!(run(&["business", "export", business, "sol.json"]).0, Some(0));
    let (status, said) = run(&["business", "import", "sol.json"]);
    assert!(status == Some(0) && said.contains("0 changes of Cantina Sol made"), "{said}");

    // A dish that is in the file twice can be added once.
    let file = folder.path().join("sol.json");
    let mut kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let mut dish = kept["menu"][0].clone();
    dish["sku"] = json!("new");
    kept["menu"].as_array_mut().unwrap().extend([dish.clone(), dish]);
    std::fs::write(&file, kept.to_string()).unwrap();
    let (status, said) = run(&["business", "import", "sol.json", "--dry-run"]);
    assert!(status == Some(0) && said.contains("2 changes of Cantina Sol would be made"), "{said}");
    let (status, said) = run(&["business", "import", "sol.json"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("refused: menu: new is added (it is on the menu already)"), "{said}");
    assert!(said.contains("1 of 2 changes of Cantina Sol were made"), "{said}");
}

#[test]
fn a_seed_is_sown_once_and_not_in_production() {
    let folder = TempDir::new().unwrap();
    let seed = |variables: &[(&str, &str)]| {
        let Output { status, stdout, stderr } =
            bellhop(folder.path(), &["seed"], variables).output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
    };
    let (status, said) = seed(&[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("6 accounts, 2 businesses, 8 dishes"), "{said}");
    let ids = |said: &str| {
        said.lines().filter(|line| line.contains(" is biz_")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ids(&said).len(), 2, "{said}");
    let (status, again) = seed(&[]);
    assert_eq!(status, Some(0), "{again}");
    assert!(again.contains("0 accounts, 0 businesses, 0 dishes"), "{again}");
    assert_eq!(ids(&again), ids(&said));
    let key = "k1:CwRNgQxnkqQW3CQUEtu8GNkPWoSuk2xHN39SYe4Xjfc=";
    let production = [
        ("BELLHOP_ENV", "production"),
        ("SECRET_KEY", "0q6GMvnWlbcnNXSjE0w84zP8EfHyHsO/GxiwggdqNefV/dDQ"),
        ("BELLHOP__ENCRYPTION__KEYS", key),
    ];
    let (status, refused) = seed(&production);
    assert_ne!(status, Some(0), "{refused}");
    assert!(refused.contains("production"), "{refused}");
}
