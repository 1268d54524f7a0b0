//! What must not be in a log is not in what `{:?}` prints.

#[path = "support/sources.rs"]
mod sources;

use std::fs;
use std::path::Path;

use sources::sources;

/// Names of fields that hold what is private, or lets somebody in.
const PRIVATE: &[&str] = &[
    "phone",
    "address",
    "email",
    "password",
    "password_hash",
    "token",
    "access_token",
    "refresh_token",
    "ticket",
    "token_hash",
    "previous_hash",
    "presented_hash",
    "successor_hash",
    "secret",
    "secret_key",
    "body",
    "customer_name",
];

/// Types that such a field may not have in a type that derives `Debug`: they print what they hold.
const BARE: &[&str] =
    &["String", "Option<String>", "&'static str", "&'a str", "Arc<str>", "Vec<u8>", "Bytes"];

/// What simulates clients holds secrets of its own making only.
const SIMULATED: &str = "src/demo";

/// Fields that are printed although they should not be, as `line: text`.
fn printed(source: &str) -> Vec<String> {
    let (mut derives, mut depth, mut found) = (false, 0_i32, Vec::new());
    for (number, line) in source.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default().trim();
        if depth == 0 {
            if code.starts_with("#[derive(") {
                derives = code.contains("Debug");
            } else if !code.starts_with("#[") && !code.is_empty() {
                let is_type = ["struct ", "enum "].iter().any(|word| code.contains(word));
                derives &= is_type && code.ends_with('{');
                depth = i32::from(derives);
            }
            continue;
        }
        let field = code
            .trim_start_matches("pub(super) ")
            .trim_start_matches("pub(crate) ")
            .trim_start_matches("pub ");
        if let Some((name, kind)) = field.split_once(": ")
            && PRIVATE.contains(&name)
            && BARE.contains(&kind.trim_end_matches(','))
        {
            found.push(format!("{}: {code}", number + 1));
        }
        depth += i32::try_from(code.matches('{').count()).unwrap_or(0);
        depth -= i32::try_from(code.matches('}').count()).unwrap_or(0);
    }
    found
}

#[test]
fn no_type_derives_debug_over_what_is_private() {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    assert!(files.len() > 100, "the sources are here");
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| !file.starts_with(SIMULATED)) {
        let source = fs::read_to_string(file).expect("the file can be read");
        wrong.extend(printed(&source).into_iter().map(|field| format!("{}:{field}", file.display())));
    }
    assert!(wrong.is_empty(), "derive no Debug there, or wrap the value:\n{}", wrong.join("\n"));
}

#[test]
fn a_field_that_would_be_printed_is_found() {
    let source = "#[derive(Clone, Debug)]\npub struct A {\n    /// Doc.\n    pub phone: Option<String>,\n}\n\
                  #[derive(Clone)]\nstruct B {\n    phone: String,\n}\n\
                  #[derive(Debug)]\nenum C {\n    D {\n        token: String,\n    },\n}\n\
                  #[derive(Debug)]\nstruct E {\n    address: SocketAddr,\n}\n";
    let found: Vec<String> =
        printed(source).iter().map(|f| f.split(':').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(found, ["4", "13"]);
}
