//! Objects of git-lfs. A mirror holds pointers to them only, and the build could not fetch them.

use super::{Fetch, shown};
use crate::host::find_program;
use crate::sandbox::helper::bwrap::exit_code;
use crate::sandbox::helper::heading;
use crate::sandbox::job::Failure;
use crate::source::entry::Revision;

/// What a repository may set that says where objects are.
const ADDRESSES: &str = r"^(lfs(\..*)?|remote\..*)\.(url|pushurl|lfsurl|lfspushurl)$";

impl Fetch<'_> {
    /// Fetches the objects of the commit that the source asks for into the mirror, where git-lfs finds them
    /// from a clone that borrows from it.
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
        if find_program("git-lfs").is_none() {
            return Err(Failure::infrastructure(format!(
                "the source {} keeps files in git-lfs, which is not installed on this machine\n\
                 hint: install the package git-lfs",
                shown(url)
            )));
        }
        self.check_addresses(url, name, &revision)?;
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
            "--git-dir",
            name,
            "lfs",
            "fetch",
            "origin",
            &revision,
        ];
        let mut lie = None;
        let status = self.git().watch(&arguments, |line| {
            let is_wrong = [
                "expected OID",
                "expected hash",
                "invalid size",
                "unexpected size",
            ]
            .iter()
            .any(|words| line.to_lowercase().contains(&words.to_lowercase()));
            if is_wrong && lie.is_none() {
                lie = Some(line.trim().to_owned());
            }
        })?;
        if status.success() {
            return self.check_objects(url, name, &revision);
        }
        let what = format!(
            "the LFS objects of the source {} could not be fetched",
            shown(url)
        );
        Err(match lie {
            Some(lie) => Failure::package(format!("{what}: the server sent other content: {lie}")),
            None => {
                let code = exit_code(status);
                Failure::infrastructure(format!("{what} (git-lfs: exit {code})")).see_log()
            }
        })
    }

    /// Whether some .gitattributes of the commit gives files to git-lfs.
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

    /// Refuses a repository that says its objects are somewhere else than on a web server.
    fn check_addresses(&self, url: &str, name: &str, revision: &str) -> Result<(), Failure> {
        let blob = format!("{revision}:.lfsconfig");
        let arguments = [
            "git",
            "--git-dir",
            name,
            "config",
            "--blob",
            &blob,
            "--get-regexp",
            ADDRESSES,
        ];
        let output = self.git().output(&arguments)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let is_web = |address: &str| {
            ["http://", "https://"]
                .iter()
                .any(|scheme| address.starts_with(scheme))
        };
        let addresses = text.lines().filter_map(|line| line.split_once(' '));
        match addresses
            .map(|(_, address)| address)
            .find(|address| !is_web(address))
        {
            None => Ok(()),
            Some(address) => Err(Failure::package(format!(
                "the source {} keeps its LFS objects at `{}`, which is not an address of HTTP",
                shown(url),
                shown(address)
            ))),
        }
    }

    /// Whether every object is there and is what its pointer says.
    fn check_objects(&self, url: &str, name: &str, revision: &str) -> Result<(), Failure> {
        let script = r#"
            git --git-dir "$1" lfs ls-files --long "$2" | cut -d' ' -f1 | sort -u |
            while read -r oid; do
              file=$1/lfs/objects/${oid:0:2}/${oid:2:2}/$oid
              found=$(sha256sum <"$file") || found=
              [[ ${found%% *} == "$oid" ]] || echo "$oid"
            done"#;
        let output = self
            .git()
            .output(&["bash", "-c", script, "bash", name, revision])?;
        let text = String::from_utf8_lossy(&output.stdout);
        match (output.status.success(), text.lines().next()) {
            (true, None) => Ok(()),
            (_, Some(oid)) => Err(Failure::package(format!(
                "the LFS objects of the source {} could not be fetched: object {oid} is missing or has \
                 other content",
                shown(url)
            ))),
            (false, None) => Err(Failure::infrastructure(format!(
                "the LFS objects of the source {} could not be checked",
                shown(url)
            ))
            .see_log()),
        }
    }
}
