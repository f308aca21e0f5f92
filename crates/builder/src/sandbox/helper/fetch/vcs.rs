//! Repositories of other version control systems, fetched by makepkg itself: from a PKGBUILD that lists
//! nothing but the source.

use super::command::{FOLDER, Fetch};
use super::refusal::Refusal;
use crate::failure::Failure;
use crate::sandbox::helper::run::exit_code;

/// Writes that PKGBUILD and has its source fetched. makepkg wants the tool's package to be listed.
const SCRIPT: &str = r#"
cd /tmp || exit
printf 'pkgname=source\npkgver=1\npkgrel=1\narch=(any)\nsource=(%q)\nsha256sums=(SKIP)\n' "$1" >PKGBUILD
echo 'makedepends=(bzr breezy brz fossil mercurial subversion)' >>PKGBUILD
exec makepkg --verifysource --skipinteg --nodeps --nocolor --noconfirm
"#;
/// What makepkg reads.
const SETTINGS: &[&str] = &["/etc/makepkg.conf", "/etc/makepkg.conf.d"];

impl Fetch<'_> {
    pub(super) fn fetch_vcs(&self, url: &str, entry: &str) -> Result<(), Failure> {
        let mut command = self
            .tool()
            .env("HOME", "/tmp")
            .env("LC_ALL", "C")
            .env("SRCDEST", FOLDER)
            .env("BUILDDIR", "/tmp");
        for settings in SETTINGS {
            if fs_err::metadata(settings).is_ok() {
                command = command.bind(settings.into(), settings, false);
            }
        }
        let mut refusal = Refusal::default();
        let status = command.watch(&["bash", "-c", SCRIPT, "bash", entry], |line| {
            refusal.line(line);
        })?;
        if status.success() {
            return Ok(());
        }
        // These tools do not say which host they could not connect to.
        if let Some(failure) = self.refused(url, "")? {
            return Err(failure);
        }
        Err(refusal.of_tool("makepkg", exit_code(status), url))
    }
}
