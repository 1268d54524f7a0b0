//! Names of settings as people write them: the setting that a wrong name probably meant, and variables of other programs.

/// The similarity (Jaro–Winkler, 0 to 1) from which one name counts as a misspelling of the other.
const SIMILAR: f64 = 0.9;

/// The environment variable of a setting.
pub(super) fn variable(key: &str) -> String {
    format!("BELLHOP__{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// Whether a variable has the prefix of this program, in upper or lower case.
pub(super) fn has_our_prefix(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("BELLHOP_")) && name != "BELLHOP_ENV"
}

/// Whether a variable with our prefix is not a setting. Kubernetes sets variables about every service, also one called bellhop, in
/// every container; and this project's tests and measurements have variables of their own.
pub(super) fn is_foreign(name: &str, value: &str) -> bool {
    const TOOLS: [&str; 7] = [
        "BELLHOP_BINARY",
        "BELLHOP_CRASH_",
        "BELLHOP_FAIL_POINT",
        "BELLHOP_FAULTS_",
        "BELLHOP_LIST_",
        "BELLHOP_MEASURE",
        "BELLHOP_TEST_",
    ];
    let of_a_port = || {
        let (_, rest) = name.split_once("_PORT_")?;
        let (port, rest) = rest.split_once('_')?;
        let kind = rest.split('_').next()?;
        Some(port.bytes().all(|byte| byte.is_ascii_digit()) && ["TCP", "UDP", "SCTP"].contains(&kind))
    };
    TOOLS.iter().any(|start| name.starts_with(start))
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && value.contains("://"))
        || of_a_port() == Some(true)
}

/// The setting that `given`, a variable or a dotted name, probably means: the one that differs in separators only, else the only one
/// with this last part, else that of the server itself, else one that is misspelt.
pub(super) fn closest<'k>(known: impl Iterator<Item = &'k String> + Clone, given: &str) -> Option<&'k str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace("__", "_").replace(['.', '-'], "_");
    let given = plain(given);
    let given = given.strip_prefix("bellhop_").unwrap_or(&given);
    if let Some(same) = known.clone().find(|key| plain(key) == given) {
        return Some(same);
    }
    let ending =
        known.clone().filter(|key| key.split_once('.').is_some_and(|(_, last)| plain(last) == given));
    let of_the_server = ending.clone().find(|key| key.starts_with("server."));
    let mut ending = ending;
    match (ending.next(), ending.next()) {
        (Some(only), None) => return Some(only),
        (Some(_), Some(_)) if of_the_server.is_some() => return of_the_server.map(String::as_str),
        _ => {}
    }
    let similarity = |key: &&String| strsim::jaro_winkler(&plain(key), given);
    let best = known.max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (similarity(&best) >= SIMILAR).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_slipped_leads_to_the_one_that_was_meant() {
        let known = [
            "redis.port",
            "server.port",
            "server.host",
            "limits.enabled",
            "docs.enabled",
            "ops.bind",
            "log.level",
        ];
        let known = known.map(str::to_owned);
        for (given, expected) in [
            ("BELLHOP_PORT", Some("server.port")),
            ("BELLHOP_SERVER_PORT", Some("server.port")),
            ("BELLHOP_SERVER__PORT", Some("server.port")),
            ("bellhop__server__port", Some("server.port")),
            ("server.prot", Some("server.port")),
            ("server.hots", Some("server.host")),
            ("limit.enabled", Some("limits.enabled")),
            ("BELLHOP_ENABLED", None),
            ("weather.sunny", None),
        ] {
            assert_eq!(closest(known.iter(), given), expected, "{given}");
        }
    }

    #[test]
    fn what_kubernetes_says_of_a_service_called_bellhop_is_no_setting() {
        for (name, value) in [
            ("BELLHOP_SERVICE_HOST", "10.0.0.7"),
            ("BELLHOP_SERVICE_PORT", "8000"),
            ("BELLHOP_SERVICE_PORT_HTTP", "8000"),
            ("BELLHOP_PORT", "tcp://10.0.0.7:8000"),
            ("BELLHOP_PORT_8000_TCP", "tcp://10.0.0.7:8000"),
            ("BELLHOP_PORT_8000_TCP_PROTO", "tcp"),
            ("BELLHOP_PORT_8000_TCP_ADDR", "10.0.0.7"),
            ("BELLHOP_OPS_SERVICE_HOST", "10.0.0.8"),
        ] {
            assert!(has_our_prefix(name) && is_foreign(name, value), "{name}");
        }
        assert!(!is_foreign("BELLHOP_PORT", "9000"));
    }
}
