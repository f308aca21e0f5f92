//! The failures of fetching sources that do not come from a server's response; those are in `refusal.rs`.

use std::fmt::Display;
use std::net::IpAddr;

use buildbtw_model::NetworkPolicy;

use crate::failure::Failure;
use crate::fetchers::VcsTool;
use crate::request::BuildRequest;
use crate::source::checkout::shown;
use crate::source::entry::Revision;

/// Returns the failure for a source to fetch under a network policy that allows none.
pub(super) fn not_allowed(request: &BuildRequest, url: &str) -> Failure {
    Failure::package(format!(
        "the source {} must not be fetched under network policy `{}`",
        shown(url),
        request.network
    ))
    .hint(format!(
        "{}, or put the source into the repository",
        request.policy_hint(NetworkPolicy::Sources)
    ))
}

/// Returns the failure for a protocol that neither this program nor DLAGENTS supports.
pub(super) fn unsupported_protocol(url: &str, protocol: &str) -> Failure {
    Failure::package(format!(
        "the source {} uses the protocol `{protocol}`, which this machine does not support",
        shown(url)
    ))
    .hint("ask the worker's operator to add a program for it to DLAGENTS in makepkg.conf")
}

/// Returns the failure for a missing program of DLAGENTS.
pub(super) fn no_agent(url: &str, protocol: &str, program: &str) -> Failure {
    Failure::infrastructure(format!(
        "the source {} cannot be fetched: `{program}`, which DLAGENTS names for `{protocol}`, is not \
         installed on this machine",
        shown(url)
    ))
    .hint(format!("install `{program}`, or remove it from DLAGENTS in makepkg.conf"))
}

/// Returns the failure for a missing version control system.
pub(super) fn no_tool(url: &str, tool: VcsTool) -> Failure {
    Failure::infrastructure(format!(
        "the source {} cannot be fetched: `{}` is not installed on this machine",
        shown(url),
        tool.program()
    ))
    .hint(format!("install the package {}", tool.package()))
}

/// Returns the failure for a program of DLAGENTS that failed. It does not say whose fault that is.
pub(super) fn of_agent(url: &str, program: &str, code: i32) -> Failure {
    Failure::infrastructure(format!(
        "the source {} could not be fetched ({program}: exit {code})",
        shown(url)
    ))
    .see_log()
}

/// Returns the failure for a program that succeeded without writing the file.
pub(super) fn not_written(url: &str, file: &str) -> Failure {
    Failure::infrastructure(format!(
        "the source {} was fetched, but `{file}` does not exist",
        shown(url)
    ))
    .see_log()
}

/// Returns the failure for a host in a network that sources must not be fetched from. `redirect` is the URL to
/// which the source was redirected.
pub(super) fn refused_network(
    url: &str,
    address: IpAddr,
    network: impl Display,
    redirect: Option<&str>,
) -> Failure {
    let redirected = redirect.map_or_else(String::new, |last| {
        format!(", redirected to {}", shown(last))
    });
    Failure::package(format!(
        "the source {} could not be fetched: {address} belongs to {network}, from which sources must not \
         be fetched{redirected}",
        shown(url)
    ))
    .hint(format!(
        "allow it with `--allow-source-network {address}` of the worker or of `buildbtw build`"
    ))
}

/// Returns the failure for a repository without the branch, tag or commit.
pub(super) fn no_revision(url: &str, revision: &Revision) -> Failure {
    Failure::package(format!("the source {} has no {revision}", shown(url)))
}

/// Returns the failure for a machine without git-lfs.
pub(super) fn no_lfs(url: &str) -> Failure {
    Failure::infrastructure(format!(
        "the source {} keeps files in git-lfs, which is not installed on this machine",
        shown(url)
    ))
    .hint("install the package git-lfs")
}

/// Returns the failure for LFS objects that are not served over HTTP.
pub(super) fn lfs_address(url: &str, address: &str) -> Failure {
    Failure::package(format!(
        "the source {} keeps its LFS objects at `{}`, which is not an HTTP address",
        shown(url),
        shown(address)
    ))
}

/// Why LFS objects could not be fetched.
pub(super) enum LfsProblem {
    /// The server sent something else; git-lfs's message.
    OtherData(String),
    /// git-lfs failed; its exit code.
    Failed(i32),
    /// An object is missing or damaged afterwards.
    Damaged(String),
}

/// Returns the failure for LFS objects that could not be fetched.
pub(super) fn of_lfs(url: &str, problem: &LfsProblem) -> Failure {
    let what = format!(
        "the LFS objects of the source {} could not be fetched",
        shown(url)
    );
    match problem {
        LfsProblem::OtherData(line) => {
            Failure::package(format!("{what}: the server sent other data: {line}"))
        }
        LfsProblem::Failed(code) => {
            Failure::infrastructure(format!("{what} (git-lfs: exit {code})")).see_log()
        }
        LfsProblem::Damaged(oid) => {
            Failure::package(format!("{what}: object {oid} is missing or damaged"))
        }
    }
}

/// Returns the failure for LFS objects that could not be listed.
pub(super) fn lfs_not_checked(url: &str) -> Failure {
    Failure::infrastructure(format!(
        "the LFS objects of the source {} could not be checked",
        shown(url)
    ))
    .see_log()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Source;

    #[test]
    fn failures_match_snapshot() {
        let url = "https://user:secret@example.org/x.git";
        let request = |source| {
            let (pkgbase, architecture) = ("x".parse().unwrap(), "x86_64".parse().unwrap());
            let mut request = BuildRequest::new(pkgbase, architecture, source);
            request.network = NetworkPolicy::None;
            request
        };
        let of_folder = request(Source::Directory("/src".into()));
        let of_commit = request(Source::Git {
            url: "https://example.org/x".to_owned(),
            commit: "0".repeat(40).parse().unwrap(),
        });
        let address = "10.0.0.1".parse().unwrap();
        let moved = Some("http://10.0.0.1/x");
        let private = "the private network 10.0.0.0/8";
        let tag = Revision::Tag("1.0".to_owned());
        let text = crate::failure::recorded([
            ("policy of a folder", not_allowed(&of_folder, url)),
            ("policy of a namespace", not_allowed(&of_commit, url)),
            (
                "unknown protocol",
                unsupported_protocol("scp://host/x", "scp"),
            ),
            (
                "no program",
                no_agent("rsync://host/x", "rsync", "/usr/bin/rsync"),
            ),
            (
                "no version control system",
                no_tool("hg+https://example.org/x", VcsTool::Hg),
            ),
            (
                "failed program",
                of_agent("rsync://host/x", "/usr/bin/rsync", 23),
            ),
            ("no file", not_written(url, "x.part")),
            (
                "private address",
                refused_network(url, address, private, None),
            ),
            (
                "redirect to a private address",
                refused_network(url, address, private, moved),
            ),
            ("no tag", no_revision(url, &tag)),
            ("no git-lfs", no_lfs(url)),
            (
                "LFS objects over SSH",
                lfs_address(url, "ssh://git@example.org/x"),
            ),
            (
                "other LFS objects",
                of_lfs(url, &LfsProblem::OtherData("expected oid 01".to_owned())),
            ),
            ("failed git-lfs", of_lfs(url, &LfsProblem::Failed(2))),
            (
                "missing LFS object",
                of_lfs(url, &LfsProblem::Damaged("01".to_owned())),
            ),
            ("unchecked LFS objects", lfs_not_checked(url)),
        ]);
        insta::assert_snapshot!(text);
    }
}
