//! Doc comments: every file and every public item has one. Fields and variants may do without, because most of their names say
//! enough; a comment there gives a bound, a unit or a guarantee.

#[path = "support/sources.rs"]
mod sources;

use std::fs;
use std::path::Path;

use sources::sources;

/// The beginnings of items that need a doc comment. `pub mod` has it inside of its file, `pub use` where the item is.
const ITEMS: [&str; 9] = [
    "pub fn ",
    "pub async fn ",
    "pub const fn ",
    "pub struct ",
    "pub enum ",
    "pub trait ",
    "pub type ",
    "pub const ",
    "pub static ",
];

/// The folders whose comments on fields and variants have at least three words.
const WITHOUT_SHORT_COMMENTS: [&str; 6] =
    ["src/cli", "src/config", "src/domain", "src/protocol", "src/telemetry", "src/settings.rs"];

/// The lines of a file before its unit tests.
fn code(text: &str) -> Vec<&str> {
    let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().map(str::trim).collect()
}

fn is_documented(lines: &[&str], item: usize) -> bool {
    let is_of_another = |line: &str| {
        line.is_empty()
            || line == "}"
            || line.ends_with(';')
            || (line.ends_with('{') && !line.starts_with("#["))
    };
    let mut own = lines[..item].iter().rev().take_while(|line| !is_of_another(line));
    own.any(|line| line.starts_with("///") || line.starts_with("#[doc") || line.starts_with("$(#["))
}

/// Whether a line is all of a comment of one or two words.
fn is_short(lines: &[&str], line: usize) -> bool {
    let is_comment = |line: Option<&&str>| line.is_some_and(|line| line.starts_with("///"));
    let alone =
        !is_comment(line.checked_sub(1).and_then(|n| lines.get(n))) && !is_comment(lines.get(line + 1));
    alone && lines[line].strip_prefix("///").is_some_and(|said| said.split_whitespace().count() < 3)
}

fn each_file(mut check: impl FnMut(&str, &[&str])) {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    for file in files {
        let path = file.to_string_lossy();
        if path.ends_with("/tests.rs") || path.contains("/tests/") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("the file can be read");
        check(&path, &code(&text));
    }
}

#[test]
fn every_file_and_every_public_item_has_a_doc_comment() {
    let mut missing = Vec::new();
    each_file(|path, lines| {
        if !lines.first().is_some_and(|line| line.starts_with("//!")) {
            missing.push(path.to_owned());
        }
        for (number, line) in lines.iter().enumerate() {
            if ITEMS.iter().any(|start| line.starts_with(start)) && !is_documented(lines, number) {
                missing.push(format!("{path}:{}: {line}", number + 1));
            }
        }
    });
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn a_doc_comment_has_more_than_two_words() {
    let mut short = Vec::new();
    each_file(|path, lines| {
        let is_in = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
        if !is_in(&WITHOUT_SHORT_COMMENTS) {
            return;
        }
        for number in (0..lines.len()).filter(|number| is_short(lines, *number)) {
            short.push(format!("{path}:{}: {}", number + 1, lines[number]));
        }
    });
    assert_eq!(short, Vec::<String>::new());
}

#[test]
fn the_page_of_payments_has_the_tables_that_decide() {
    use bellhop::domain::payment::table::{ends_to_markdown, payments_to_markdown, refunds_to_markdown};
    let page = include_str!("../docs/payments.md");
    for table in [payments_to_markdown(), refunds_to_markdown(), ends_to_markdown()] {
        assert!(page.contains(&table), "docs/payments.md must contain this table:\n{table}");
    }
}
