//! The inside of the folders of `src`: no import circle, minds without a runtime, actors that reach each other through
//! handles, and sizes.

#[path = "support/rust_text.rs"]
mod rust_text;
#[path = "support/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rust_text::{UsedPath, blanked, functions, paths, without_tests};
use sources::sources;

/// Lines of a file, tests not counted, and how many files may have more.
const LONG_FILE: usize = 300;
const MAX_LONG_FILES: usize = 8;

/// Lines of a function, and how many functions may have more.
const LONG_FUNCTION: usize = 40;
const MAX_LONG_FUNCTIONS: usize = 12;

/// Names of files in `src/actors` and `src/storage` that decide without a runtime, a clock or a database.
const MINDS: &[&str] =
    &["state", "subscription", "frames", "timers", "outbox", "circuit_breaker", "ring_buffer", "ack_buffer"];

/// The crates that a mind does not name.
const RUNTIMES: &[&str] = &["tokio", "actix", "actix_rt", "actix_web", "actix_http", "sqlx"];

/// Files of every folder of `src/actors` that holds an actor.
const FILES_OF_AN_ACTOR: &[&str] = &["mod.rs", "actor.rs", "state.rs", "messages.rs", "settings.rs"];

/// Files of an actor that other actors do not name: its shell and its mind. They use its handle, its messages and its ports.
const PRIVATE_TO_AN_ACTOR: &[&str] = &["actor", "state"];

/// Names that several public types have. `Settings` are always those of the module that they stand in.
const SHARED_TYPE_NAMES: &[&str] = &["Settings"];

/// A source file without its tests.
struct File {
    path: PathBuf,
    module: Vec<String>,
    code: String,
    paths: BTreeSet<UsedPath>,
}

/// Every file of `src` that is no test, by its module.
fn files() -> BTreeMap<Vec<String>, File> {
    let mut found = Vec::new();
    sources(Path::new("src"), &mut found);
    let is_test = |path: &PathBuf| {
        path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
    };
    let files = found.into_iter().filter(|path| !is_test(path) && !path.ends_with("main.rs"));
    let read = |path: PathBuf| {
        let source = fs::read_to_string(&path).expect("the file can be read");
        file(path, &source)
    };
    files.map(read).collect()
}

fn file(path: PathBuf, source: &str) -> (Vec<String>, File) {
    let code = without_tests(&blanked(source));
    let module = module_of(&path);
    (module.clone(), File { paths: paths(&code), path, module, code })
}

/// The module of a file: `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`, `src/lib.rs` is the root.
fn module_of(path: &Path) -> Vec<String> {
    let below = path.strip_prefix("src").expect("it is below src").with_extension("");
    let mut module: Vec<String> =
        below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

/// A path as it is from the root; none when it leads out of this crate.
fn from_root(file: &File, files: &BTreeMap<Vec<String>, File>, segments: &[String]) -> Option<Vec<String>> {
    let (first, rest) = segments.split_first()?;
    let mut base = match first.as_str() {
        "crate" => Vec::new(),
        "self" => file.module.clone(),
        "super" => {
            let ups = segments.iter().take_while(|segment| *segment == "super").count();
            let base = file.module[..file.module.len().checked_sub(ups)?].to_vec();
            return Some([base, segments[ups..].to_vec()].concat());
        }
        name => {
            let child = [file.module.clone(), vec![name.to_owned()]].concat();
            if files.contains_key(&child) {
                child
            } else {
                let alias =
                    |path: &&UsedPath| path.imported_as.as_deref() == Some(name) && path.segments != segments;
                let import = file.paths.iter().find(alias)?;
                let base = from_root(file, files, &import.segments)?;
                if !files.contains_key(&base) {
                    return None;
                }
                base
            }
        }
    };
    base.extend_from_slice(rest);
    Some(base)
}

/// The module that defines what `path` names: re-exports are followed to it.
fn definer(files: &BTreeMap<Vec<String>, File>, path: &[String], steps: usize) -> Option<Vec<String>> {
    let length = (0..=path.len()).rev().find(|length| files.contains_key(&path[..*length]))?;
    let module = &path[..length];
    let Some(name) = path.get(length) else { return Some(module.to_vec()) };
    let file = &files[module];
    let export = file.paths.iter().find(|used| used.exported && used.imported_as.as_ref() == Some(name));
    let target = match export {
        Some(export) => from_root(file, files, &export.segments),
        None => declared_below(file, files, name),
    };
    match target {
        Some(target) if steps > 0 => definer(files, &target, steps - 1),
        _ => Some(module.to_vec()),
    }
}

/// The path of what `file` exports with everything else of the module that declares it.
fn declared_below(file: &File, files: &BTreeMap<Vec<String>, File>, name: &str) -> Option<Vec<String>> {
    let wholes = file.paths.iter().filter(|used| used.exported && used.imported_as.as_deref() == Some("*"));
    let modules = wholes.filter_map(|used| from_root(file, files, used.segments.split_last()?.1));
    let declares = |module: &Vec<String>| {
        let words: Vec<&str> = files[module]
            .code
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|w| !w.is_empty())
            .collect();
        let declared = |pair: &[&str]| {
            pair[1] == name && ["struct", "enum", "trait", "type", "const", "static", "fn"].contains(&pair[0])
        };
        words.windows(2).any(declared)
    };
    let module = modules.filter(|module| files.contains_key(module)).find(declares)?;
    Some([module, vec![name.to_owned()]].concat())
}

