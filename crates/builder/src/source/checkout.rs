//! Checks out the tree of one commit, without its history and without anything that a repository could
//! configure.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use buildbtw_model::CommitHash;

use super::access::{GitAccess, GitCredentials};
use crate::failure::{Context as _, Failure};
use crate::log::Lines;
use crate::programs::SEARCH_PATH;

/// Settings that replace the host's: no credentials, hooks or helper programs, and any owner of a
/// repository is accepted. They are in a file because git does not pass command line options on to other
/// repositories.
const CONFIG: &str = "\
[safe]
\tdirectory = *
[core]
\thooksPath = /dev/null
\tfsmonitor = false
\tattributesFile = /dev/null
[advice]
\tdetachedHead = false
[gc]
\tauto = 0
[http]
\tlowSpeedLimit = 1000
\tlowSpeedTime = 60
";

/// Returns a git command that is independent of the caller's environment.
fn git(scratch: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("LC_ALL", "C")
        .env("HOME", scratch)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", scratch.join("gitconfig"))
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "/bin/false")
        .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
        .env("GIT_DIR", scratch.join("git"))
        .current_dir(scratch)
        .stdin(Stdio::null());
    command
}

/// Puts the commit's files into `tree`, an empty folder. The repository itself stays in `scratch`: its
/// configuration contains the URL, which may contain a password.
pub(crate) fn checkout(
    url: &str,
    commit: &CommitHash,
    access: &GitAccess,
    scratch: &Path,
    tree: &Path,
) -> Result<(), Failure> {
    let granted = GitCredentials::new(access, scratch)?;
    let config = format!("{CONFIG}{}", granted.config());
    fs_err::write(scratch.join("gitconfig"), config)?;
    let format = if commit.as_str().len() == 64 {
        "sha256"
    } else {
        "sha1"
    };
    let format = format!("--object-format={format}");
    run(git(scratch).args(["init", "--quiet", "--bare", &format]))
        .context("creating a git repository")?;
    let fetch = [
        "fetch",
        "--quiet",
        "--depth=1",
        "--no-tags",
        "--no-recurse-submodules",
        "--",
    ];
    let mut command = git(scratch);
    granted.apply(&mut command);
    command.args(fetch).args([url, commit.as_str()]);
    let fetched = watch(&mut command).context("fetching the commit")?;
    if fetched.is_lost {
        return Err(lost_commit(commit, url));
    }
    if !fetched.is_success {
        return Err(not_fetched(commit, url));
    }
    drop(granted);
    let checkout = [
        "-c",
        "core.bare=false",
        "checkout",
        "--quiet",
        "--detach",
        commit.as_str(),
    ];
    run(git(scratch).env("GIT_WORK_TREE", tree).args(checkout)).context("checking out the commit")
}

/// Returns the failure for a repository that no longer has the commit.
fn lost_commit(commit: &CommitHash, url: &str) -> Failure {
    Failure::package(format!(
        "commit {commit} no longer exists in {}",
        shown(url)
    ))
    .hint("build the newest one with `buildbtw retry NAMESPACE --latest`")
}

/// Returns the failure for a fetch that git could not complete.
fn not_fetched(commit: &CommitHash, url: &str) -> Failure {
    let message = format!("commit {commit} could not be fetched from {}", shown(url));
    Failure::infrastructure(message).see_log()
}

/// Returns the failure for a git command that works on local files only.
fn git_failed(status: ExitStatus) -> Failure {
    Failure::infrastructure(format!("git failed ({status})")).see_log()
}

/// The result of a fetch.
struct Fetched {
    is_success: bool,
    /// Whether the repository has no such commit, so that a retry would fail again.
    is_lost: bool,
}

/// Runs git, forwards its error output and examines it.
fn watch(command: &mut Command) -> io::Result<Fetched> {
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let (mut lines, mut is_lost) = (Lines::default(), false);
    let mut read_line = |line: &str| is_lost |= names_missing_commit(line);
    if let Some(mut stderr) = child.stderr.take() {
        let mut buffer = [0; 4096];
        loop {
            let length = match stderr.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = buffer.get(..length).unwrap_or_default();
            io::stderr().write_all(bytes)?;
            lines.feed(bytes, &mut read_line);
        }
        lines.finish(&mut read_line);
    }
    let is_success = child.wait()?.success();
    Ok(Fetched {
        is_success,
        is_lost: is_lost && !is_success,
    })
}

