//! The lines of the notes, which are read in terminals and in differences.

use std::path::PathBuf;

use crate::workspace;

/// The notes outside of their folder.
const OTHER_NOTES: [&str; 5] = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "demo/README.md",
    "real-packages/README.md",
];
/// Lines stay below this number of columns. A table names what is too long for a row below it, or becomes a list.
const COLUMNS: usize = 120;

/// Returns the notes, with those of the folders below.
fn notes() -> Vec<PathBuf> {
    let mut notes: Vec<_> = OTHER_NOTES.map(|name| workspace().join(name)).into();
    let mut folders = vec![workspace().join("notes")];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                notes.push(path);
            }
        }
    }
    notes
}

#[test]
fn lines_of_notes_are_short() {
    let notes = notes();
    assert!(notes.len() > 15, "only {} notes were found", notes.len());
    let mut long = Vec::new();
    for path in notes {
        let text = fs_err::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            if columns >= COLUMNS {
                long.push(format!(
                    "{}:{} has {columns} columns",
                    path.display(),
                    number + 1
                ));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}
