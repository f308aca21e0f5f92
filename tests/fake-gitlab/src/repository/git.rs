//! Changes bare repositories with the real git.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use gix::ObjectId;
use jiff::Timestamp;

use super::objects::{AUTHOR_EMAIL, AUTHOR_NAME};
use crate::broken;

/// The environment of git: independent of the machine's configuration, accepts repositories of other users, and allows
/// fetching exact commits.
pub(crate) const ENVIRONMENT: [(&str, &str); 12] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_COUNT", "4"),
    ("GIT_CONFIG_KEY_0", "safe.directory"),
    ("GIT_CONFIG_VALUE_0", "*"),
    ("GIT_CONFIG_KEY_1", "uploadpack.allowAnySHA1InWant"),
    ("GIT_CONFIG_VALUE_1", "true"),
    ("GIT_CONFIG_KEY_2", "http.receivepack"),
    ("GIT_CONFIG_VALUE_2", "true"),
    ("GIT_CONFIG_KEY_3", "receive.hideRefs"),
    ("GIT_CONFIG_VALUE_3", "refs/merge-requests"),
    ("GIT_TERMINAL_PROMPT", "0"),
];

/// Runs git in a bare repository and returns its output.
pub(crate) fn run(path: &Path, arguments: &[&str], input: &[u8]) -> Result<String> {
    let mut child = Command::new("git")
        .arg("--git-dir")
        .arg(path)
        .args(arguments)
        .envs(ENVIRONMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run git")?;
    if let Some(mut stdin) = child.stdin.take() {
        // If git exits early, its standard error contains the reason.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "git {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Commits files to a branch: `None` removes a file.
pub(crate) fn commit(
    path: &Path,
    branch: &str,
    parent: Option<ObjectId>,
    files: &[(&str, Option<&[u8]>)],
    message: &str,
    at: Timestamp,
) -> Result<()> {
    let mut input = Vec::new();
    let seconds = at.as_second();
    writeln!(input, "commit refs/heads/{branch}")?;
    writeln!(
        input,
        "committer {AUTHOR_NAME} <{AUTHOR_EMAIL}> {seconds} +0000"
    )?;
    writeln!(input, "data {}\n{message}", message.len())?;
    if let Some(parent) = parent {
        writeln!(input, "from {parent}")?;
    }
    for (name, content) in files {
        match content {
            Some(content) => {
                writeln!(input, "M 100644 inline {name}\ndata {}", content.len())?;
                input.extend_from_slice(content);
                input.push(b'\n');
            }
            None => writeln!(input, "D {name}")?,
        }
    }
    writeln!(input, "done")?;
    run(
        path,
        &["fast-import", "--quiet", "--force", "--done"],
        &input,
    )?;
    Ok(())
}

/// Sets a ref; `None` deletes it.
pub(crate) fn update_ref(path: &Path, name: &str, target: Option<ObjectId>) -> Result<()> {
    match target {
        Some(id) => run(path, &["update-ref", name, &id.to_string()], b"")?,
        None => run(path, &["update-ref", "-d", name], b"")?,
    };
    Ok(())
}

/// Fetches a commit from another local repository, and sets a ref to it.
pub(crate) fn fetch(path: &Path, from: &Path, commit: ObjectId, name: &str) -> Result<()> {
    let refspec = format!("+{commit}:{name}");
    let from = from.to_string_lossy();
    run(
        path,
        &["fetch", "--quiet", "--no-tags", &from, &refspec],
        b"",
    )?;
    Ok(())
}

/// Merges two commits and sets a ref to the result.
pub(crate) fn merge(
    path: &Path,
    branch: &str,
    ours: ObjectId,
    theirs: ObjectId,
    message: &str,
    at: Timestamp,
) -> Result<ObjectId> {
    let (ours_text, theirs_text) = (ours.to_string(), theirs.to_string());
    let tree = run(
        path,
        &["merge-tree", "--write-tree", &ours_text, &theirs_text],
        b"",
    )
    .context("the merge has conflicts")?;
    let tree = ObjectId::from_hex(tree.as_bytes()).map_err(broken)?;
    let commit = super::objects::Object::commit(tree, &[ours, theirs], at, message)?;
    commit.write(path)?;
    update_ref(path, &format!("refs/heads/{branch}"), Some(commit.id))?;
    Ok(commit.id)
}
