//! The inputs are copies of the collected ones, and each has one test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::support::inputs;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the names of the folders in a folder.
fn folders(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// Returns the files below a folder with their contents, by path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                files.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    files
}

#[test]
fn inputs_match_the_shared_cases() {
    let collected = project().join("../shared/cases");
    if !collected.is_dir() {
        eprintln!("SKIPPED: there is no ../shared/cases to compare tests/cases with");
        return;
    }
    for case in folders(&inputs()) {
        let (ours, theirs) = (inputs().join(&case), collected.join(&case));
        assert!(theirs.is_dir(), "../shared/cases has no {case}");
        let (ours, theirs) = (files(&ours), files(&theirs));
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs), "{case}");
        for (name, content) in ours {
            let name = Path::new(&case).join(name);
            let same = content == theirs[name.strip_prefix(&case).unwrap()];
            assert!(same, "{} differs from ../shared/cases", name.display());
        }
    }
    let (ours, theirs) = (folders(&inputs()), folders(&collected));
    let missing: Vec<&String> = theirs.difference(&ours).collect();
    assert!(missing.is_empty(), "not in tests/cases: {missing:?}");
}

/// `case_NN_…`, named like the folder, wherever it fits.
#[test]
fn notes_name_one_test_per_input() {
    let mut code = String::new();
    for folder in [
        "tests/e2e",
        "server/tests/api",
        "crates/builder/tests/sandbox",
    ] {
        for content in files(&project().join(folder)).values() {
            code.push_str(&String::from_utf8_lossy(content));
        }
    }
    let notes = std::fs::read_to_string(project().join("notes/cases.md")).unwrap();
    for case in folders(&inputs()) {
        let test = format!("case_{}", case.replace('-', "_"));
        assert_eq!(code.matches(&format!("fn {test}()")).count(), 1, "{test}");
        assert!(
            notes.contains(&format!("`{test}`")),
            "notes/cases.md: {test}"
        );
        assert!(notes.contains(&case), "notes/cases.md: {case}");
    }
}
