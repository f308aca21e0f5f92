//! Converts projects of the group into repositories.

use buildbtw_gitlab::{Blob, Contents, Project, TreeAt};
use buildbtw_model::{Pkgbase, SourceProblemKind};

use crate::db::source_repositories::{SourceProblem, SourceRepositoryRow};
use crate::sources::kind::{MAX_SRCINFO, TreeAtCommit, binary_srcinfo, large_srcinfo, no_srcinfo};
use crate::sources::store::Found;

use super::paths::project_path;

/// Returns what changed in a project; `None` when nothing did.
///
/// A project that GitLab failed to read counts as unchanged if it was usable.
pub(super) fn read(
    project: Project,
    group: &str,
    known: Option<&SourceRepositoryRow>,
) -> Option<Found> {
    let mut found = Found::at(relative(&project.full_path, group));
    found.row.project_id = Some(project.id);
    found.row.http_url = project.http_url;
    found.row.ssh_url = project.ssh_url;
    match project.contents {
        _ if project.archived => {
            found.mark_broken(archived());
        }
        Contents::Hidden => found.mark_broken(hidden()),
        Contents::Empty => found.mark_broken(empty()),
        Contents::NoDefaultBranch { branch } => {
            found.mark_broken(no_default_branch(&branch));
            found.row.branch = Some(branch);
        }
        Contents::Unknown(_) if known.is_some_and(|known| known.problem.is_none()) => return None,
        Contents::Unknown(reason) => {
            let message = format!("GitLab cannot read it: {reason}");
            found.mark_broken(SourceProblem::new(SourceProblemKind::Unreadable, message));
        }
        Contents::Head { branch, tree } => {
            found.row.branch = Some(branch);
            found.row.commit = Some(tree.commit.clone());
            found.set_tree(tree_at_commit(tree), name_problem);
        }
    }
    (!known.is_some_and(|known| found.is_unchanged_from(known))).then_some(found)
}

/// Returns the problem of an archived project.
fn archived() -> SourceProblem {
    SourceProblem::new(SourceProblemKind::Archived, "the project is archived")
        .hint("unarchive it in the project's settings (General, Advanced)")
}

/// Returns the problem of a project whose code the token must not read.
fn hidden() -> SourceProblem {
    let message = "the token is not allowed to read its code";
    SourceProblem::new(SourceProblemKind::Unreadable, message)
        .hint("give the token's user the role Reporter or higher")
}

/// Returns the problem of a project without commits.
fn empty() -> SourceProblem {
    SourceProblem::new(SourceProblemKind::Empty, "the project has no commits")
        .hint("push its first commit")
}

/// Returns the problem of a project whose default branch was deleted.
fn no_default_branch(branch: &str) -> SourceProblem {
    let message = format!("the default branch `{branch}` does not exist");
    SourceProblem::new(SourceProblemKind::NoDefaultBranch, message).hint(
        "choose another default branch in the project's settings (Repository, Branch defaults)",
    )
}

/// Returns the path below the group.
pub(super) fn relative<'a>(full_path: &'a str, group: &str) -> &'a str {
    let below = |path: &'a str| {
        let head = path.get(..group.len())?;
        head.eq_ignore_ascii_case(group).then_some(())?;
        path.get(group.len()..)?.strip_prefix('/')
    };
    below(full_path).unwrap_or(full_path)
}

/// Converts a tree of GitLab's.
pub(super) fn tree_at_commit(tree: TreeAt) -> TreeAtCommit {
    TreeAtCommit {
        commit: tree.commit,
        tree: tree.tree,
        commit_time: tree.commit_time,
        srcinfo: match tree.srcinfo {
            Blob::Missing => Err(no_srcinfo()),
            Blob::Binary => Err(binary_srcinfo()),
            Blob::Text(text) if text.len() > MAX_SRCINFO => Err(large_srcinfo()),
            Blob::Text(text) => Ok(text),
        },
    }
}

/// Requires that a project is named after its pkgbase, by Arch Linux's rules. Otherwise it would be found under an
/// unexpected name, or take the place of another one.
pub(super) fn name_problem(path: &str, pkgbase: &Pkgbase) -> Option<SourceProblem> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let expected = project_path(pkgbase);
    // GitLab's paths are unique regardless of case.
    (!name.eq_ignore_ascii_case(&expected)).then(|| {
        let called = if expected == pkgbase.as_str() {
            String::new()
        } else {
            format!(" instead of `{expected}`")
        };
        SourceProblem::new(
            SourceProblemKind::Misnamed,
            format!(".SRCINFO has pkgbase `{pkgbase}`, but the project is named `{name}`{called}"),
        )
        .hint(format!(
            "change its path to `{expected}` in the project's settings (General, Advanced), or correct its pkgbase"
        ))
    })
}

#[cfg(test)]
mod tests {
    use buildbtw_model::ProjectId;

    use super::*;

    #[test]
    fn shows_paths_relative_to_the_group() {
        assert_eq!(relative("a/b/c", "a/b"), "c");
        assert_eq!(relative("A/b/sub/c", "a/B"), "sub/c");
        assert_eq!(relative("a/bc/d", "a/b"), "a/bc/d");
        assert_eq!(relative("x", "a/b"), "x");
    }

    #[test]
    fn problems_match_snapshot() {
        let problem = |archived, contents| {
            let project = Project {
                id: ProjectId(1),
                full_path: "packages/libgreet".to_owned(),
                archived,
                last_activity: None,
                http_url: None,
                ssh_url: None,
                contents,
            };
            read(project, "packages", None)
                .unwrap()
                .row
                .problem
                .unwrap()
        };
        let named = |path, pkgbase: &str| name_problem(path, &pkgbase.parse().unwrap()).unwrap();
        let branch = "main".to_owned();
        let problems = [
            problem(true, Contents::Empty),
            problem(false, Contents::Hidden),
            problem(false, Contents::Empty),
            problem(false, Contents::NoDefaultBranch { branch }),
            problem(false, Contents::Unknown("timed out".to_owned())),
            named("greet", "libgreet"),
            named("libsigc", "libsigc++"),
        ];
        let problems = problems.map(|problem| problem.explanation().to_string());
        insta::assert_snapshot!(problems.join("\n"));
    }

    #[test]
    fn rejects_project_not_named_after_its_pkgbase() {
        let named = |path, pkgbase: &str| name_problem(path, &pkgbase.parse().unwrap());
        assert!(named("gtk4", "gtk4").is_none());
        assert!(named("sub/libsigcplusplus", "libsigc++").is_none());
        assert!(named("sdl2", "SDL2").is_none());
        let message = named("libsigc", "libsigc++").unwrap().message;
        assert!(message.contains("`libsigcplusplus`"), "{message}");
    }
}
