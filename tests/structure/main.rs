//! Checks the structure of the crates by parsing their source. Without import cycles each file can be read, tested
//! and moved with the files below it; each module of the server has a layer; files and functions stay short; only one file of the server reads the
//! machine's clock; all tasks have names; only services and sources write to the database; services take only what
//! they need, and actors read no tables; and notes have short lines, and `notes/architecture.md` names places that
//! exist.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "failed preconditions fail the test"
)]

mod architecture;
mod clocks;
mod cycles;
mod layers;
mod notes;
mod paths;
mod production;
mod services;
mod sizes;
mod source;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cycles::{Cycle, cycles, folder_cycles, imports};
use sizes::{Function, functions};
use source::Crate;

/// The folders of the checked crates.
const CRATES: [&str; 15] = [
    "client",
    "crates/agent",
    "crates/builder",
    "crates/doctor",
    "crates/gitlab",
    "crates/metrics",
    "crates/model",
    "crates/package",
    "crates/planner",
    "crates/settings",
    "crates/telemetry",
    "executor",
    "packaging/manual",
    "server",
    "worker",
];

/// Unit tests count; long ones have a file of their own.
const MAX_LINES_OF_FILE: usize = 400;
const MAX_LINES_OF_FUNCTION: usize = 60;
/// A handler extracts its input, calls one service and converts the result. Its helper functions are no longer.
const MAX_LINES_OF_HANDLER: usize = 40;
/// The folder of the handlers.
const HANDLERS: &str = "server/src/routes";

/// Functions that may be longer: flat tables and matches, of which a reader needs one line at a time.
const LONG_FUNCTIONS: [(&str, &str); 0] = [];

fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

#[test]
fn has_no_import_cycles() {
    let workspace = workspace();
    let mut found = Vec::new();
    for name in CRATES {
        let folder = workspace.join(name).join("src");
        for root in ["lib.rs", "main.rs"] {
            let root = folder.join(root);
            if root.exists() {
                let source = Crate::read(&root);
                found.extend(cycles(&source));
                found.extend(folder_cycles(&source, &folder));
            }
        }
    }
    let found: Vec<String> = found
        .iter()
        .map(|cycle| cycle.describe(&workspace))
        .collect();
    assert!(
        found.is_empty(),
        "{} import cycles:\n\n{}",
        found.len(),
        found.join("\n\n")
    );
}

/// Returns the texts of production files by their paths in the workspace.
fn production_files() -> BTreeMap<PathBuf, String> {
    let workspace = workspace();
    let roots = CRATES.iter().flat_map(|name| {
        let folder = workspace.join(name).join("src");
        ["lib.rs", "main.rs"].map(|root| folder.join(root))
    });
    let crates = roots
        .filter(|root| root.exists())
        .map(|root| Crate::read(&root));
    let modules = crates.flat_map(|source| source.modules.into_values());
    let files: BTreeSet<PathBuf> = modules.map(|module| module.file).collect();
    let texts = files.into_iter().map(|file| {
        let text = fs_err::read_to_string(&file).unwrap();
        (file.strip_prefix(&workspace).unwrap().to_owned(), text)
    });
    texts.collect()
}