/// Returns whether a line reports that a repository does not have the commit.
fn names_missing_commit(line: &str) -> bool {
    (line.starts_with("fatal: ") || line.starts_with("error: "))
        && (line.contains("not our ref ") || line.contains("couldn't find remote ref "))
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().context("starting git")?;
    if status.success() {
        Ok(())
    } else {
        Err(git_failed(status))
    }
}

/// Removes the name and password from a URL.
pub(crate) fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host_end = rest.find('/').unwrap_or(rest.len());
    match rest.get(..host_end).and_then(|host| host.rfind('@')) {
        Some(at) => format!("{scheme}://{}", rest.get(at + 1..).unwrap_or_default()),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn failures_match_snapshot() {
        let commit: CommitHash = "1".repeat(40).parse().unwrap();
        let url = "https://user:secret@example.org/libgreet.git";
        let local: Result<(), Failure> = Err(git_failed(ExitStatus::from_raw(128 << 8)));
        let text = crate::failure::recorded([
            ("removed commit", lost_commit(&commit, url)),
            ("failed fetch", not_fetched(&commit, url)),
            (
                "failed checkout",
                local.context("checking out the commit").unwrap_err(),
            ),
        ]);
        insta::assert_snapshot!(text);
    }

    fn sh(folder: &Path, script: &str) -> String {
        let output = Command::new("bash")
            .args(["-ec", script])
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    const REPOSITORY: &str = "git init -q repo && cd repo
        git config user.name t && git config user.email t@localhost
        echo one >PKGBUILD && git add -A && git commit -qm one && git rev-parse HEAD
        echo two >PKGBUILD && git add -A && git commit -qm two";

    #[test]
    fn checks_out_any_commit_without_running_hooks() {
        let folder = tempfile::tempdir().unwrap();
        let commit: CommitHash = sh(folder.path(), REPOSITORY).parse().unwrap();
        sh(
            folder.path(),
            "mkdir -p git/hooks tree; printf '#!/bin/sh\\ntouch ran\\n' >git/hooks/post-checkout
             chmod +x git/hooks/post-checkout",
        );
        let url = format!("file://{}", folder.path().join("repo").display());
        let tree = folder.path().join("tree");
        checkout(&url, &commit, &GitAccess::default(), folder.path(), &tree).unwrap();
        assert_eq!(
            fs_err::read_to_string(tree.join("PKGBUILD")).unwrap(),
            "one\n"
        );
        assert!(!tree.join(".git").exists());
        assert!(!tree.join("ran").exists() && !folder.path().join("ran").exists());
    }

    #[test]
    fn reports_missing_commit() {
        let folder = tempfile::tempdir().unwrap();
        sh(folder.path(), REPOSITORY);
        fs_err::create_dir(folder.path().join("tree")).unwrap();
        let commit: CommitHash = "1".repeat(40).parse().unwrap();
        let url = folder.path().join("repo");
        let failure = checkout(
            url.to_str().unwrap(),
            &commit,
            &GitAccess::default(),
            folder.path(),
            &folder.path().join("tree"),
        )
        .unwrap_err();
        assert_eq!(failure.kind, buildbtw_model::FailureKind::Package);
        assert!(failure.message.contains("1111111111"), "{failure}");
        assert!(
            failure.hint.unwrap().contains("retry NAMESPACE --latest"),
            "{}",
            failure.message
        );
        let failure = checkout(
            &format!("{}-missing", url.display()),
            &commit,
            &GitAccess::default(),
            &folder.path().join("repo"),
            &folder.path().join("tree"),
        )
        .unwrap_err();
        assert_eq!(failure.kind, buildbtw_model::FailureKind::Infrastructure);
    }

    #[test]
    fn hides_passwords() {
        assert_eq!(
            shown("https://user:pw@host/x@y.git"),
            "https://host/x@y.git"
        );
        assert_eq!(shown("https://host/x@y.git"), "https://host/x@y.git");
        assert_eq!(shown("/srv/git/x"), "/srv/git/x");
    }
}
