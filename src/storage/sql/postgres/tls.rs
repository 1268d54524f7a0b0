//! TLS towards Postgres.

use std::net::IpAddr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Asks for TLS with a certificate that was checked, for the host's own name, unless the URL names an `sslmode` or the
/// server is on this machine. `sslrootcert` in the URL adds an authority of one's own to the public ones.
pub(super) fn verified(options: PgConnectOptions, url: &str) -> PgConnectOptions {
    if names_a_mode(url) || is_here(&options) || !matches!(options.get_ssl_mode(), PgSslMode::Prefer) {
        return options;
    }
    options.ssl_mode(PgSslMode::VerifyFull)
}

/// Whether somebody between here and the server could read along or answer in its place.
pub(super) fn is_exposed(options: &PgConnectOptions) -> bool {
    let checked = matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
    !checked && !is_here(options)
}

fn names_a_mode(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| matches!(pair.split('=').next(), Some("sslmode" | "ssl-mode")))
}

/// A socket file, or a loopback address.
fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_start_matches('[').trim_end_matches(']');
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    #[test]
    fn servers_elsewhere_show_a_certificate_unless_the_url_says_otherwise() {
        for (url, mode, exposed) in [
            ("postgres://db.example/bellhop", "VerifyFull", false),
            ("postgres://db.example/bellhop?sslrootcert=/etc/ca.pem", "VerifyFull", false),
            ("postgres://10.0.0.7/bellhop?application_name=sslmode", "VerifyFull", false),
            ("postgres://db.example/bellhop?sslmode=verify-ca", "VerifyCa", false),
            ("postgres://db.example/bellhop?sslmode=require", "Require", true),
            ("postgres://db.example/bellhop?sslmode=prefer", "Prefer", true),
            ("postgres://db.example/bellhop?sslmode=disable", "Disable", true),
            ("postgres://127.0.0.1/bellhop", "Prefer", false),
            ("postgres://[::1]:5432/bellhop", "Prefer", false),
            ("postgres://localhost/bellhop", "Prefer", false),
            ("postgres://localhost/bellhop?sslmode=verify-full", "VerifyFull", false),
            ("postgres:///bellhop?host=/run/postgresql", "Prefer", false),
        ] {
            let options = verified(PgConnectOptions::from_str(url).unwrap(), url);
            assert_eq!(format!("{:?}", options.get_ssl_mode()), mode, "{url}");
            assert_eq!(is_exposed(&options), exposed, "{url}");
        }
    }
}
