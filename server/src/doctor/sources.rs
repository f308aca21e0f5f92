//! The repositories of a folder of sources: that they can be read and used.

use std::path::Path;
use std::time::Duration;

use buildbtw_doctor::{Check, Report};
use buildbtw_model::Explanation;
use buildbtw_telemetry::spawn_blocking_named;

use crate::sources::SourceConfig;
use crate::sources::directory::{Inspection, inspect};

const NAME: &str = "source repositories";
/// Distributions have more than ten thousand repositories.
const DEADLINE: Duration = Duration::from_secs(120);
/// How many repositories a message names.
const SHOWN: usize = 3;
const ALL: &str = "`buildbtw sources --broken` lists all of them";

/// Reads every repository of a folder, as the server does.
pub(super) async fn check(report: &mut Report, sources: Option<&SourceConfig>) {
    // GitLab has checks of its own.
    let Some(SourceConfig::Directory { folder, .. }) = sources else {
        return;
    };
    let path = folder.clone();
    let read = async {
        let inspection = spawn_blocking_named("inspect sources", move || inspect(&path)).await;
        let inspection = inspection.map_err(std::io::Error::other).flatten();
        vec![judge(folder, inspection)]
    };
    report.run_within(DEADLINE, NAME, read).await;
}

/// Judges the repositories of a folder.
pub(super) fn judge(folder: &Path, inspection: std::io::Result<Inspection>) -> Check {
    let shown = folder.display();
    let Inspection { usable, unusable } = match inspection {
        Ok(inspection) => inspection,
        Err(error) => {
            let repair = format!(
                "let the server's user read `{shown}`, or set --sources-dir to another folder"
            );
            return Check::failure(NAME, error.to_string(), repair);
        }
    };
    let count = usable + unusable.len();
    let problems = unusable.iter().take(SHOWN);
    let problems: Vec<String> = problems
        .map(|(name, problem)| format!("`{name}`: {}", problem.message))
        .collect();
    let problems = problems.join("; ");
    match (usable, unusable.len()) {
        (0, 0) => Check::warning(
            NAME,
            format!("there are no git repositories directly below `{shown}`"),
            format!(
                "clone one per pkgbase there (`git clone --mirror URL '{shown}/PKGBASE.git'`), or set --sources-dir"
            ),
        ),
        (_, 0) => Check::ok(NAME, format!("all {count} below `{shown}` can be used")),
        (0, _) => Check::failure(
            NAME,
            format!("none of {count} below `{shown}` can be used: {problems}"),
            repair(&unusable),
        ),
        (_, broken) => Check::warning(
            NAME,
            format!("{broken} of {count} below `{shown}` cannot be used: {problems}"),
            repair(&unusable),
        ),
    }
}

/// Returns the hints for the repositories that a message names.
fn repair(unusable: &[(String, Explanation)]) -> String {
    let named = unusable.iter().take(SHOWN);
    let hints: Vec<String> = named
        .filter_map(|(name, problem)| Some(format!("`{name}`: {}", problem.hint.as_ref()?)))
        .collect();
    match hints.is_empty() {
        true => format!("correct what it names; {ALL}"),
        false => format!("{}; {ALL}", hints.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::*;

    #[test]
    fn judges_repositories_of_a_folder() {
        let folder = Path::new("/srv/sources");
        let judge = |usable, broken: usize| {
            let names = ["a", "b", "c", "d"].iter().take(broken);
            let unusable = names.map(|name| ((*name).to_owned(), Explanation::from("no .SRCINFO")));
            let unusable = unusable.collect();
            judge(folder, Ok(Inspection { usable, unusable }))
        };
        assert_eq!(judge(2, 0).status, Status::Ok);
        let empty = judge(0, 0);
        assert_eq!(empty.status, Status::Warning);
        assert!(empty.repair.unwrap().contains("git clone --mirror"));
        let broken = judge(0, 4);
        assert_eq!(broken.status, Status::Failure);
        assert!(broken.message.starts_with("none of 4 below"), "{broken:?}");
        assert!(!broken.message.contains("`d`"), "{broken:?}");
        let some = judge(3, 1);
        assert_eq!(some.status, Status::Warning);
        let expected = "1 of 4 below `/srv/sources` cannot be used: `a`: no .SRCINFO";
        assert_eq!(some.message, expected);
    }

    #[test]
    fn repairs_with_the_hints_of_named_repositories() {
        let problem = |number: usize| match number {
            1 => Explanation::from("it is locked"),
            _ => Explanation::with_hint("it has no commits", format!("push {number}")),
        };
        let names = ["a", "b", "c", "d"].iter().enumerate();
        let unusable = names.map(|(number, name)| ((*name).to_owned(), problem(number)));
        let (usable, unusable) = (1, unusable.collect());
        let folder = Path::new("/srv/sources");
        let found = judge(folder, Ok(Inspection { usable, unusable }));
        let expected = "`a`: push 0; `c`: push 2; `buildbtw sources --broken` lists all of them";
        assert_eq!(found.repair.as_deref(), Some(expected));
        assert!(!found.message.contains("push"), "{found:?}");
    }

    #[test]
    fn reads_a_folder_with_a_damaged_repository() {
        let folder = tempfile::tempdir().unwrap();
        let inspected = || judge(folder.path(), inspect(folder.path()));
        assert_eq!(inspected().status, Status::Warning);
        let damaged = folder.path().join("damaged.git");
        fs_err::create_dir_all(damaged.join("refs")).unwrap();
        fs_err::write(damaged.join("HEAD"), "nothing").unwrap();
        let found = inspected();
        assert_eq!(found.status, Status::Failure);
        assert!(found.message.contains("`damaged.git`: "), "{found:?}");
        let missing = folder.path().join("missing");
        let missing = judge(&missing, inspect(&missing));
        assert_eq!(missing.status, Status::Failure);
        assert!(missing.message.contains("missing"), "{missing:?}");
    }
}
