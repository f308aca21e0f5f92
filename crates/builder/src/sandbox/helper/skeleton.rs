//! What a root on this machine's `/usr` needs besides: links, `/etc` and empty folders.

use std::os::unix::fs::symlink;
use std::path::Path;

use fs_err as fs;

use super::files::{copy_if_there, make_dir};
use crate::sandbox::job::Failure;

/// Folders of every root, and their modes.
const FOLDERS: &[(&str, u32)] = &[
    ("build", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
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
    ("var/tmp", 0o1777),
];

/// Configuration of this machine that its programs need and that tells nothing about it.
const FROM_HOST: &[&str] = &[
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "makepkg.conf",
    "makepkg.conf.d",
];

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
bin:x:1:1::/:/usr/sbin/nologin
daemon:x:2:2::/:/usr/sbin/nologin
mail:x:8:12::/var/spool/mail:/usr/sbin/nologin
http:x:33:33::/srv/http:/usr/sbin/nologin
build:x:1000:1000:build:/build/home:/bin/bash
nobody:x:65534:65534:nobody:/:/usr/sbin/nologin
";

const GROUP: &str = "\
root:x:0:
bin:x:1:
daemon:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mem:x:8:
ftp:x:11:
mail:x:12:
http:x:33:
games:x:50:
users:x:100:
utmp:x:997:
build:x:1000:
nobody:x:65534:
";

/// The user that builds, for bases that do not know it: file and line.
pub(super) const BUILD_USER_LINES: [(&str, &str); 2] = [
    ("passwd", "build:x:1000:1000:build:/build/home:/bin/bash\n"),
    ("group", "build:x:1000:\n"),
];

/// Fills a new root; `/usr` stays empty, the overlay goes there.
pub(super) fn make(root: &Path) -> Result<(), Failure> {
    for (folder, mode) in FOLDERS {
        make_dir(&root.join(folder), *mode)?;
    }
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        // On a merged /usr these are links; pacman's packages rely on that.
        if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
            symlink(target, root.join(name))?;
        }
    }
    let etc = root.join("etc");
    for name in FROM_HOST {
        copy_if_there(&Path::new("/etc").join(name), &etc.join(name))?;
    }
    fs::write(etc.join("passwd"), PASSWD)?;
    fs::write(etc.join("group"), GROUP)?;
    fs::write(etc.join("hosts"), "127.0.0.1 localhost\n::1 localhost\n")?;
    fs::write(
        etc.join("nsswitch.conf"),
        "passwd: files\ngroup: files\nhosts: files dns\n",
    )?;
    // Something to mount the resolvers on, for steps with a network.
    fs::write(etc.join("resolv.conf"), "")?;
    symlink("../proc/self/mounts", etc.join("mtab"))?;
    Ok(())
}
