//! Checks whether the host can run the sandbox, so that an operator learns it before the first build
//! fails.

use std::fmt;
use std::path::Path;

use buildbtw_model::Explanation;

use crate::programs::find_program;
use crate::sandbox::config::SandboxConfig;
use crate::sandbox::disk;
use crate::seccomp;

/// The programs that a build needs, and what for.
const PROGRAMS: &[(&str, &str)] = &[
    ("bwrap", "bubblewrap, the sandbox"),
    ("pacman", "installs dependencies"),
    ("makepkg", "builds packages"),
    ("fakeroot", "used by makepkg"),
    ("bsdtar", "libarchive-tools, used by makepkg"),
    ("git", "checks out source repositories"),
    ("curl", "fetches sources"),
    ("pasta", "passt, provides the network for fetching sources"),
    ("ip", "iproute2, configures that network"),
    ("setpriv", "util-linux, starts makepkg without privileges"),
];

/// The requirements of the sandbox that the host does not meet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct MissingRequirements {
    /// One line per requirement.
    pub missing: Vec<String>,
}

impl fmt::Display for MissingRequirements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.explanation().fmt(f)
    }
}

impl MissingRequirements {
    /// Returns what is missing and how to install it.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        Explanation::with_hint(
            format!(
                "this machine cannot build in a sandbox, because it lacks:{}",
                list(&self.missing)
            ),
            "run `./bootstrap`",
        )
    }
}

fn list(missing: &[String]) -> String {
    missing.iter().map(|line| format!("\n  - {line}")).collect()
}

/// Checks privileges, programs and the kernel.
///
/// # Errors
///
/// Lists everything that is missing, not only the first requirement.
pub fn check_host(config: &SandboxConfig) -> Result<(), MissingRequirements> {
    let mut missing = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        missing.push(
            "root privileges, to mount the build's root and to map its users (packages are built \
             as an unprivileged user)"
                .to_owned(),
        );
    }
    for (program, purpose) in PROGRAMS {
        if find_program(program).is_none() {
            missing.push(format!("the program `{program}` ({purpose})"));
        }
    }
    if !Path::new("/dev/net/tun").exists() {
        missing.push("the device /dev/net/tun (`modprobe tun`)".to_owned());
    }
    let filesystems = fs_err::read_to_string("/proc/filesystems").unwrap_or_default();
    if !filesystems.lines().any(|line| line.ends_with("\toverlay")) {
        missing.push("the kernel's overlay file system (`modprobe overlay`)".to_owned());
    }
    for namespace in ["user", "mnt", "pid", "net"] {
        if !Path::new("/proc/self/ns").join(namespace).exists() {
            missing.push(format!("the kernel's {namespace} namespaces"));
        }
    }
    let users = fs_err::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    if users.trim() == "0" {
        missing.push("user namespaces (`sysctl user.max_user_namespaces=10000`)".to_owned());
    }
    missing.extend(seccomp::missing());
    missing.extend(disk::missing(config));
    missing.extend(missing_base(config));
    if missing.is_empty() {
        Ok(())
    } else {
        Err(MissingRequirements { missing })
    }
}

fn missing_base(config: &SandboxConfig) -> Option<String> {
    match &config.base_root {
        Some(base) if base.join("usr/bin/pacman").exists() => None,
        Some(base) => Some(format!(
            "a base system in {} (create it with `pacstrap {} base-devel`)",
            base.display(),
            base.display()
        )),
        None if find_program("dpkg-query").is_some() => None,
        None => Some(
            "a base system: only Debian machines can use their own (create one with \
             `pacstrap FOLDER base-devel` and set it with --base-root)"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_all_missing_host_requirements() {
        let error = MissingRequirements {
            missing: vec!["one".into(), "two".into()],
        };
        insta::assert_snapshot!(error, @r"
        this machine cannot build in a sandbox, because it lacks:
          - one
          - two
        hint: run `./bootstrap`
        ");
    }

    #[test]
    fn rejects_base_without_pacman() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = SandboxConfig::new(folder.path());
        config.base_root = Some(folder.path().join("base"));
        let error = check_host(&config).unwrap_err().to_string();
        assert!(error.contains("pacstrap"), "{error}");
    }
}