/// The modules that each module imports from. What is only re-exported does not count.
fn imports(files: &BTreeMap<Vec<String>, File>) -> BTreeMap<&Vec<String>, BTreeSet<Vec<String>>> {
    let of = |file: &File| {
        let used = file.paths.iter().filter(|path| !path.exported || is_used(file, path));
        let targets = used.filter_map(|path| definer(files, &from_root(file, files, &path.segments)?, 10));
        targets.filter(|target| *target != file.module && !target.is_empty()).collect()
    };
    files.iter().map(|(module, file)| (module, of(file))).collect()
}

/// Whether the file uses what it exports.
fn is_used(file: &File, path: &UsedPath) -> bool {
    let Some(name) = &path.imported_as else { return true };
    let word = |(at, found): (usize, &str)| {
        let alone = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        alone(file.code[..at].chars().next_back()) && alone(file.code[at + found.len()..].chars().next())
    };
    file.code.match_indices(name.as_str()).filter(|found| word(*found)).count() > 1
}

/// Groups of modules that import each other in a loop.
fn circles(files: &BTreeMap<Vec<String>, File>) -> Vec<BTreeSet<Vec<String>>> {
    let imports = imports(files);
    let reached = |from: &Vec<String>| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = open.pop() {
            for next in &imports[&module] {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&Vec<String>, BTreeSet<Vec<String>>> =
        files.keys().map(|module| (module, reached(module))).collect();
    let mut found: Vec<BTreeSet<Vec<String>>> = Vec::new();
    for (module, seen) in reach.iter().filter(|(module, seen)| seen.contains(**module)) {
        if !found.iter().any(|circle| circle.contains(*module)) {
            found.push(seen.iter().filter(|other| reach[other].contains(*module)).cloned().collect());
        }
    }
    found
}

#[test]
fn files_import_each_other_in_no_circle() {
    let files = files();
    let circles = circles(&files);
    let imports = imports(&files);
    for circle in &circles {
        println!("a circle of {}:", circle.len());
        for module in circle {
            let into: Vec<String> = imports[module].intersection(circle).map(|m| m.join("::")).collect();
            println!("  {} imports {}", files[module].path.display(), into.join(", "));
        }
    }
    let in_circles: usize = circles.iter().map(BTreeSet::len).sum();
    assert_eq!(in_circles, 0, "files are in circles");
}

#[test]
fn minds_name_no_runtime_and_no_database() {
    let mut found = Vec::new();
    for file in files().values() {
        let mind = file.module.iter().any(|part| MINDS.contains(&part.as_str()));
        if !mind || !matches!(file.module[0].as_str(), "actors" | "storage") {
            continue;
        }
        let named = file.paths.iter().map(|path| &path.segments[0]);
        let named: BTreeSet<&String> = named.filter(|first| RUNTIMES.contains(&first.as_str())).collect();
        found.extend(named.into_iter().map(|name| format!("{} names {name}", file.path.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_actor_names_the_shell_or_the_mind_of_another() {
    let files = files();
    let mut found = Vec::new();
    for file in files.values().filter(|file| file.module.first().is_some_and(|first| first == "actors")) {
        for path in file.paths.iter().filter_map(|path| from_root(file, &files, &path.segments)) {
            let [actors, other, inner, ..] = &path[..] else { continue };
            let foreign = actors == "actors" && Some(other) != file.module.get(1);
            if foreign && PRIVATE_TO_AN_ACTOR.contains(&inner.as_str()) {
                found.push(format!("{} names {}", file.path.display(), path.join("::")));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_folder_of_an_actor_has_the_same_files() {
    let mut missing = Vec::new();
    for entry in fs::read_dir("src/actors").expect("the folder can be read") {
        let folder = entry.expect("the entry can be read").path();
        if folder.join("actor.rs").exists() {
            let absent = FILES_OF_AN_ACTOR.iter().map(|file| folder.join(file)).filter(|file| !file.exists());
            missing.extend(absent.map(|file| file.display().to_string()));
        }
    }
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
}

#[test]
fn no_public_type_name_stands_for_two_concepts() {
    let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files().values() {
        for line in file.code.lines().filter_map(|line| line.trim_start().strip_prefix("pub ")) {
            let Some((kind, rest)) = line.split_once(' ') else { continue };
            if matches!(kind, "struct" | "enum" | "trait" | "type") {
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                // A name that a macro is given is found where the macro is used.
                if name.is_empty() {
                    continue;
                }
                types.entry(name).or_default().push(file.path.display().to_string());
            }
        }
    }
    let shared =
        types.iter().filter(|(name, places)| places.len() > 1 && !SHARED_TYPE_NAMES.contains(&name.as_str()));
    let shared: Vec<String> = shared.map(|(name, places)| format!("{name}: {}", places.join(", "))).collect();
    assert!(shared.is_empty(), "{}", shared.join("\n"));
}

#[test]
fn few_files_and_few_functions_are_long() {
    let (mut long_files, mut long_functions) = (Vec::new(), Vec::new());
    for file in files().values() {
        let lines = file.code.lines().count();
        if lines > LONG_FILE {
            long_files.push((lines, file.path.display().to_string()));
        }
        let long = functions(&file.code).into_iter().filter(|(_, lines)| *lines > LONG_FUNCTION);
        long_functions.extend(long.map(|(name, lines)| (lines, format!("{}: {name}", file.path.display()))));
    }
    for list in [&mut long_files, &mut long_functions] {
        list.sort();
        println!("{} are long:", list.len());
        list.iter().rev().for_each(|(lines, what)| println!("{lines:5}  {what}"));
    }
    assert!(long_files.len() <= MAX_LONG_FILES, "{} files over {LONG_FILE} lines", long_files.len());
    assert!(
        long_functions.len() <= MAX_LONG_FUNCTIONS,
        "{} functions over {LONG_FUNCTION} lines",
        long_functions.len()
    );
}

#[test]
fn a_circle_is_found_however_it_is_written_and_a_parent_that_re_exports_makes_none() {
    let circles_of = |sources: &[(&str, &str)]| {
        let files = sources.iter().map(|(path, source)| file(PathBuf::from(path), source)).collect();
        circles(&files).iter().map(BTreeSet::len).sum::<usize>()
    };
    let parent = "mod b;\nmod c;\npub use b::B;\npub(crate) use self::c::{C, D as E};\n";
    let lib = ("src/lib.rs", "pub mod a;");
    for (b, c, expected) in [
        ("use super::C;\npub struct B(C);", "pub struct C;", 0),
        ("use super::C;", "use crate::a::{B};", 2),
        ("fn f() { super::c::g() }", "use super::b;\nfn g() { b::f() }", 2),
        ("fn f(_: crate::a::E) {}", "#[cfg(test)]\nmod tests {\n    use super::super::B;\n}\n", 0),
        ("use crate::a::E;", "// use super::B;\nfn f() -> &'static str { \"super::B\" }", 0),
    ] {
        let sources = [lib, ("src/a/mod.rs", parent), ("src/a/b.rs", b), ("src/a/c.rs", c)];
        assert_eq!(circles_of(&sources), expected, "{b} and {c}");
    }
    let own_use = format!("{parent}fn own(_: C) {{}}\npub struct Own;\n");
    let sources = [lib, ("src/a/mod.rs", &own_use), ("src/a/b.rs", ""), ("src/a/c.rs", "use super::Own;")];
    assert_eq!(circles_of(&sources), 2, "a parent that uses its child, which uses the parent");
}

/// The writes of the table by name, each with the type that it holds.
fn writes(table: &str) -> Vec<(&str, &str)> {
    let mut writes = Vec::new();
    for line in table.lines() {
        let Some((name, rest)) = line.trim().split_once("(w: ") else { continue };
        let Some((payload, _)) = rest.split_once(") =>") else { continue };
        let held = payload.split(|c: char| !c.is_alphanumeric()).rfind(|word| !word.is_empty());
        writes.extend(held.map(|held| (name, held)));
    }
    writes
}

/// The row of a write makes its SQL necessary and nothing that asks for it: a write nobody makes is found here.
#[test]
fn every_write_is_made_outside_of_the_storage() {
    let files = files();
    let table: Vec<String> = ["storage", "commands", "table"].map(str::to_owned).to_vec();
    let writes = writes(&files[&table].code);
    assert!(writes.len() > 20, "the rows of the table are read as {writes:?}");
    let makes = |file: &&File| {
        let by_name = ["src/domain", "src/storage/commands", "src/storage/sql", "src/storage/cache"];
        let named = by_name.iter().any(|folder| file.path.starts_with(folder));
        !named && !file.path.ends_with("commit_fanout.rs")
    };
    let words: BTreeSet<&str> = files
        .values()
        .filter(makes)
        .flat_map(|file| file.code.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect();
    let forgotten: Vec<_> = writes.iter().filter(|(_, held)| !words.contains(held)).collect();
    assert!(forgotten.is_empty(), "no part of the hub makes {forgotten:?}");
}
