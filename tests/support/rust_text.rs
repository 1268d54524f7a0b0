//! Rust source as far as the tests of the project's structure read it: without comments, texts and tests.

use std::collections::BTreeSet;

/// Source of the same length with spaces for comments and for what stands in string and character literals. Line breaks
/// stay.
pub(crate) fn blanked(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match literal_or_comment(bytes, at) {
            Some(end) => end.min(bytes.len()),
            None => {
                at += 1;
                continue;
            }
        };
        for byte in code[at..end].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
        at = end;
    }
    String::from_utf8(code).expect("whole characters are blanked")
}

/// Where the comment or literal ends that begins at `at`; none if none does.
fn literal_or_comment(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let find = |from: usize, end: &[u8]| {
        rest[from..]
            .windows(end.len())
            .position(|window| window == end)
            .map_or(bytes.len(), |found| at + from + found + end.len())
    };
    let starts_word = at == 0 || !is_name_byte(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => Some(find(0, b"\n") - 1),
        [b'/', b'*', ..] => Some(find(2, b"*/")),
        [b'r', b'"' | b'#', ..] | [b'b', b'r', ..] if starts_word => {
            let from = if rest[0] == b'b' { 2 } else { 1 };
            let hashes = rest[from..].iter().take_while(|byte| **byte == b'#').count();
            (rest.get(from + hashes) == Some(&b'"'))
                .then(|| find(from + hashes + 1, &[b"\"".as_slice(), &vec![b'#'; hashes]].concat()))
        }
        [b'"', ..] => Some(at + quoted(rest)),
        // A character, unless it is a lifetime.
        [b'\'', b'\\', ..] => Some(at + 2 + rest[3..].iter().position(|byte| *byte == b'\'')? + 2),
        [b'\'', second, ..] => {
            let length =
                if second.is_ascii() { 1 } else { rest[1..].iter().position(|byte| *byte == b'\'')? };
            (rest.get(1 + length) == Some(&b'\'')).then_some(at + length + 2)
        }
        _ => None,
    }
}

/// The length of the string literal at the beginning of `rest`.
fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Blanked source without the items that are for tests only; their lines are gone.
pub(crate) fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::new();
    while let Some(found) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..found]);
        let item = &rest[found..];
        let end = match (item.find(';'), item.find('{')) {
            (Some(semicolon), Some(brace)) if brace < semicolon => block_end(item, brace),
            (None, Some(brace)) => block_end(item, brace),
            (Some(semicolon), _) => semicolon + 1,
            (None, None) => item.len(),
        };
        rest = item[end..].strip_prefix('\n').unwrap_or(&item[end..]);
    }
    kept.push_str(rest);
    kept
}

/// Where the block ends whose brace is at `brace`.
fn block_end(code: &str, brace: usize) -> usize {
    let mut depth = 0_i32;
    for (at, byte) in code.bytes().enumerate().skip(brace) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// A path in the code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UsedPath {
    pub(crate) segments: Vec<String>,
    /// The name that a `use` gives it here; none where it is written in place.
    pub(crate) imported_as: Option<String>,
    /// Whether others may import it from here.
    pub(crate) exported: bool,
}

/// Every path of blanked code with two segments or more, and every import.
pub(crate) fn paths(code: &str) -> BTreeSet<UsedPath> {
    let mut found = BTreeSet::new();
    let mut rest = code.to_owned();
    while let Some((start, end, exported)) = next_use(&rest) {
        let keyword = rest[start..].find("use").expect("it begins a use") + start + 3;
        tree(&[], rest[keyword..end].trim(), exported, &mut found);
        rest.replace_range(start..end + 1, " ");
    }
    let mut words = rest.char_indices().peekable();
    while let Some((start, c)) = words.next() {
        if !(c.is_alphabetic() || c == '_') || rest[..start].ends_with(|c: char| is_name(c) || c == '.') {
            continue;
        }
        let end = rest[start..].find(|c: char| !is_name(c) && c != ':').map_or(rest.len(), |end| start + end);
        let path = rest[start..end].trim_end_matches(':');
        let visibility = rest[..start].ends_with("(in ");
        if path.contains("::") && !visibility && !rest[..start].ends_with("::") {
            let segments = path.split("::").map(str::to_owned).collect();
            found.insert(UsedPath { segments, imported_as: None, exported: false });
        }
        while words.next_if(|(at, _)| *at < end).is_some() {}
    }
    found
}

