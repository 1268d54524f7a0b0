//! Imports go one way, as the map in `src/lib.rs` says.

#[path = "support/sources.rs"]
mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sources::sources;

/// Each module with those it may import from. `settings`, `fail_point` and `telemetry` stand beside the line.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("settings", &[]),
    ("fail_point", &[]),
    ("protocol", &["domain"]),
    ("telemetry", &["settings"]),
    ("storage", &["domain", "protocol", "settings", "fail_point", "telemetry"]),
    ("auth", &["domain", "settings", "storage", "telemetry"]),
    ("redis_client", &["settings"]),
    ("bus", &["domain", "protocol", "settings", "redis_client", "telemetry"]),
    ("outbound", &["domain", "settings"]),
    (
        "actors",
        &["domain", "protocol", "settings", "fail_point", "storage", "auth", "bus", "outbound", "telemetry"],
    ),
    (
        "http",
        &[
            "domain",
            "protocol",
            "settings",
            "fail_point",
            "storage",
            "auth",
            "outbound",
            "redis_client",
            "actors",
            "telemetry",
        ],
    ),
    (
        "config",
        &["settings", "storage", "auth", "redis_client", "bus", "outbound", "actors", "http", "telemetry"],
    ),
    (
        "app",
        &[
            "domain",
            "protocol",
            "settings",
            "storage",
            "auth",
            "redis_client",
            "bus",
            "outbound",
            "actors",
            "http",
            "config",
            "telemetry",
        ],
    ),
    // The demo signs messages as a payment provider does.
    ("demo", &["domain", "protocol", "settings", "auth", "config", "app", "telemetry"]),
    (
        "cli",
        &["domain", "settings", "storage", "auth", "outbound", "http", "config", "app", "demo", "telemetry"],
    ),
];

/// What the pure modules do not know.
const IMPURE: &[&str] =
    &["tokio", "actix", "actix_web", "actix_rt", "actix_http", "sqlx", "redis", "tracing", "reqwest"];
const PURE: &[&str] = &["domain", "protocol"];

/// The module of the house a file belongs to: the first folder below `src`, or the file's own name.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix("src").expect("it is below src");
    let first = below.components().next().expect("it has a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file without comments; a `//` in a text only hides what follows it on its line.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The names that follow `prefix::`, also those of a group like `crate::{app, http}`.
fn names_after<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (at, found) in text.match_indices(&format!("{prefix}::")) {
        if text[..at].chars().next_back().is_some_and(is_name) {
            continue;
        }
        let rest = &text[at + found.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let end = group.find("};").unwrap_or(group.len());
            let mut depth = 0;
            let mut start = 0;
            for (index, c) in group[..end].char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = index + 1,
                    c if depth == 0 && start <= index && !c.is_whitespace() && is_name(c) => {
                        let name = group[index..].split(|c| !is_name(c)).next().unwrap_or_default();
                        if group[start..index].trim().is_empty() {
                            names.push(name);
                        }
                    }
                    _ => {}
                }
            }
        } else {
            names.push(rest.split(|c| !is_name(c)).next().unwrap_or_default());
        }
    }
    names
}

/// Everything in `text`, a file of `module`, that goes against the rule.
fn violations(module: &str, text: &str, allowed: &BTreeMap<&str, &[&str]>) -> Vec<String> {
    let text = code(text);
    let may = allowed[module];
    let mut found: Vec<String> = names_after(&text, "crate")
        .into_iter()
        .filter(|name| allowed.contains_key(name) && *name != module && !may.contains(name))
        .map(|name| format!("{module} imports {name}"))
        .collect();
    if PURE.contains(&module) {
        for name in IMPURE {
            if text
                .match_indices(&format!("{name}::"))
                .any(|(at, _)| !text[..at].chars().next_back().is_some_and(is_name))
            {
                found.push(format!("{module} knows {name}"));
            }
        }
    }
    found
}

