//! Fetches git repositories: a bare mirror of each, which makepkg clones.

use super::command::Fetch;
use super::failures;
use super::refusal::Refusal;
use crate::failure::Failure;
use crate::sandbox::helper::bwrap::Sandboxed;
use crate::sandbox::helper::run::exit_code;
use crate::source::entry::Revision;

impl<'a> Fetch<'a> {
    /// Returns a git command with no other settings, and without protocols that run programs or read files of
    /// the host.
    pub(super) fn git(&self) -> Sandboxed<'a> {
        self.tool()
            .env("HOME", "/tmp")
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", "git:http:https")
    }

    pub(super) fn mirror(&self, url: &str, name: &str) -> Result<(), Failure> {
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
        let status = self.git().watch(&arguments, |line| refusal.line(line))?;
        if status.success() {
            return Ok(());
        }
        // git reports the unreachable host only for HTTP.
        let host = refusal.unreachable_host().unwrap_or_default();
        match self.refused(url, host)? {
            Some(failure) => Err(failure),
            None => Err(refusal.of_git(exit_code(status), url)),
        }
    }

    /// Checks that the mirror has the requested revision. makepkg would report a missing one only after the
    /// installation of all dependencies.
    pub(super) fn check_revision(
        &self,
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
        if self.git().output(&arguments)?.status.success() {
            return Ok(());
        }
        Err(failures::no_revision(url, revision))
    }
}
