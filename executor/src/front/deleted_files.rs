//! Files that a script has deleted but keeps open: they use disk space, but are in no folder.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use buildbtw_builder::RunAs;

use super::processes::processes_with;

/// The deleted files that the processes of a job's environment hold open.
#[derive(Debug)]
pub(super) struct DeletedFiles {
    builds: PathBuf,
    script_user: Option<RunAs>,
}

impl DeletedFiles {
    /// Returns those of the environments that contain this folder.
    pub(super) fn of(builds: PathBuf, script_user: Option<RunAs>) -> Self {
        Self {
            builds,
            script_user,
        }
    }

    /// Returns the bytes that they use on the file systems of these folders. Files of unreadable processes, files in
    /// transit between processes, and files that are only mapped do not count.
    pub(super) fn bytes(&self, folders: &[PathBuf]) -> u64 {
        let devices: Vec<u64> = folders
            .iter()
            .filter_map(|folder| Some(fs_err::metadata(folder).ok()?.dev()))
            .collect();
        let processes = processes_with(&self.builds, self.script_user).unwrap_or_default();
        let mut counted = HashSet::new();
        let mut bytes: u64 = 0;
        for process in processes {
            let Ok(descriptors) =
                fs_err::read_dir(Path::new("/proc").join(format!("{process}/fd")))
            else {
                continue;
            };
            for descriptor in descriptors.flatten() {
                // Follows the link to the open file, which has no name any more.
                let Ok(file) = fs_err::metadata(descriptor.path()) else {
                    continue;
                };
                let is_deleted = file.is_file() && file.nlink() == 0;
                if is_deleted
                    && devices.contains(&file.dev())
                    && counted.insert((file.dev(), file.ino()))
                {
                    bytes = bytes.saturating_add(file.blocks().saturating_mul(512));
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn counts_deleted_open_files_once() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        // One child holds a deleted file open; another one holds it as well, and one that still has
        // a name.
        let script =
            "cd \"$1\" && exec 3>gone && rm gone && head -c 2M /dev/zero >&3 && exec 4>named
            head -c 8M /dev/zero >&4; exec 5<&0; (echo ready; read line <&5) & wait";
        let mut environment = Command::new("bash")
            .arg0("bwrap")
            .args(["-c", script, "x"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(environment.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let folders = [folder.path().to_owned()];
        let own = DeletedFiles::of(folder.path().to_owned(), None);
        let bytes = own.bytes(&folders);
        assert!((2 << 20..8 << 20).contains(&bytes), "{bytes}");
        let others = DeletedFiles::of(other.path().to_owned(), None);
        assert_eq!(others.bytes(&folders), 0);
        // Ends the child that reads.
        drop(environment.stdin.take());
        environment.wait().unwrap();
        assert_eq!(own.bytes(&folders), 0);
    }
}
