//! Checks whether the host can run the sandbox, so that an operator learns it before the first build
//! fails.

use std::fmt;
use std::path::{Path, PathBuf};

use buildbtw_model::Explanation;

use crate::programs::find_program;
use crate::sandbox::config::SandboxConfig;
use crate::sandbox::disk;
use crate::seccomp;

/// A program that a build needs.
struct Program {
    name: &'static str,
    purpose: &'static str,
    /// The package that contains it in Arch and in Debian.
    packages: [&'static str; 2],
}

/// The programs that a build needs, what for, and their packages.
const PROGRAMS: &[Program] = &[
    program("bwrap", "bubblewrap, the sandbox", ["bubblewrap"; 2]),
    program(
        "pacman",
        "installs dependencies",
        ["pacman", "pacman-package-manager"],
    ),
    program("makepkg", "builds packages", ["pacman", "makepkg"]),
    program("fakeroot", "used by makepkg", ["fakeroot"; 2]),
    program(
        "bsdtar",
        "libarchive-tools, used by makepkg",
        ["libarchive", "libarchive-tools"],
    ),
    program("git", "checks out source repositories", ["git"; 2]),
    program("curl", "fetches sources", ["curl"; 2]),
    program(
        "pasta",
        "passt, provides the network for fetching sources",
        ["passt"; 2],
    ),
    program("ip", "iproute2, configures that network", ["iproute2"; 2]),
    program(
        "setpriv",
        "util-linux, starts makepkg without privileges",
        ["util-linux"; 2],
    ),
];

const fn program(
    name: &'static str,
    purpose: &'static str,
    packages: [&'static str; 2],
) -> Program {
    Program {
        name,
        purpose,
        packages,
    }
}

/// A requirement of the sandbox, and whether the host meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its name, for example `program bwrap`.
    pub name: String,
    /// The program, if it is one.
    pub program: Option<PathBuf>,
    /// What is missing, if the host does not meet it.
    pub missing: Option<Missing>,
}

/// What the host lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// A noun phrase.
    pub what: String,
    /// A command, or an instruction, that provides it.
    pub repair: String,
}

impl Requirement {
    fn new(name: impl Into<String>, missing: Option<Missing>) -> Self {
        Self {
            name: name.into(),
            program: None,
            missing,
        }
    }
}

impl Missing {
    fn new(what: impl Into<String>, repair: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            repair: repair.into(),
        }
    }
}

/// The requirements of the sandbox that the host does not meet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct MissingRequirements {
    /// A noun phrase per requirement.
    pub missing: Vec<String>,
}

impl fmt::Display for MissingRequirements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.explanation().fmt(f)
    }
}

impl MissingRequirements {
    /// Returns what is missing, in one line, and how to install it.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        Explanation::with_hint(
            format!(
                "this machine cannot build in a sandbox, because it lacks: {}",
                self.missing.join("; ")
            ),
            "provide what is missing; in a checkout, `./bootstrap` installs the programs",
        )
    }
}

/// Checks privileges, programs and the kernel.
///
/// # Errors
///
/// Lists everything that is missing, not only the first requirement.
pub fn check_host(config: &SandboxConfig) -> Result<(), MissingRequirements> {
    let requirements = inspect_host(config).into_iter();
    let missing: Vec<_> = requirements
        .filter_map(|requirement| Some(requirement.missing?.what))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(MissingRequirements { missing })
    }
}

/// Returns every requirement of the sandbox, met or not: privileges, programs, the kernel and the base.
#[must_use]
pub fn inspect_host(config: &SandboxConfig) -> Vec<Requirement> {
    let mut found = vec![Requirement::new("privileges", missing_privileges())];
    found.extend(PROGRAMS.iter().map(|program| {
        let path = find_program(program.name);
        let Program { name, purpose, .. } = program;
        Requirement {
            missing: path.is_none().then(|| {
                Missing::new(
                    format!("the program `{name}` ({purpose})"),
                    install(program),
                )
            }),
            name: format!("program {name}"),
            program: path,
        }
    }));
    found.push(Requirement::new("/dev/net/tun", missing_tun()));
    found.push(Requirement::new("overlay file system", missing_overlay()));
    for namespace in ["user", "mnt", "pid", "net"] {
        let exists = Path::new("/proc/self/ns").join(namespace).exists();
        let missing = (!exists).then(|| {
            let what = format!("the kernel's {namespace} namespaces");
            Missing::new(what, "run a kernel that is built with them")
        });
        found.push(Requirement::new(format!("{namespace} namespaces"), missing));
    }
    found.push(Requirement::new(
        "limit of user namespaces",
        missing_user_namespaces(),
    ));
    found.push(Requirement::new(
        "system call filter",
        seccomp::missing().map(|what| Missing::new(what, "use another machine")),
    ));
    found.push(Requirement::new(
        "scratch disk",
        disk::missing(config).map(|what| {
            Missing::new(
                what,
                "set the storage of scratch disks to `auto` or `memory`, or provide what is missing",
            )
        }),
    ));
    found.push(Requirement::new("base system", missing_base(config)));
    found
}

/// Returns the command that installs a program's package on this host.
fn install(program: &Program) -> String {
    let [arch, debian] = program.packages;
    match find_program("dpkg-query") {
        Some(_) => format!("apt-get install {debian}"),
        None => format!("pacman -S {arch}"),
    }
}

fn missing_privileges() -> Option<Missing> {
    (!nix::unistd::geteuid().is_root()).then(|| {
        Missing::new(
            "root privileges, to mount the build's root and to map its users (packages are built \
             as an unprivileged user)",
            "run it as root",
        )
    })
}

fn missing_tun() -> Option<Missing> {
    (!Path::new("/dev/net/tun").exists())
        .then(|| Missing::new("the device /dev/net/tun (`modprobe tun`)", "modprobe tun"))
}

fn missing_overlay() -> Option<Missing> {
    let filesystems = fs_err::read_to_string("/proc/filesystems").unwrap_or_default();
    let exists = filesystems.lines().any(|line| line.ends_with("\toverlay"));
    (!exists).then(|| {
        Missing::new(
            "the kernel's overlay file system (`modprobe overlay`)",
            "modprobe overlay",
        )
    })
}

fn missing_user_namespaces() -> Option<Missing> {
    const COMMAND: &str = "sysctl user.max_user_namespaces=10000";
    let most = fs_err::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    (most.trim() == "0").then(|| Missing::new(format!("user namespaces (`{COMMAND}`)"), COMMAND))
}

fn missing_base(config: &SandboxConfig) -> Option<Missing> {
    match &config.base_root {
        Some(base) if base.join("usr/bin/pacman").exists() => None,
        Some(base) => {
            let base = base.display();
            let command = format!("pacstrap {base} base-devel");
            let what = format!("a base system in {base} (create it with `{command}`)");
            Some(Missing::new(what, command))
        }
        None if find_program("dpkg-query").is_some() => None,
        None => Some(Missing::new(
            "a base system: only Debian machines can use their own (create one with \
             `pacstrap FOLDER base-devel` and set it with --base-root)",
            "run `pacstrap FOLDER base-devel`, and set --base-root to the folder",
        )),
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
        this machine cannot build in a sandbox, because it lacks: one; two
        hint: provide what is missing; in a checkout, `./bootstrap` installs the programs
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