#[test]
fn has_no_long_files() {
    let files = production_files();
    assert!(files.len() > 300, "only {} files were found", files.len());
    let long = files.iter().filter_map(|(file, text)| {
        let lines = text.lines().count();
        (lines > MAX_LINES_OF_FILE).then(|| format!("{} has {lines} lines", file.display()))
    });
    let long: Vec<String> = long.collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn has_no_long_functions() {
    let mut long = Vec::new();
    let mut allowed: BTreeSet<(&str, &str)> = LONG_FUNCTIONS.into();
    for (file, text) in production_files() {
        let place = file.to_str().unwrap();
        for function in functions(&text).unwrap() {
            let most = if file.starts_with(HANDLERS) {
                MAX_LINES_OF_HANDLER
            } else {
                MAX_LINES_OF_FUNCTION
            };
            let Function { name, lines, .. } = function;
            let known = LONG_FUNCTIONS
                .iter()
                .find(|known| **known == (place, &*name));
            let is_allowed = known.is_some_and(|known| lines > most && allowed.remove(known));
            if lines > most && !is_allowed {
                long.push(format!("{place}: {name} has {lines} lines, at most {most}"));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
    assert!(
        allowed.is_empty(),
        "functions in LONG_FUNCTIONS that are short now: {allowed:?}"
    );
}

#[test]
fn counts_lines_from_signature_to_last_brace() {
    let text = "
        /// A comment.
        #[inline]
        pub async fn one(
            number: u8,
        ) -> u8 {
            fn inner() {}
            number
        }
        impl Two {
            fn two(&self) {}
            #[cfg(test)]
            fn for_tests() {}
        }
        trait Three {
            fn declared();
            fn three() {
            }
        }
        #[cfg(test)]
        mod tests {
            fn four() {}
        }
    ";
    let found = functions(text).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|function| (function.name.as_str(), function.lines))
        .collect();
    let expected = [("one", 6), ("inner", 1), ("two", 1), ("three", 2)];
    assert_eq!(found, expected);
}

/// What handlers leave to services.
const LEFT_TO_SERVICES: [&str; 5] = [
    "fs_err",
    "state.database.",
    "state.logs.",
    "state.repos.",
    "state.sources.",
];

#[test]
fn reads_data_in_services_only() {
    let folder = workspace().join("server/src");
    let server = Crate::read(&folder.join("lib.rs"));
    let data = ["db", "logs.rs", "repos", "sources"].map(|name| folder.join(name));
    let is_data = |file: &Path| {
        let is_below = data.iter().any(|data| file.starts_with(data));
        is_below && file != folder.join("db/mod.rs")
    };
    let is_above = |file: &Path| {
        let above = ["routes", "views"].map(|name| folder.join(name));
        above.iter().any(|above| file.starts_with(above))
    };
    let mut found = Vec::new();
    for (path, module) in &server.modules {
        if is_above(&module.file) {
            for (to, by) in imports(&server, path, module) {
                if is_data(to) {
                    found.push(format!("{:?} imports {by}", module.file));
                }
            }
        }
    }
    for (file, text) in production_files() {
        let used = LEFT_TO_SERVICES.iter().filter(|used| text.contains(*used));
        if file.starts_with(HANDLERS) {
            found.extend(used.map(|used| format!("{file:?} uses {used}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Returns the import cycles of a crate with these files, as chains of file names.
fn cycles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    chains(files, |source, _| cycles(source))
}

/// Returns the import cycles between folders of a crate with these files, as chains of folder names.
fn folder_cycles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    chains(files, folder_cycles)
}

fn chains(files: &[(&str, &str)], find: impl Fn(&Crate, &Path) -> Vec<Cycle>) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    let found = find(&Crate::read(&folder.path().join("lib.rs")), folder.path());
    let names = found.iter().map(|cycle| {
        let names = cycle.files.iter().map(|file| {
            let name = file.strip_prefix(folder.path()).unwrap();
            name.display().to_string()
        });
        names.collect()
    });
    names.collect()
}

#[test]
fn finds_import_cycles_between_folders() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a/mod.rs", "mod one; mod two;"),
        ("a/one.rs", "pub struct One(crate::b::B);"),
        ("a/two.rs", "pub struct Two;"),
        ("b.rs", "pub mod other; pub struct B;"),
        ("b/other.rs", "pub struct Other(crate::a::two::Two);"),
        ("c.rs", "pub struct C(crate::a::one::One);"),
    ];
    assert_eq!(cycles_of(&files), Vec::<Vec<String>>::new());
    assert_eq!(folder_cycles_of(&files), [["a", "b"]]);
}

#[test]
fn ignores_import_cycles_of_a_folder_and_files_next_to_it() {
    let found = folder_cycles_of(&[
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod data; mod ways;"),
        ("a/data.rs", "pub struct Data(super::ways::kind::Kind);"),
        ("a/ways/mod.rs", "pub mod kind; mod walk;"),
        ("a/ways/kind.rs", "pub struct Kind;"),
        ("a/ways/walk.rs", "pub fn walk(_: crate::a::data::Data) {}"),
    ]);
    assert_eq!(found, Vec::<Vec<String>>::new());
}

#[test]
fn finds_import_cycles() {
    let found = cycles_of(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::{a, c::C}; pub struct B(a::A, C);"),
        ("c.rs", "pub struct C;"),
    ]);
    assert_eq!(found, [["a.rs", "b.rs"]]);
}

#[test]
fn finds_import_cycles_in_code_and_macros() {
    let found = cycles_of(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "pub fn a() { crate::b::b(); }"),
        ("b.rs", "pub fn b() { println!(\"{}\", super::c::c()); }"),
        (
            "c.rs",
            "#[doc(hidden)] pub fn c() -> u8 { select! { () = super::a::a() => 1 } }",
        ),
    ]);
    assert_eq!(found, [["a.rs", "b.rs", "c.rs"]]);
}

#[test]
fn finds_import_cycles_between_a_folder_and_its_files() {
    let found = cycles_of(&[
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod inner; pub struct A(inner::Inner);"),
        ("a/inner.rs", "pub struct Inner(Option<Box<super::A>>);"),
    ]);
    assert_eq!(found, [["a/inner.rs", "a/mod.rs"]]);
}

#[test]
fn follows_re_exports_to_the_file_that_defines() {
    let found = cycles_of(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a/mod.rs",
            "mod one; mod two; pub use one::One; pub use two::*;",
        ),
        ("a/one.rs", "use super::Two; pub struct One(Two);"),
        ("a/two.rs", "pub struct Two;"),
        ("b.rs", "use crate::a::{One, Two}; pub struct B(One, Two);"),
    ]);
    assert_eq!(found, Vec::<Vec<String>>::new());
}

