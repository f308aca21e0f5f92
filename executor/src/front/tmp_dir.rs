//! `TMPDIR` where a job's variables set it, as `environment` in the runner's settings does: the folder
//! exists on the host, if at all, and has to be made in the environment of scripts.

use std::path::{Component, Path, PathBuf};

use crate::contract::Environment;

/// Below these the environment has what it needs, and nothing can be made.
const TAKEN: &[&str] = &[
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
/// There already.
const THERE: &[&str] = &["/", "/run", "/tmp"];

/// The folder to make, if there is one. `own` are the folders of the job.
pub(super) fn to_make(own: &[PathBuf]) -> Option<PathBuf> {
    Environment::tmp_dir().filter(|path| can_be_made(path, own))
}

fn can_be_made(path: &Path, own: &[PathBuf]) -> bool {
    let is_plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let is_taken = TAKEN.iter().any(|taken| path.starts_with(taken));
    let is_there = THERE.iter().any(|there| path == Path::new(there));
    // What is above the job's folders is there because of them; what is below is the job's to make.
    let meets = own
        .iter()
        .any(|own| own.starts_with(path) || path.starts_with(own));
    path.is_absolute() && is_plain && !is_taken && !is_there && !meets
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
            assert_eq!(can_be_made(Path::new(path), &own), can, "{path}");
        }
    }
}
