//! Translates the packages of a Debian machine to names of Arch.

use std::path::Path;
use std::process::Command;

use crate::programs::SEARCH_PATH;

/// Names that are always provided: groups, meta packages and the shell.
const ALWAYS: &[&str] = &["base", "base-devel", "sh"];

/// Arch's name for the contents of a Debian package. A name may have several packages; the first installed
/// one counts.
const NAMES: &[(&str, &str)] = &[
    ("autoconf", "autoconf"),
    ("automake", "automake"),
    ("bash", "bash"),
    ("binutils", "binutils"),
    ("bison", "bison"),
    ("breezy", "brz"),
    ("bzip2", "bzip2"),
    ("ca-certificates", "ca-certificates"),
    ("cargo", "cargo"),
    ("cargo", "cargo-web"),
    ("clang", "clang"),
    ("cmake", "cmake"),
    ("coreutils", "coreutils"),
    ("curl", "curl"),
    ("debugedit", "debugedit"),
    ("diffutils", "diffutils"),
    ("fakeroot", "fakeroot"),
    ("file", "file"),
    ("findutils", "findutils"),
    ("flex", "flex"),
    ("fossil", "fossil"),
    ("gawk", "gawk"),
    ("gcc", "gcc"),
    ("gcc-libs", "libgcc-s1"),
    ("gettext", "gettext"),
    ("git", "git"),
    ("git-lfs", "git-lfs"),
    ("glibc", "libc6"),
    ("go", "golang-go"),
    ("grep", "grep"),
    ("gnupg", "gpg"),
    ("groff", "groff-base"),
    ("gzip", "gzip"),
    ("libarchive", "libarchive-tools"),
    ("libcap", "libcap2-bin"),
    ("libtool", "libtool"),
    ("linux-api-headers", "linux-libc-dev"),
    ("m4", "m4"),
    ("make", "make"),
    ("mercurial", "mercurial"),
    ("meson", "meson"),
    ("ncurses", "ncurses-bin"),
    ("ninja", "ninja-build"),
    ("nodejs", "nodejs"),
    ("npm", "npm"),
    ("openssl", "openssl"),
    ("pacman", "pacman-package-manager"),
    ("patch", "patch"),
    ("perl", "perl"),
    ("pkgconf", "pkgconf"),
    ("pkgconf", "pkg-config"),
    ("python", "python3"),
    ("python-pip", "python3-pip"),
    ("python-setuptools", "python3-setuptools"),
    ("python-wheel", "python3-wheel"),
    ("rust", "rustc"),
    ("rust", "rustc-web"),
    ("sed", "sed"),
    ("subversion", "subversion"),
    ("tar", "tar"),
    ("texinfo", "texinfo"),
    ("tzdata", "tzdata"),
    ("unzip", "unzip"),
    ("util-linux", "util-linux"),
    ("which", "debianutils"),
    ("xz", "xz-utils"),
    ("zlib", "zlib1g-dev"),
    ("zstd", "zstd"),
];

/// The certificate authorities, which a root gets from this file. It is missing when the package was
/// installed without its triggers.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Node.js packages from other sources than Debian contain npm.
const NPM: &str = "/usr/bin/npm";

/// Returns what the host provides, as `name=version`. Takes some milliseconds.
pub(crate) fn provides() -> Vec<String> {
    let mut packages: Vec<&str> = NAMES.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    let output = Command::new("dpkg-query")
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .args(["-W", "-f", "${db:Status-Status} ${Package} ${Version}\\n"])
        .args(packages)
        .output();
    // dpkg-query reports missing packages as an error, but lists the others.
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let mut provides = translate(&String::from_utf8_lossy(&text));
    if !Path::new(CERTIFICATES).is_file() {
        provides.retain(|name| !name.starts_with("ca-certificates="));
    }
    let has = |name: &str| provides.iter().any(|provided| provided.starts_with(name));
    if has("nodejs=") && !has("npm=") && Path::new(NPM).is_file() {
        provides.push("npm".to_owned());
    }
    provides
}

fn translate(list: &str) -> Vec<String> {
    let mut provides: Vec<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
    let mut last = "";
    for (name, package) in NAMES {
        let version = list.lines().find_map(|line| {
            let mut words = line.split(' ');
            let found = words.next() == Some("installed") && words.next() == Some(*package);
            found.then(|| words.next().and_then(upstream)).flatten()
        });
        if let Some(version) = version
            && last != *name
        {
            provides.push(format!("{name}={version}"));
            last = name;
        }
    }
    provides
}

/// Returns the upstream part of a Debian version, without epoch, revision and characters that pacman does not
/// allow.
fn upstream(version: &str) -> Option<&str> {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    let end = version.find(|c| !allowed(c)).unwrap_or(version.len());
    version.get(..end).filter(|version| !version.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translates_debian_packages_to_pacman_names() {
        let provides = translate(
            "installed libc6 2.36-9+deb12u14\ninstalled gcc 4:12.2.0-3\nnot-installed clang \n\
             installed pkg-config 1.8.1-1\ninstalled pkgconf 1.8.1-1\n",
        );
        assert_eq!(
            provides,
            [
                "base",
                "base-devel",
                "sh",
                "gcc=12.2.0",
                "glibc=2.36",
                "pkgconf=1.8.1"
            ]
        );
    }
}
