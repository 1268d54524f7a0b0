//! Names of settings as people write them: which one was meant, and which variables are somebody else's.

/// How like each other two names have to be (Jaro–Winkler, 0 to 1) for one to be taken for a slip of the other.
const ALIKE: f64 = 0.9;

/// The variable of a setting.
pub(super) fn variable(key: &str) -> String {
    format!("BELLHOP__{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// Whether somebody who wrote this variable meant this program.
pub(super) fn looks_like_ours(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("BELLHOP_")) && name != "BELLHOP_ENV"
}

/// Whether a variable that begins as ours was made by others: Kubernetes describes every service in the environment of every
/// container, also one that is called bellhop; and this project's own tests and measurements have variables.
pub(super) fn is_of_others(name: &str, value: &str) -> bool {
    const TOOLS: [&str; 6] = [
        "BELLHOP_BINARY",
        "BELLHOP_CRASH_",
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

/// The setting that was meant by `given`, a variable or a dotted name: the same but for its marks, the only one whose last part
/// it is, or else one that differs by a slip.
pub(super) fn meant<'k>(known: impl Iterator<Item = &'k String> + Clone, given: &str) -> Option<&'k str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace("__", "_").replace(['.', '-'], "_");
    let given = plain(given);
    let given = given.strip_prefix("bellhop_").unwrap_or(&given);
    if let Some(same) = known.clone().find(|key| plain(key) == given) {
        return Some(same);
    }
    let mut ending =
        known.clone().filter(|key| key.split_once('.').is_some_and(|(_, last)| plain(last) == given));
    if let (Some(only), None) = (ending.next(), ending.next()) {
        return Some(only);
    }
    let alike = |key: &&String| strsim::jaro_winkler(&plain(key), given);
    let best = known.max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(&best) >= ALIKE).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_slipped_leads_to_the_one_that_was_meant() {
        let known = ["server.port", "server.host", "limits.enabled", "docs.enabled", "ops.bind", "log.level"];
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
            assert_eq!(meant(known.iter(), given), expected, "{given}");
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
            assert!(looks_like_ours(name) && is_of_others(name, value), "{name}");
        }
        assert!(!is_of_others("BELLHOP_PORT", "9000"));
    }
}
