//! Fetches the objects of git-lfs. A mirror contains only pointers to them, and the build cannot fetch them
//! itself.

use super::command::Fetch;
use super::failures::{self, LfsProblem};
use crate::failure::Failure;
use crate::programs::find_program;
use crate::sandbox::helper::headings::heading;
use crate::sandbox::helper::run::exit_code;
use crate::source::checkout::shown;
use crate::source::entry::Revision;

/// The settings of a repository that contain the address of the objects, in order of precedence.
const ADDRESSES: [&str; 2] = ["lfs.url", "remote.origin.lfsurl"];
/// Prints the objects of a revision that are missing or differ from their pointer. Fails if they cannot be
/// listed.
const CHECK: &str = r#"
set -euo pipefail
objects=$(git --git-dir "$1" lfs ls-files --long "$2")
while read -r oid _; do
  [[ -n $oid ]] || continue
  file=$1/lfs/objects/${oid:0:2}/${oid:2:2}/$oid
  found=$(sha256sum <"$file") || found=
  [[ ${found%% *} == "$oid" ]] || echo "$oid"
done <<<"$objects"
"#;

impl Fetch<'_> {
    /// Fetches the objects of the requested commit into the mirror, where git-lfs finds them from a clone
    /// that borrows from it.
    pub(super) fn fetch_lfs(
        &self,
        url: &str,
        name: &str,
        revision: Option<&Revision>,
    ) -> Result<(), Failure> {
        let revision = revision.map_or_else(|| "HEAD".to_owned(), Revision::reference);
        if !self.uses_lfs(name, &revision)? {
            return Ok(());
        }
        if !self.has_lfs {
            heading(&format!(
                "the LFS objects of {} are not fetched: git-lfs is not in makedepends",
                shown(url)
            ));
            return Ok(());
        }
        if find_program("git-lfs").is_none() {
            return Err(failures::no_lfs(url));
        }
        let address = self.address(url, name, &revision)?;
        self.fetch_objects(url, name, &revision, &address)?;
        self.check_objects(url, name, &revision)
    }

    fn fetch_objects(
        &self,
        url: &str,
        name: &str,
        revision: &str,
        address: &str,
    ) -> Result<(), Failure> {
        // In a bare repository, git-lfs reads the settings of another commit.
        let address = format!("lfs.url={address}");
        heading(&format!("fetching the LFS objects of {}", shown(url)));
        let arguments = [
            "git",
            "-c",
            "lfs.transfer.maxretries=3",
            "-c",
            "lfs.basictransfersonly=true",
            "-c",
            "lfs.dialtimeout=30",
            "-c",
            "lfs.activitytimeout=60",
            "-c",
            &address,
            "--git-dir",
            name,
            "lfs",
            "fetch",
            "--include=",
            "--exclude=",
            "origin",
            revision,
        ];
        let mut mismatch = None;
        let status = self.git().watch(&arguments, |line| {
            if mismatch.is_none() && is_about_content(line) {
                mismatch = Some(line.trim().to_owned());
            }
        })?;
        if status.success() {
            return Ok(());
        }
        let failed = || LfsProblem::Failed(exit_code(status));
        let problem = mismatch.map_or_else(failed, LfsProblem::OtherData);
        Err(failures::of_lfs(url, &problem))
    }

    /// Returns whether a .gitattributes file of the commit assigns files to git-lfs.
    fn uses_lfs(&self, name: &str, revision: &str) -> Result<bool, Failure> {
        let arguments = [
            "git",
            "--git-dir",
            name,
            "grep",
            "--quiet",
            "-e",
            "filter=lfs",
            revision,
            "--",
            ":(glob)**/.gitattributes",
        ];
        Ok(self.git().output(&arguments)?.status.success())
    }

    /// Returns the address of a commit's objects: that of its own settings, or the default of the repository.
    /// Rejects addresses other than HTTP.
    fn address(&self, url: &str, name: &str, revision: &str) -> Result<String, Failure> {
        let blob = format!("{revision}:.lfsconfig");
        for setting in ADDRESSES {
            let arguments = [
                "git",
                "--git-dir",
                name,
                "config",
                "--blob",
                &blob,
                "--get",
                setting,
            ];
            let output = self.git().output(&arguments)?;
            let text = String::from_utf8_lossy(&output.stdout);
            let address = text.trim();
            if address.starts_with("http://") || address.starts_with("https://") {
                return Ok(address.to_owned());
            }
            if !address.is_empty() {
                return Err(failures::lfs_address(url, address));
            }
        }
        Ok(default_endpoint(url))
    }

    /// Checks that every object exists and matches its pointer.
    fn check_objects(&self, url: &str, name: &str, revision: &str) -> Result<(), Failure> {
        let output = self
            .git()
            .output(&["bash", "-c", CHECK, "bash", name, revision])?;
        let text = String::from_utf8_lossy(&output.stdout);
        match (output.status.success(), text.lines().next()) {
            (true, None) => Ok(()),
            (_, Some(oid)) => Err(failures::of_lfs(url, &LfsProblem::Damaged(oid.to_owned()))),
            (false, None) => Err(failures::lfs_not_checked(url)),
        }
    }
}

/// Returns whether git-lfs reports that an object does not match its pointer.
fn is_about_content(line: &str) -> bool {
    let line = line.to_lowercase();
    [
        "expected oid",
        "expected hash",
        "invalid size",
        "unexpected size",
    ]
    .iter()
    .any(|phrase| line.contains(phrase))
}

/// Returns the default address of a repository's objects.
fn default_endpoint(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let url = match url.strip_prefix("git://") {
        Some(rest) => format!("https://{rest}"),
        None => url.to_owned(),
    };
    match url.ends_with(".git") {
        true => format!("{url}/info/lfs"),
        false => format!("{url}.git/info/lfs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    #[test]
    fn derives_lfs_endpoint_from_repository_url() {
        for (url, address) in [
            ("https://h/x.git", "https://h/x.git/info/lfs"),
            ("https://h/x", "https://h/x.git/info/lfs"),
            ("https://h/x/", "https://h/x.git/info/lfs"),
            ("git://h/x", "https://h/x.git/info/lfs"),
        ] {
            assert_eq!(default_endpoint(url), address);
        }
    }

    /// Runs the check with this script as `git`; returns whether it passed.
    fn passes(git: &str) -> (bool, String) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("git");
        fs_err::write(&program, format!("#!/bin/sh\n{git}\n")).unwrap();
        fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let output = Command::new("bash")
            .args(["-c", CHECK, "bash", "x", "HEAD"])
            .env("PATH", path)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), text.trim().to_owned())
    }

    #[test]
    fn fails_when_lfs_objects_cannot_be_listed() {
        assert!(!passes("exit 128").0);
        assert_eq!(passes("exit 0"), (true, String::new()));
        let missing = "0123456789abcdef";
        let listed = format!("echo '{missing} * picture.png'");
        assert_eq!(passes(&listed), (true, missing.to_owned()));
    }
}
