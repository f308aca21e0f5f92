//! Fetches repositories of other version control systems with makepkg itself, from a PKGBUILD that only lists
//! the source.

use super::command::{FOLDER, Fetch};
use super::refusal::Refusal;
use crate::failure::Failure;
use crate::fetchers::VcsTool;
use crate::sandbox::helper::accounts::BUILD_USER_NAME;
use crate::sandbox::helper::run::exit_code;

/// Writes that PKGBUILD and fetches its source. makepkg requires the package of the tool to be listed.
/// Without the setting, `fossil open` would contact the remote when the build unpacks the source offline.
const SCRIPT: &str = r#"
cd /tmp || exit
printf 'pkgname=source\npkgver=1\npkgrel=1\narch=(any)\nsource=(%q)\nsha256sums=(SKIP)\n' "$1" >PKGBUILD
echo 'makedepends=(bzr breezy brz fossil mercurial subversion)' >>PKGBUILD
makepkg --verifysource --skipinteg --nodeps --nocolor --noconfirm || exit
if [[ $2 ]]; then fossil settings autosync off --repository "$SRCDEST/$2"; fi
"#;
/// The files that makepkg reads.
const SETTINGS: &[&str] = &["/etc/makepkg.conf", "/etc/makepkg.conf.d"];
/// Account files of the build's root, without which Bazaar fails.
const ACCOUNTS: &[&str] = &["/etc/passwd", "/etc/group"];

impl Fetch<'_> {
    /// Fetches a repository. `name` is the file or folder in `SRCDEST`.
    pub(super) fn fetch_vcs(
        &self,
        tool: VcsTool,
        url: &str,
        entry: &str,
        name: &str,
    ) -> Result<(), Failure> {
        let mut command = self
            .tool()
            .env("HOME", "/tmp")
            .env("LC_ALL", "C")
            // Fossil fails without them.
            .env("LOGNAME", BUILD_USER_NAME)
            .env("USER", BUILD_USER_NAME)
            .env("SRCDEST", FOLDER)
            .env("BUILDDIR", "/tmp");
        for settings in SETTINGS {
            if fs_err::metadata(settings).is_ok() {
                command = command.bind(settings.into(), settings, false);
            }
        }
        for accounts in ACCOUNTS {
            let file = self.root.path.join(accounts.trim_start_matches('/'));
            if fs_err::symlink_metadata(&file).is_ok_and(|file| file.is_file()) {
                command = command.bind(file, accounts, false);
            }
        }
        let mut refusal = Refusal::default();
        let clone = if tool == VcsTool::Fossil { name } else { "" };
        let script = ["bash", "-c", SCRIPT, "bash", entry, clone];
        let status = command.watch(&script, |line| refusal.line(line))?;
        if status.success() {
            return Ok(());
        }
        // These tools do not report the unreachable host.
        if let Some(failure) = self.refused(url, "")? {
            return Err(failure);
        }
        Err(refusal.of_tool("makepkg", exit_code(status), url))
    }
}