#[test]
fn finds_import_cycles_over_re_exports() {
    let found = cycles_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod one; pub use one::One;"),
        ("a/one.rs", "pub struct One(crate::b::B);"),
        ("b.rs", "pub struct B(Option<Box<crate::a::One>>);"),
    ]);
    assert_eq!(found, [["a/one.rs", "b.rs"]]);
}

#[test]
fn ignores_restricted_visibility() {
    let found = cycles_of(&[
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod inner; pub fn a() { inner::b() }"),
        (
            "a/inner.rs",
            "pub(super) fn b() {} pub(in crate::a) fn c(state: u8) -> u8 { state }",
        ),
    ]);
    assert_eq!(found, Vec::<Vec<String>>::new());
}

#[test]
fn ignores_imports_of_tests() {
    let found = cycles_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub struct A(crate::b::B);"),
        (
            "b.rs",
            "pub struct B; #[cfg(test)] mod tests { use crate::a::A; fn t(_: A) {} }",
        ),
    ]);
    assert_eq!(found, Vec::<Vec<String>>::new());
}

#[test]
fn resolves_inline_modules_and_names_of_other_crates() {
    let found = cycles_of(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "pub mod inner { use super::super::b::B; pub struct A(B); } use b_of_others::b::B as _;",
        ),
        ("b.rs", "pub struct B; pub fn a() { a_of_others::a(); }"),
    ]);
    assert_eq!(found, Vec::<Vec<String>>::new());
    let found = cycles_of(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "pub mod inner { pub fn a() { super::super::b::b() } }",
        ),
        (
            "b.rs",
            "use crate::a::inner as other; pub fn b() { other::a() }",
        ),
    ]);
    assert_eq!(found, [["a.rs", "b.rs"]]);
}
