//! The credentials of git for the servers of sources: files of the host's operator, which appear on no
//! command line and in no sandbox.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use buildbtw_model::Explanation;
use serde::{Deserialize, Serialize};

use crate::failure::{Context as _, Failure};

/// The credentials with which git may fetch sources; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitAccess {
    /// Names and passwords by host, one line `https://name:password@host` each, in the format of
    /// git-credential-store(1).
    pub credentials: Option<PathBuf>,
    /// The private key for SSH addresses.
    pub ssh_key: Option<PathBuf>,
    /// The keys of SSH hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"); git connects to no others.
    pub ssh_known_hosts: Option<PathBuf>,
    /// A PEM file with the certificate authorities of HTTPS servers, which replaces the host's.
    pub ca: Option<PathBuf>,
}

impl GitAccess {
    /// Checks that the files exist and that other users cannot read the secrets.
    ///
    /// # Errors
    ///
    /// Names the file and what is wrong with it.
    pub fn check(&self) -> Result<(), Explanation> {
        for (what, path, is_secret) in [
            ("credentials", &self.credentials, true),
            ("SSH key", &self.ssh_key, true),
            ("known SSH hosts", &self.ssh_known_hosts, false),
            ("certificate authorities", &self.ca, false),
        ] {
            let Some(path) = path else { continue };
            // The path is part of the message once.
            let metadata = path
                .metadata()
                .map_err(|error| unreadable(what, path, &error))?;
            if is_secret && metadata.permissions().mode() & 0o077 != 0 {
                return Err(exposed(path));
            }
        }
        if self.ssh_key.is_some() && self.ssh_known_hosts.is_none() {
            return Err(no_known_hosts());
        }
        Ok(())
    }
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Explanation {
    let hint = "correct the path in the settings, or let this program's user read the file";
    Explanation::with_hint(
        format!("cannot read git's {what} in `{}`: {error}", path.display()),
        hint,
    )
}

fn exposed(path: &Path) -> Explanation {
    Explanation::with_hint(
        format!("`{}` is readable by other users", path.display()),
        format!("run `chmod 600 {}`", path.display()),
    )
}

fn no_known_hosts() -> Explanation {
    Explanation::with_hint(
        "an SSH key also needs a file of known hosts, by which ssh verifies the server",
        "write the output of `ssh-keyscan HOST` to a file, after comparing its fingerprints with \
         those that the host's operator publishes",
    )
}

/// The folder for secrets, below a scratch folder.
pub(crate) const SECRETS: &str = "secrets";

/// The credentials of a git command, during the lifetime of this value. Secrets are copied, because git
/// removes rejected ones from its file.
pub(super) struct GitCredentials {
    config: String,
    ssh_command: Option<String>,
    copy: Option<PathBuf>,
}

impl GitCredentials {
    pub(super) fn new(access: &GitAccess, scratch: &Path) -> Result<Self, Failure> {
        let mut config = String::new();
        let mut copy = None;
        if let Some(path) = &access.credentials {
            let folder = scratch.join(SECRETS);
            fs_err::create_dir_all(&folder)?;
            let own = folder.join("git-credentials");
            let secrets = fs_err::read(path).context("reading the credentials of git")?;
            write_secret(&own, &secrets).context("copying the credentials of git")?;
            let helper = format!("store --file={}", shell_quoted(&own));
            config.push_str("[credential]\n\thelper = ");
            config.push_str(&config_quoted(&helper));
            config.push('\n');
            copy = Some(own);
        }
        if let Some(path) = &access.ca {
            config.push_str("[http]\n\tsslCAInfo = ");
            config.push_str(&config_quoted(&path.to_string_lossy()));
            config.push('\n');
        }
        let hosts = access.ssh_known_hosts.as_deref();
        let ssh_command = hosts.map(|hosts| ssh_command(hosts, access.ssh_key.as_deref()));
        Ok(Self {
            config,
            ssh_command,
            copy,
        })
    }

    /// Returns the lines for git's configuration file.
    pub(super) fn config(&self) -> &str {
        &self.config
    }

    /// Lets a command use the credentials.
    pub(super) fn apply(&self, command: &mut Command) {
        if let Some(ssh) = &self.ssh_command {
            command.env("GIT_SSH_COMMAND", ssh);
        }
    }
}

impl Drop for GitCredentials {
    fn drop(&mut self) {
        // The scratch folder is removed as well, but only after package code has run.
        if let Some(copy) = &self.copy {
            let _ = fs_err::remove_file(copy);
        }
    }
}

/// Returns an ssh(1) command that connects to known hosts only and never prompts.
fn ssh_command(hosts: &Path, key: Option<&Path>) -> String {
    // In ssh_config(5), a percent sign starts a token, and quotes keep spaces together.
    let hosts = hosts.to_string_lossy().replace('%', "%%");
    let hosts = format!("UserKnownHostsFile=\"{hosts}\"");
    let key = key.map_or_else(String::new, |key| {
        format!(" -o IdentitiesOnly=yes -i {}", shell_quoted(key))
    });
    format!(
        "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o \
         GlobalKnownHostsFile=/dev/null -o ConnectTimeout=30 -o ServerAliveInterval=15 -o {}{key}",
        shell_quoted(Path::new(&hosts)),
    )
}

fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use fs_err::os::unix::fs::OpenOptionsExt as _;
    use std::io::Write as _;
    let mut options = fs_err::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)
}

/// Quotes a path as one word for sh.
fn shell_quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

/// Quotes a value for git's configuration (git-config(1), "Syntax").
fn config_quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_match_snapshot() {
        let path = Path::new("/etc/buildbtw/credentials");
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let refused = [
            unreadable("credentials", path, &missing),
            exposed(path),
            no_known_hosts(),
        ];
        insta::assert_snapshot!(refused.map(|text| text.to_string()).join("\n\n"));
    }

    #[test]
    fn writes_credentials_with_private_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = folder.path().join("credentials");
        fs_err::write(&credentials, "https://a:b@c\n").unwrap();
        let access = GitAccess {
            credentials: Some(credentials.clone()),
            ..GitAccess::default()
        };
        let mode =
            |mode| fs_err::set_permissions(&credentials, std::fs::Permissions::from_mode(mode));
        mode(0o640).unwrap();
        assert!(access.check().unwrap_err().hint.unwrap().contains("chmod"));
        mode(0o600).unwrap();
        access.check().unwrap();
        let key_only = GitAccess {
            ssh_key: Some(credentials.clone()),
            ..GitAccess::default()
        };
        assert!(key_only.check().is_err());
    }

    #[test]
    fn removes_copied_credentials_after_fetch() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = folder.path().join("it's \"odd\"");
        fs_err::write(&credentials, "https://a:b@c\n").unwrap();
        let access = GitAccess {
            credentials: Some(credentials.clone()),
            ssh_key: Some(credentials.clone()),
            ssh_known_hosts: Some(credentials),
            ..GitAccess::default()
        };
        let granted = GitCredentials::new(&access, folder.path()).unwrap();
        let copy = folder.path().join(SECRETS).join("git-credentials");
        assert!(copy.exists() && !granted.config().contains("a:b"));
        let ssh = granted.ssh_command.clone().unwrap();
        assert!(ssh.contains(r#"it'\''s "odd""#), "{ssh}");
        drop(granted);
        assert!(!copy.exists());
    }
}
