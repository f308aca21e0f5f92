//! `TMPDIR` from a job's variables, which `environment` in the runner's settings can set: the folder may exist on
//! the host, and must be created in the environment of scripts.

use std::path::{Component, Path, PathBuf};

use crate::contract::Environment;

/// Folders of the environment in which none may be created.
const RESERVED: &[&str] = &[
    "/bin",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/run/buildbtw",
    "/sbin",
    "/sys",
    "/usr",
];
/// Folders that exist in the environment.
const EXISTING: &[&str] = &["/", "/run", "/tmp"];

/// Returns the folder to create, if there is one. `own` are the folders of the job.
pub(super) fn to_create(own: &[PathBuf]) -> Option<PathBuf> {
    Environment::tmp_dir().filter(|path| can_be_created(path, own))
}

fn can_be_created(path: &Path, own: &[PathBuf]) -> bool {
    let is_plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let is_reserved = RESERVED.iter().any(|reserved| path.starts_with(reserved));
    let exists = EXISTING.iter().any(|existing| path == Path::new(existing));
    // Parents of the job's folders exist because of them; the job itself creates folders below.
    let overlaps = own
        .iter()
        .any(|own| own.starts_with(path) || path.starts_with(own));
    path.is_absolute() && is_plain && !is_reserved && !exists && !overlaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creates_temporary_folder_only_where_it_hides_nothing() {
        let own = [PathBuf::from("/var/lib/buildbtw-executor/jobs/7/builds")];
        for (path, can) in [
            ("/somewhere", true),
            ("/var/tmp", true),
            ("/tmp/of/runner", true),
            ("/run/user/0", true),
            ("/var", false),
            ("/var/lib/buildbtw-executor/jobs/7/builds", false),
            ("/var/lib/buildbtw-executor/jobs/7/builds/g/demo/tmp", false),
            ("/tmp", false),
            ("/", false),
            ("/usr/x", false),
            ("/etc", false),
            ("/run/buildbtw", false),
            ("relative", false),
            ("/a/../usr", false),
        ] {
            assert_eq!(can_be_created(Path::new(path), &own), can, "{path}");
        }
    }
}