#[test]
fn imports_go_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let mut found = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for file in &files {
        let module = module_of(file);
        if module == "lib" || module == "main" {
            continue;
        }
        assert!(allowed.contains_key(module.as_str()), "{module} has no place in the rule");
        let text = fs::read_to_string(file).expect("the file can be read");
        found.extend(
            violations(&module, &text, &allowed).into_iter().map(|v| format!("{}: {v}", file.display())),
        );
        seen.insert(module);
    }
    assert_eq!(seen.len(), ALLOWED.len(), "every module of the rule exists");
    assert!(found.is_empty(), "imports against the rule:\n{}", found.join("\n"));
}

/// Files below the folders that take what comes from outside which may name `serde_json::Value` all the same.
const UNTYPED: &[&str] = &[
    // Writes such values and reads none.
    "src/http/routes/health.rs",
    // Values of a query string: texts, never parsed as JSON.
    "src/http/input/read.rs",
    "src/http/input/query.rs",
];

#[test]
fn what_comes_from_outside_never_becomes_an_untyped_value() {
    let mut files = Vec::new();
    for folder in ["src/http", "src/protocol", "src/bus", "src/outbound", "src/actors"] {
        if Path::new(folder).exists() {
            sources(Path::new(folder), &mut files);
        }
    }
    let untyped = |file: &PathBuf| {
        let text = code(&fs::read_to_string(file).expect("the file can be read"));
        let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        let named =
            ["Value::deserialize", "from_str::<Value", "from_slice::<Value", "Option<Value>", ": Value,"];
        named.iter().any(|name| text.contains(name))
    };
    let found: Vec<_> = files
        .iter()
        .filter(|file| !file.ends_with("tests.rs") && !UNTYPED.iter().any(|may| file.ends_with(may)))
        .filter(|file| untyped(file))
        .collect();
    assert!(found.is_empty(), "domain::json::JsonObject is for JSON that nobody interprets: {found:?}");
}

/// What counts and waits in memory alone.
const ELAPSED: &[&str] = &[
    "src/domain/quota",
    "src/auth/login_throttle.rs",
    "src/http/connection/stream",
    "src/http/limits",
    "src/storage/sql/committed_heads.rs",
    "src/storage/sql/circuit_breaker.rs",
];

/// Set back by hours, it would make waits of seconds as long as that.
#[test]
fn what_counts_and_waits_in_memory_alone_knows_no_wall_clock() {
    for place in ELAPSED.iter().map(Path::new) {
        let mut files = Vec::new();
        if place.is_dir() {
            sources(place, &mut files);
        } else {
            files.push(place.to_owned());
        }
        for file in files {
            let text = code(&fs::read_to_string(&file).expect("the file can be read"));
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            for clock in ["Timestamp", "SystemTime"] {
                assert!(!text.contains(clock), "{} knows {clock}", file.display());
            }
        }
    }
}

#[test]
fn a_wrong_import_is_found_however_it_is_written() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    for (module, text) in [
        ("domain", "use crate::protocol::close::CloseReason;"),
        ("domain", "fn f() { tokio::spawn(async {}); }"),
        ("protocol", "use crate::{\n    domain::ids::OrderId,\n    storage::Store,\n};"),
        ("storage", "use crate::actors::room::Rooms;"),
        ("actors", "let x = crate::http::response::problem::ApiError::not_found();"),
        ("http", "use crate::app::App;"),
    ] {
        assert_eq!(violations(module, text, &allowed).len(), 1, "{text}");
    }
    for (module, text) in [
        ("actors", "use crate::{domain, storage::Store};"),
        ("domain", "// use crate::http::Api;\nuse crate::domain::ids::OrderId;"),
        ("protocol", "use crate::domain::time::Timestamp; use tungstenite::protocol;"),
    ] {
        assert_eq!(violations(module, text, &allowed), Vec::<String>::new(), "{text}");
    }
}