/// Start and end of the next `use` item, and whether it exports.
fn next_use(code: &str) -> Option<(usize, usize, bool)> {
    let mut from = 0;
    while let Some(found) = code[from..].find("use ") {
        let at = from + found;
        let before = code[..at].trim_end();
        let line = code[..at].rfind('\n').map_or(0, |line| line + 1);
        let lead = code[line..at].trim();
        if lead.is_empty() || (lead.starts_with("pub") && before.ends_with(lead)) {
            let end = at + code[at..].find(';')?;
            return Some((line, end, !lead.is_empty()));
        }
        from = at + 4;
    }
    None
}

/// The paths of one use tree below `prefix`.
fn tree(prefix: &[String], text: &str, exported: bool, found: &mut BTreeSet<UsedPath>) {
    if let Some((head, group)) = text.split_once('{') {
        let mut prefix = prefix.to_vec();
        prefix.extend(head.split("::").map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned));
        let group = &group[..group.rfind('}').unwrap_or(group.len())];
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    if !group[start..at].trim().is_empty() {
                        tree(&prefix, group[start..at].trim(), exported, found);
                    }
                    start = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let (path, name) = match text.split_once(" as ") {
        Some((path, name)) => (path.trim(), Some(name.trim().to_owned())),
        None => (text, None),
    };
    let mut segments = prefix.to_vec();
    segments.extend(path.split("::").map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned));
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    let imported_as = name.or_else(|| segments.last().cloned());
    found.insert(UsedPath { segments, imported_as, exported });
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Name and number of lines of every function of blanked code, from its first line to its closing brace.
pub(crate) fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if code[..at].ends_with(is_name) {
            continue;
        }
        let rest = &code[at..];
        let name: String = rest[3..].chars().take_while(|c| is_name(*c)).collect();
        let body = match (rest.find('{'), rest.find(';')) {
            (Some(brace), semicolon) if semicolon.is_none_or(|end| brace < end) => brace,
            _ => continue,
        };
        if !name.is_empty() {
            found.push((name, rest[..block_end(rest, body)].lines().count()));
        }
    }
    found
}

#[test]
fn comments_and_texts_are_no_code_and_lifetimes_are() {
    let source = "a /* b\n c */ \"d\\\"e\" r#\"f\"g\"# 'h' '\\'' 'é' <'i> // j\nk";
    let words: Vec<String> = blanked(source).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["a", "<'i>", "k"]);
}

#[test]
fn items_for_tests_are_left_out() {
    let code = "fn a() {}\n#[cfg(test)]\nmod tests;\nfn b() {}\n#[cfg(test)]\nmod more {\n    fn c() { if d {} }\n}\n";
    assert_eq!(without_tests(code), "fn a() {}\nfn b() {}\n");
}

#[test]
fn paths_are_found_in_imports_and_in_place() {
    let code =
        "pub use a::B;\nuse crate::{c::{self, D as E}, f};\nfn g() { super::h::i(); j.k::<L>(); M::n() }";
    let found = paths(code);
    let all: Vec<(String, Option<&str>)> =
        found.iter().map(|path| (path.segments.join("::"), path.imported_as.as_deref())).collect();
    let expected = [
        ("M::n", None),
        ("a::B", Some("B")),
        ("crate::c", Some("c")),
        ("crate::c::D", Some("E")),
        ("crate::f", Some("f")),
        ("super::h::i", None),
    ];
    assert_eq!(all, expected.map(|(path, name)| (path.to_owned(), name)));
    assert!(found.iter().all(|path| path.exported == (path.segments[0] == "a")));
}

#[test]
fn a_function_is_as_long_as_its_lines() {
    let code = "fn a();\nfn b(\n    c: D,\n) {\n    if e {}\n}\n";
    assert_eq!(functions(code), [("b".to_owned(), 5)]);
}
