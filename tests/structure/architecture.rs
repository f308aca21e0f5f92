//! The paths in `notes/architecture.md`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::workspace;

/// Paths in the block of layers are relative to this folder; all others are relative to the workspace.
const LAYERS: &str = "server/src";
/// The section about the data folder, whose paths are not in the repository.
const DATA_FOLDER: &str = "## Names in the data folder";

/// Returns whether a code span or word is a path: a name with a slash that does not begin with one, or a Rust file.
/// Placeholders (`repos/<namespace>`), command lines and requests contain other characters.
fn is_path(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    text.chars().all(is_name)
        && !text.starts_with('/')
        && (text.contains('/') || text.ends_with(".rs"))
}

/// Returns the paths that a note names in code spans and in its block of layers, relative to the workspace.
fn named_paths(note: &str) -> BTreeSet<PathBuf> {
    let mut paths = BTreeSet::new();
    // Every second part is a fenced block. It begins with its language, which the block of layers lacks.
    for (number, part) in note.split("```").enumerate() {
        if number % 2 == 0 {
            let spans = part.split('`').skip(1).step_by(2);
            paths.extend(spans.filter(|span| is_path(span)).map(PathBuf::from));
        } else if part.starts_with('\n') {
            let words = part.split_whitespace();
            let words = words.map(|word| word.trim_end_matches([',', ';', ':']));
            let layers = words.filter(|word| is_path(word));
            paths.extend(layers.map(|layer| Path::new(LAYERS).join(layer)));
        }
    }
    paths
}

fn paths_of_architecture() -> BTreeSet<PathBuf> {
    let note = fs_err::read_to_string(workspace().join("notes/architecture.md")).unwrap();
    let (note, _) = note.split_once(DATA_FOLDER).unwrap();
    named_paths(note)
}

/// The folder where insta keeps what the tests of its siblings expect.
const SNAPSHOTS: &str = "snapshots";

/// Returns the folders in a folder of the workspace, without hidden and ignored ones and without snapshots.
fn folders_in(folder: &str) -> Vec<PathBuf> {
    let ignored = fs_err::read_to_string(workspace().join(".gitignore")).unwrap();
    let is_ignored = |path: &Path| {
        let mut ignored = ignored.lines().filter_map(|line| line.strip_prefix('/'));
        ignored.any(|ignored| path == Path::new(ignored))
    };
    let entries = fs_err::read_dir(workspace().join(folder)).unwrap();
    let folders = entries.map(Result::unwrap).filter_map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        let path = Path::new(folder).join(&name);
        let is_shown = !name.starts_with('.') && name != SNAPSHOTS && !is_ignored(&path);
        (is_shown && entry.path().is_dir()).then_some(path)
    });
    folders.collect()
}

#[test]
fn architecture_names_only_existing_paths() {
    let named = paths_of_architecture();
    assert!(named.len() > 60, "only {} paths were found", named.len());
    let missing: Vec<_> = named
        .iter()
        .filter(|path| !workspace().join(path).exists())
        .collect();
    assert!(
        missing.is_empty(),
        "notes/architecture.md names missing paths: {missing:?}"
    );
}

#[test]
fn architecture_names_every_folder_and_crate() {
    let named = paths_of_architecture();
    let mut expected = folders_in("");
    for folder in expected.clone() {
        let inner = folders_in(folder.to_str().unwrap()).into_iter();
        let is_crate = |path: &PathBuf| workspace().join(path).join("Cargo.toml").exists();
        expected.extend(inner.filter(is_crate));
    }
    expected.extend(folders_in(LAYERS));
    // A path names the folders that it lies in, and the folder of its module.
    let is_named = |folder: &Path| {
        let mut named = named.iter().map(|path| path.with_extension(""));
        named.any(|path| path.starts_with(folder))
    };
    let missing: Vec<_> = expected.iter().filter(|folder| !is_named(folder)).collect();
    assert!(
        missing.is_empty(),
        "notes/architecture.md does not name {missing:?}"
    );
}

#[test]
fn reads_paths_of_spans_and_layers() {
    let note = "`a/b.rs` and `c/`, not `/usr`, `d`, `repos/<name>` or `new e/f`
```mermaid
g/
```
`h.rs`
```
i/, j/    k, all on l.rs; m
```
";
    let paths = [
        "a/b.rs",
        "c/",
        "h.rs",
        "server/src/i",
        "server/src/j",
        "server/src/l.rs",
    ];
    let expected = BTreeSet::from(paths.map(PathBuf::from));
    assert_eq!(named_paths(note), expected);
}
