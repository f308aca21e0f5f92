//! What the worker keeps on disk, so that being killed loses nothing that was finished.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use buildbtw_agent::AttemptFolder;
use buildbtw_model::{AttemptId, ClaimId};

use crate::error::WorkerError;

/// The scratch folder, held by this process alone.
#[derive(Debug)]
pub(crate) struct Scratch {
    root: PathBuf,
    // Released by the kernel, however this process ends.
    _lock: File,
}

impl Scratch {
    /// Makes the folder if need be, closes it to other users, who could hold its lock, and takes that.
    pub(crate) fn open(root: &Path) -> Result<Self, WorkerError> {
        let unusable = |source| WorkerError::Scratch {
            path: root.to_owned(),
            source,
        };
        close_to_others(root).map_err(unusable)?;
        for folder in ["attempts", "claims", "sandbox"] {
            fs_err::create_dir_all(root.join(folder)).map_err(unusable)?;
        }
        let root = fs_err::canonicalize(root).map_err(unusable)?;
        let lock = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join("lock"))
            .map_err(unusable)?
            .into_parts()
            .0;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(WorkerError::InUse { path: root }),
            Err(std::fs::TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The builder's own folder.
    pub(crate) fn sandbox(&self) -> PathBuf {
        self.root.join("sandbox")
    }

    /// Makes the folder of an attempt that was just handed out.
    pub(crate) fn begin(&self, attempt: AttemptId) -> io::Result<AttemptFolder> {
        AttemptFolder::create(self.attempt_path(attempt), attempt)
    }

    /// The attempts of an earlier run, the oldest first.
    pub(crate) fn left_over(&self) -> io::Result<Vec<AttemptFolder>> {
        let mut folders: Vec<AttemptFolder> = self
            .names("attempts")?
            .into_iter()
            .filter_map(|name| name.parse().ok())
            .map(|attempt| AttemptFolder::existing(self.attempt_path(attempt), attempt))
            .collect();
        folders.sort_by_key(AttemptFolder::attempt);
        Ok(folders)
    }

    /// Remembers a claim before it is made: its answer may be lost together with this process.
    pub(crate) fn add_claim(&self, claim: ClaimId) -> io::Result<()> {
        fs_err::File::create(self.claim_path(claim)).map(drop)
    }

    /// Forgets a claim that was answered.
    pub(crate) fn remove_claim(&self, claim: ClaimId) -> io::Result<()> {
        fs_err::remove_file(self.claim_path(claim))
    }

    /// The claims of an earlier run that were never answered.
    pub(crate) fn open_claims(&self) -> io::Result<Vec<ClaimId>> {
        let names = self.names("claims")?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    fn attempt_path(&self, attempt: AttemptId) -> PathBuf {
        self.root.join("attempts").join(attempt.to_string())
    }

    fn claim_path(&self, claim: ClaimId) -> PathBuf {
        self.root.join("claims").join(claim.to_string())
    }

    fn names(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs_err::read_dir(self.root.join(folder))? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }
}

/// Makes a folder that only this process's user may look into, or makes it one. Its owner could open it again, and root
/// can work in a folder of any owner.
fn close_to_others(folder: &Path) -> io::Result<()> {
    const MODE: u32 = 0o700;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(MODE)
        .create(folder)?;
    let metadata = fs_err::metadata(folder)?;
    let (owner, own) = (metadata.uid(), nix::unistd::geteuid().as_raw());
    if owner != own {
        return Err(io::Error::other(format!(
            "it belongs to user {owner}, and the worker runs as user {own}\n\
             hint: give the worker a folder of its own with --scratch-dir, or change the owner: chown {own} {}",
            folder.display()
        )));
    }
    if metadata.permissions().mode() & 0o777 == MODE {
        return Ok(());
    }
    fs_err::set_permissions(folder, PermissionsExt::from_mode(MODE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildbtw_model::FailureKind;
    use buildbtw_model::api::Outcome;

    #[test]
    fn locks_scratch_folder_for_one_worker() {
        let folder = tempfile::tempdir().unwrap();
        let first = Scratch::open(folder.path()).unwrap();
        let second = Scratch::open(folder.path()).unwrap_err();
        assert!(matches!(second, WorkerError::InUse { .. }), "{second}");
        drop(first);
        Scratch::open(folder.path()).unwrap();
    }

    #[test]
    fn rejects_folder_of_another_user() {
        if !nix::unistd::geteuid().is_root() {
            println!("only root can change the owner of a folder");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let scratch = folder.path().join("scratch");
        Scratch::open(&scratch).unwrap();
        for mode in [0o700, 0o755] {
            fs_err::set_permissions(&scratch, PermissionsExt::from_mode(mode)).unwrap();
            std::os::unix::fs::chown(&scratch, Some(65_534), None).unwrap();
            let error = Scratch::open(&scratch).unwrap_err().to_string();
            assert!(error.contains("belongs to user 65534"), "{error}");
            assert_eq!(scratch.metadata().unwrap().mode() & 0o777, mode);
        }
        std::os::unix::fs::chown(&scratch, Some(0), None).unwrap();
        Scratch::open(&scratch).unwrap();
    }

    #[test]
    fn restores_attempts_and_claims_after_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (running, finished, claim) = (AttemptId::new(), AttemptId::new(), ClaimId::new());
        let outcome = Outcome::Failed {
            kind: FailureKind::Package,
            message: "no".into(),
        };
        {
            let scratch = Scratch::open(folder.path()).unwrap();
            scratch.begin(running).unwrap();
            scratch.begin(finished).unwrap().save(&outcome).unwrap();
            scratch.add_claim(claim).unwrap();
        }
        let scratch = Scratch::open(folder.path()).unwrap();
        let left: Vec<_> = scratch
            .left_over()
            .unwrap()
            .into_iter()
            .map(|folder| (folder.attempt(), folder.saved_outcome()))
            .collect();
        assert_eq!(left, [(running, None), (finished, Some(outcome))]);
        assert_eq!(scratch.open_claims().unwrap(), [claim]);
        scratch.remove_claim(claim).unwrap();
        for folder in scratch.left_over().unwrap() {
            folder.remove().unwrap();
        }
        assert!(scratch.left_over().unwrap().is_empty());
        assert!(scratch.open_claims().unwrap().is_empty());
    }
}
