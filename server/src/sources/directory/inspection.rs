//! Reads the repositories of a folder once, without storing anything.

use std::io;
use std::path::Path;
use std::time::Duration;

use buildbtw_model::Explanation;

use super::folder::Directory;
use super::repositories::repositories;

/// What the repositories of a folder are like.
pub(crate) struct Inspection {
    /// How many can be used.
    pub(crate) usable: usize,
    /// The names of the others, with their problems.
    pub(crate) unusable: Vec<(String, Explanation)>,
}

/// Reads all repositories directly below a folder. Blocking.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn inspect(folder: &Path) -> io::Result<Inspection> {
    // The interval has no effect: nothing is repeated.
    let directory = Directory::new(folder.to_owned(), None, Duration::MAX);
    let mut inspection = Inspection {
        usable: 0,
        unusable: Vec::new(),
    };
    for name in repositories(folder)? {
        let found = directory.read_repository(&name, None);
        match found.and_then(|found| found.row.problem) {
            Some(problem) => inspection.unusable.push((name, problem.explanation())),
            None => inspection.usable += 1,
        }
    }
    Ok(inspection)
}
