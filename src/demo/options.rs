//! What a demo is to be like.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// Options of the demo.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Stop taking orders after this long (20s, 2m, 1m30s), let what is open run to its end and print a table;
    /// without it, until Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub run_for: Option<Duration>,
    /// Port to listen on; a free one is taken when it is in use, or 0
    #[arg(long, default_value_t = 8000)]
    pub port: u16,
    /// Folder of the database; a temporary one that is removed at the end unless given.
    #[arg(skip)]
    pub data: Option<PathBuf>,
    /// Use this Postgres database (postgres://user:password@host/name) instead of an SQLite file. It has to exist and to be
    /// the demo's own, empty or of an earlier demo: accounts in it have a known password
    #[arg(long, value_name = "URL")]
    pub database: Option<SecretString>,
    /// Orders a second, on average
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub orders_per_second: u32,
    /// How many businesses there are, each with two devices; of four and more, one never answers, one loses its devices for a
    /// while, one accepts by itself, and of five and more one has drivers bring its orders
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub businesses: u16,
    /// How many hubs, which are one: people, devices and drivers are spread over them. Several share the Postgres of --database, else of
    /// DATABASE_URL, and the Redis of REDIS_URL; scripts/cluster --servers-only starts both
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub nodes: u16,
    /// Makes the same choices again; drawn unless given
    #[arg(long)]
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        let (run_for, data, database, seed) = (None, None, None, None);
        Self { run_for, port: 8000, data, database, orders_per_second: 20, businesses: 20, nodes: 1, seed }
    }
}

/// Reads `90s`, `2m`, `1m30s`, `500ms`: whole numbers with ms, s, m or h, the larger units first or not.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a duration like 20s, 2m or 1m30s, not '{text}'");
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = rest.split_at(digits);
        let letters = unit.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = unit.split_at(letters);
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(millis)).ok_or_else(wrong)?;
        total = total.checked_add(Duration::from_millis(part)).ok_or_else(wrong)?;
        rest = after;
    }
    if total.is_zero() || total > Duration::from_secs(30 * 86_400) { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn durations_are_read_as_people_write_them_and_nothing_else() {
        for (text, millis) in
            [("20s", 20_000), ("2m", 120_000), ("1m30s", 90_000), ("500ms", 500), ("1h", 3_600_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in
            ["", "20", "s", "0s", "-1s", "1.5s", "20 s", "1d", "20S", "99999999999999999999s", "5000000h"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_defaults_of_the_command_line_are_the_defaults() {
        let parsed = Line::try_parse_from(["demo"]).unwrap().options;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Options::default()));
        let parsed =
            Line::try_parse_from(["demo", "--database", "postgres://u:hunter2@h/d"]).unwrap().options;
        assert!(parsed.database.is_some() && !format!("{parsed:?}").contains("hunter2"));
        let parsed = Line::try_parse_from(["demo", "--for", "20s", "--businesses", "3"]).unwrap().options;
        assert_eq!((parsed.run_for, parsed.businesses), (Some(Duration::from_secs(20)), 3));
        assert!(Line::try_parse_from(["demo", "--businesses", "0"]).is_err());
    }
}
