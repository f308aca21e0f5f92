//! Fetches the sources before the build, which is offline: by tools of this machine, as the
//! unprivileged user, in a view without any package's code.

use std::path::Path;

use super::bwrap::{BUILD_USER, Sandboxed, View, exit_code};
use super::heading;
use super::refusal::{self, Refusal};
use super::root::Root;
use crate::sandbox::job::Failure;
use crate::source::checkout::shown;
use crate::source::entry::{Entry, Revision, parse};
use crate::sys::Identity;

/// Where the folder for sources is seen.
const FOLDER: &str = "/sources";

/// Fetches everything that is not in the tree into `folder`.
pub(super) fn fetch(
    root: &Root,
    sources: &[String],
    folder: &Path,
    largest: u64,
) -> Result<(), Failure> {
    let entries = sources
        .iter()
        .map(|source| parse(source))
        .collect::<Result<Vec<Entry>, Failure>>()?;
    for entry in &entries {
        match entry {
            Entry::Local => {}
            Entry::File { url, name } => {
                heading(&format!("fetching {}", shown(url)));
                download(root, folder, url, name, largest)?;
            }
            Entry::Git {
                url,
                name,
                revision,
            } => {
                heading(&format!("mirroring {}", shown(url)));
                mirror(root, folder, url, name)?;
                if let Some(revision) = revision {
                    check_revision(root, folder, url, name, revision)?;
                }
            }
        }
    }
    Ok(())
}

fn tool<'a>(root: &'a Root, folder: &Path) -> Sandboxed<'a> {
    Sandboxed::new(View::HostTools(root), Identity::User(BUILD_USER))
        .network(true)
        .bind(folder.to_owned(), FOLDER, true)
        .folder(FOLDER)
}

fn download(
    root: &Root,
    folder: &Path,
    url: &str,
    name: &str,
    largest: u64,
) -> Result<(), Failure> {
    let largest = largest.to_string();
    let arguments = [
        "curl",
        "--disable",
        "--globoff",
        "--fail",
        "--silent",
        "--show-error",
        "--location",
        "--proto",
        "=http,https,ftp",
        "--proto-redir",
        "=http,https,ftp",
        "--max-redirs",
        "10",
        // Some hosts redirect to themselves until a cookie comes back; makepkg keeps them as well.
        "--cookie",
        "",
        "--connect-timeout",
        "30",
        "--speed-limit",
        "1000",
        "--speed-time",
        "60",
        "--retry",
        "3",
        "--max-filesize",
        &largest,
        "--write-out",
        "%{http_code} %{url_effective}",
        "--output",
        name,
        "--",
        url,
    ];
    let output = tool(root, folder).output(&arguments)?;
    let code = exit_code(output.status);
    if code == 0 {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&output.stdout);
    let (status, last) = answer.split_once(' ').unwrap_or((&answer, ""));
    Err(refusal::of_curl(code, status, url, last))
}

fn mirror(root: &Root, folder: &Path, url: &str, name: &str) -> Result<(), Failure> {
    let command = tool(root, folder)
        .env("HOME", "/tmp")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "git:http:https");
    let arguments = [
        "git",
        "-c",
        "http.lowSpeedLimit=1000",
        "-c",
        "http.lowSpeedTime=60",
        "clone",
        "--quiet",
        "--mirror",
        "--",
        url,
        name,
    ];
    let mut refusal = Refusal::default();
    let status = command
        .env("LC_ALL", "C")
        .watch(&arguments, |line| refusal.line(line))?;
    if status.success() {
        Ok(())
    } else {
        Err(refusal.of_git(exit_code(status), url))
    }
}

/// Whether the mirror has what the source asks for. makepkg would find out, after all dependencies
/// were installed.
fn check_revision(
    root: &Root,
    folder: &Path,
    url: &str,
    name: &str,
    revision: &Revision,
) -> Result<(), Failure> {
    let object = format!("{}^{{commit}}", revision.reference());
    let arguments = [
        "git",
        "--git-dir",
        name,
        "rev-parse",
        "--quiet",
        "--verify",
        "--end-of-options",
        &object,
    ];
    let output = tool(root, folder)
        .env("HOME", "/tmp")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output(&arguments)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::package(format!(
        "the source {} has no {revision}",
        shown(url)
    )))
}
