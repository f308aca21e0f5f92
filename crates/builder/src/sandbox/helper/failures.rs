//! The failures of creating a root (its scratch disk, its namespaces and its folder) and of what is run in it.

use std::fmt::Display;
use std::io;
use std::path::Path;

use buildbtw_model::Explanation;

use crate::failure::Failure;
use crate::sandbox::disk::MKFS;

/// The number of user namespaces that may be created below that of the writing process.
pub(super) const MAXIMUM: &str = "/proc/sys/user/max_user_namespaces";

/// Returns the failure for a machine that cannot create the image that its settings require.
pub(super) fn no_image(why: &str) -> Failure {
    Failure::infrastructure(format!("the scratch disk image cannot be created: {why}")).hint(
        "provide what is missing, or set the scratch disk to `auto`, which uses memory instead",
    )
}

/// Returns why there is no image, for a kernel that did not mount it.
pub(super) fn not_mounted(error: impl Display) -> String {
    format!("the image cannot be mounted: {error}")
}

/// Returns the failure for a machine whose disk is full. `folder` contains the scratch disk.
pub(super) fn full_disk(folder: &Path) -> Failure {
    Failure::infrastructure(format!(
        "the disk of the worker is full: {} has no space left for the build",
        folder.display()
    ))
    .hint("free space on it, or use a scratch folder on another disk")
}

/// Returns the failure for a scratch disk whose writes were lost.
pub(super) fn lost_writes(folder: &Path, error: impl Display) -> Failure {
    Failure::infrastructure(format!(
        "writing to the scratch disk below {} failed: {error}",
        folder.display()
    ))
    .hint("check this machine's disk for errors, for example with `dmesg`")
}

/// Returns the failure for a file system that cannot contain an image of this size.
pub(super) fn no_room(folder: &Path, size: u64, error: &io::Error) -> Failure {
    Failure::infrastructure(format!(
        "cannot create a file of {size} bytes in {} for the scratch disk: {error}",
        folder.display()
    ))
    .hint("use a scratch folder on another file system")
}

/// Returns the failure for an image that could not be formatted. `output` is the error output.
pub(super) fn not_formatted(folder: &Path, status: impl Display, output: &str) -> Failure {
    Failure::infrastructure(format!(
        "{MKFS} could not format the scratch disk below {} ({status}): {}",
        folder.display(),
        output.trim()
    ))
}

/// Returns the failure for a kernel that refused a user namespace.
pub(super) fn no_user_namespace() -> Failure {
    Failure::infrastructure("could not create a user namespace for the sandbox").hint(
        "allow them with `sysctl user.max_user_namespaces=10000`; a container needs the right to \
         create them, too",
    )
}

/// Returns the failure for a kernel that refused a network namespace.
pub(super) fn no_network_namespace() -> Failure {
    Failure::infrastructure("could not create a network namespace for the sandbox")
        .hint("allow them with `sysctl user.max_net_namespaces=10000`")
}

/// Returns the failure for a sandbox whose processes could create user namespaces.
pub(super) fn nested_namespaces() -> Failure {
    Failure::infrastructure(format!(
        "could not disable user namespaces inside the sandbox: {MAXIMUM} cannot be written"
    ))
    .hint("in a container, mount /proc writable")
}

/// Returns the failure for a folder with other content than a root.
pub(super) fn not_a_root(folder: &Path) -> Failure {
    Failure::infrastructure(format!(
        "{} is neither empty nor a root that this program created",
        folder.display()
    ))
    .hint("choose an empty folder, or one that does not exist yet")
}

/// Returns the failure for a root whose files have owners of another range.
pub(super) fn other_owner(folder: &Path) -> Failure {
    Failure::infrastructure(format!(
        "{} was created for another range of user ids",
        folder.display()
    ))
    .hint("choose another folder, or remove this one, so that it is created again")
}

/// Returns the failure for dependencies that pacman refused to install, and why it did.
pub(super) fn not_installed(why: Explanation) -> Failure {
    Failure::package(why.map(|why| format!("the dependencies cannot be installed: {why}")))
}

/// Returns the failure for a PKGBUILD whose output exceeds `limit` bytes before anything is built.
pub(super) fn printing_pkgbuild(limit: u64) -> Failure {
    Failure::package(format!(
        "the PKGBUILD prints more than {limit} bytes when it is read"
    ))
    .hint("print only in the PKGBUILD's functions")
}

/// Returns the failure for a sandbox in which makepkg did not run.
pub(super) fn makepkg_not_started() -> Failure {
    Failure::infrastructure("the sandbox could not start makepkg").see_log()
}

/// Returns the failure for a build with more than `limit` package files.
pub(super) fn too_many_packages(limit: usize) -> Failure {
    Failure::package(format!("the build left more than {limit} package files"))
        .hint("split the PKGBUILD into several")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_match_snapshot() {
        let folder = Path::new("/var/lib/buildbtw/scratch");
        let root = Path::new("/srv/root");
        let error = io::Error::from(io::ErrorKind::FileTooLarge);
        let text = crate::failure::recorded([
            ("no image", no_image("`mkfs.ext4` is not installed")),
            (
                "image that is not mounted",
                no_image(&not_mounted("EPERM: Operation not permitted")),
            ),
            ("full disk", full_disk(folder)),
            ("lost writes", lost_writes(folder, "EIO: I/O error")),
            ("large image", no_room(folder, 40 << 30, &error)),
            (
                "unformatted image",
                not_formatted(folder, "exit status: 1", "mkfs.ext4: Input/output error\n"),
            ),
            ("no user namespace", no_user_namespace()),
            ("no network namespace", no_network_namespace()),
            ("user namespaces inside a sandbox", nested_namespaces()),
            ("folder that is not a root", not_a_root(root)),
            ("root of another range", other_owner(root)),
            (
                "dependencies that conflict",
                not_installed("curl and curl-git are in conflict".into()),
            ),
            ("PKGBUILD that prints", printing_pkgbuild(1 << 20)),
            ("makepkg that does not start", makepkg_not_started()),
            ("many packages", too_many_packages(1000)),
        ]);
        insta::assert_snapshot!(text);
    }
}
