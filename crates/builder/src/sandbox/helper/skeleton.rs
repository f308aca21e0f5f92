//! Creates the parts of a root on the host's `/usr` besides `/usr`: links, `/etc` and empty folders.

use std::io::{self, Read as _};
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;

use fs_err as fs;

use super::accounts;
use super::files::{copy_certificates, copy_if_exists, make_dir};
use crate::failure::Failure;
use crate::source::open_in_tree;

/// The folders of every root, and their modes.
const FOLDERS: &[(&str, u32)] = &[
    ("boot", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("etc/profile.d", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("srv/http", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/cache/pacman", 0o755),
    ("var/cache/pacman/pkg", 0o755),
    ("var/lib", 0o755),
    ("var/lib/pacman", 0o755),
    ("var/lib/pacman/local", 0o755),
    ("var/lib/pacman/sync", 0o755),
    ("var/log", 0o755),
    ("var/spool", 0o755),
    ("var/spool/mail", 0o1777),
    ("var/tmp", 0o1777),
];

/// The mount points for the folders of a build, named as by makechrootpkg.
pub(super) const BUILD_FOLDERS: [&str; 6] = [
    "build",
    "logdest",
    "pkgdest",
    "srcdest",
    "srcpkgdest",
    "startdir",
];

/// Configuration of the host that its programs need and that does not identify it.
const FROM_HOST: &[&str] = &[
    "alternatives",
    "fonts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "makepkg.conf",
    "makepkg.conf.d",
    "mime.types",
    "protocols",
    "services",
    "ssl/openssl.cnf",
];

/// The host name in builds.
pub(super) const HOST_NAME: &str = "buildbtw";
const HOSTS: &str = "127.0.0.1 localhost buildbtw\n::1 localhost buildbtw\n";
/// The same in every build, so that packages are reproducible and the host's id stays private.
const MACHINE_ID: &str = "baa08d8fc3fc41f3ab0bb136906bf4cc\n";
/// As with makechrootpkg: otherwise git refuses trees of other owners.
const GITCONFIG: &str = "[safe]\n\tdirectory = *\n";
/// The first file that a login shell reads.
pub(super) const PROFILE: &str = include_str!("profile.sh");

/// Files that are written to `/etc`, with their contents.
const FILES: &[(&str, &str)] = &[
    ("gitconfig", GITCONFIG),
    ("group", accounts::GROUP),
    ("host.conf", "multi on\n"),
    ("hostname", "buildbtw\n"),
    ("hosts", HOSTS),
    ("locale.conf", "LANG=C.UTF-8\n"),
    ("login.defs", accounts::LOGIN_DEFS),
    ("machine-id", MACHINE_ID),
    (
        "nsswitch.conf",
        "passwd: files\ngroup: files\nshadow: files\ngshadow: files\nhosts: files dns\n\
         networks: files\nprotocols: files\nservices: files\nethers: files\nrpc: files\n",
    ),
    ("passwd", accounts::PASSWD),
    ("profile", PROFILE),
    // A mount point for the resolvers, in steps with a network.
    ("resolv.conf", ""),
    ("shells", "/bin/sh\n/bin/bash\n/usr/bin/sh\n/usr/bin/bash\n"),
];

/// Links of `/etc`, with their targets.
const LINKS: &[(&str, &str)] = &[
    ("localtime", "../usr/share/zoneinfo/UTC"),
    ("mtab", "../proc/self/mounts"),
    ("os-release", "../usr/lib/os-release"),
];

/// Returns the paths in `/etc` that pacman may replace although no package owns them, because they were
/// written here.
pub(super) fn replaceable() -> Vec<String> {
    let files = FILES.iter().map(|(name, _)| *name);
    let links = LINKS.iter().map(|(name, _)| *name);
    let all = files.chain(links).chain(FROM_HOST.iter().copied());
    let all = all.chain(["ca-certificates", "ssl"]);
    all.flat_map(|name| [format!("etc/{name}"), format!("etc/{name}/*")])
        .chain([PYTHON.to_owned()])
        .collect()
}

/// Fills a new root. `/usr` stays empty, because the overlay is mounted there.
pub(super) fn create(root: &Path) -> Result<(), Failure> {
    for (folder, mode) in FOLDERS {
        make_dir(&root.join(folder), *mode)?;
    }
    for folder in BUILD_FOLDERS {
        make_dir(&root.join(folder), 0o755)?;
    }
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        // With a merged /usr, these are links, on which pacman's packages rely.
        if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
            symlink(target, root.join(name))?;
        }
    }
    let etc = root.join("etc");
    copy_certificates(Path::new("/etc/ssl/certs"), &etc)?;
    for name in FROM_HOST {
        copy_if_exists(&Path::new("/etc").join(name), &etc.join(name))?;
    }
    for (name, text) in FILES {
        fs::write(etc.join(name), text)?;
    }
    for (name, target) in LINKS {
        symlink(target, etc.join(name))?;
    }
    Ok(())
}

/// The name of Python in PKGBUILDs. On Debian, it requires a package that few machines have.
const PYTHON: &str = "usr/bin/python";

/// Gives the host's Python the same name as on Arch, once `/usr` is mounted.
pub(super) fn link_python(root: &Path, first_uid: u32) -> Result<(), Failure> {
    let link = root.join(PYTHON);
    if fs::symlink_metadata(&link).is_ok() || !fs::exists(root.join("usr/bin/python3"))? {
        return Ok(());
    }
    symlink("python3", &link)?;
    Ok(lchown(&link, Some(first_uid), Some(first_uid))?)
}

/// Completes a pacstrapped base: the folders and the user of a build, and the name and id of the host. No
/// package code has run yet. Links of the base are replaced and not followed, because an absolute one would
/// lead to a file of the host.
pub(super) fn complete(root: &Path, first_uid: u32) -> Result<(), Failure> {
    let own = |path: &Path| lchown(path, Some(first_uid), Some(first_uid));
    let build = BUILD_FOLDERS.iter().map(|name| (*name, 0o755));
    let own_folders = [("tmp", 0o1777), ("var", 0o755), ("var/tmp", 0o1777)];
    for (folder, mode) in build.chain(own_folders) {
        let folder = root.join(folder);
        if !fs::exists(&folder)? {
            make_dir(&folder, mode)?;
            own(&folder)?;
        }
    }
    let etc = root.join("etc");
    let replace = |name: &str, text: &str| -> Result<(), Failure> {
        let path = etc.join(name);
        let found = fs::symlink_metadata(&path);
        if found.is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            fs::remove_file(&path)?;
        }
        fs::write(&path, text)?;
        Ok(own(&path)?)
    };
    // Follows links that stay in the base.
    let read = |name: &str| -> io::Result<String> {
        let mut text = String::new();
        open_in_tree(root, &format!("etc/{name}"))?.read_to_string(&mut text)?;
        Ok(text)
    };
    for (file, line) in accounts::BUILD_USER_LINES {
        match read(file) {
            Ok(text) => replace(file, &accounts::with_build_user(&text, file, line))?,
            // Builds do not need passwords.
            Err(_) if file == "shadow" => {}
            Err(_) => replace(file, line)?,
        }
    }
    let hosts = read("hosts").unwrap_or_default();
    if !hosts.split_whitespace().any(|word| word == HOST_NAME) {
        replace("hosts", &format!("{hosts}\n{HOSTS}"))?;
    }
    if read("gitconfig").is_err() {
        replace("gitconfig", GITCONFIG)?;
    }
    // Steps with a network mount their resolvers there, and a link would lead elsewhere.
    let resolv_conf = etc.join("resolv.conf");
    if !fs::symlink_metadata(&resolv_conf).is_ok_and(|metadata| metadata.is_file()) {
        let _ = fs::remove_file(&resolv_conf);
        replace("resolv.conf", "")?;
    }
    // The base may be a copy of another machine.
    replace("machine-id", MACHINE_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_uniform_user_and_machine_identity_into_base() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let etc = root.join("etc");
        fs::create_dir(&etc).unwrap();
        for (name, text) in [
            ("group", "root:x:0:\n"),
            ("hosts", "# none"),
            ("machine-id", "0123456789abcdef0123456789abcdef\n"),
            (
                "passwd",
                "root:x:0:0::/root:/bin/bash\nalarm:x:1000:1000::/home/alarm:/bin/bash\n",
            ),
        ] {
            fs::write(etc.join(name), text).unwrap();
        }
        let first_uid = nix::unistd::getuid().as_raw();
        for _ in 0..2 {
            complete(root, first_uid).unwrap();
            let text = |name: &str| fs::read_to_string(etc.join(name)).unwrap();
            assert_eq!(
                text("passwd"),
                "root:x:0:0::/root:/bin/bash\nbuilduser:x:1000:1000:builduser:/build:/bin/bash\n"
            );
            assert_eq!(text("group"), "root:x:0:\nbuilduser:x:1000:\n");
            assert_eq!(text("hosts"), format!("# none\n{HOSTS}"));
            assert_eq!(text("machine-id"), MACHINE_ID);
            assert!(text("gitconfig").contains("directory = *"));
            assert!(!fs::exists(etc.join("shadow")).unwrap());
            assert!(root.join("startdir").is_dir() && root.join("var/tmp").is_dir());
        }
    }

    #[test]
    fn does_not_follow_links_of_a_base_out_of_its_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let etc = root.join("etc");
        fs::create_dir_all(&etc).unwrap();
        let outside = folder.path().join("outside");
        fs::write(&outside, "this machine's\n").unwrap();
        let names = [
            "group",
            "hosts",
            "machine-id",
            "passwd",
            "gitconfig",
            "resolv.conf",
        ];
        for name in names {
            symlink(&outside, etc.join(name)).unwrap();
        }
        fs::write(etc.join("users"), "root:!:::::::\n").unwrap();
        symlink("users", etc.join("shadow")).unwrap();
        complete(&root, nix::unistd::getuid().as_raw()).unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "this machine's\n");
        for name in names {
            let path = etc.join(name);
            assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{name}");
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("this machine's"), "{name}: {text}");
        }
        let shadow = fs::read_to_string(etc.join("shadow")).unwrap();
        assert!(
            shadow.starts_with("root:!:") && shadow.contains("builduser:!!:"),
            "{shadow}"
        );
    }

    #[test]
    fn writes_machine_id_that_systemd_accepts() {
        let id = MACHINE_ID.trim_end();
        assert_eq!(id.len(), 32);
        assert!(
            id.bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        );
        assert!(HOSTS.contains(HOST_NAME));
        assert!(
            FILES
                .iter()
                .any(|(name, text)| *name == "hostname" && text.trim() == HOST_NAME)
        );
    }
}
