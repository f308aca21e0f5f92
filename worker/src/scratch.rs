//! The worker's state on disk, so that finished builds survive a kill.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use buildbtw_agent::AttemptFolder;
use buildbtw_model::{AttemptId, ClaimId, Explanation};

use crate::error::WorkerError;

/// The scratch folder, locked by this process.
#[derive(Debug)]
pub(crate) struct Scratch {
    root: PathBuf,
    // The kernel releases it however this process ends.
    lock: File,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Closing it is not enough: a process that another thread is starting still has a copy.
        let _ = self.lock.unlock();
    }
}

impl Scratch {
    /// Creates the folder if it does not exist, and locks it. Other users get no access, because they could hold the
    /// lock.
    pub(crate) fn open(root: &Path) -> Result<Self, WorkerError> {
        let with_path = |error| WorkerError::Scratch {
            path: root.to_owned(),
            error,
        };
        let unusable = |error: io::Error| with_path(error.to_string().into());
        create_private_dir(root).map_err(with_path)?;
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
            Ok(()) => Ok(Self { root, lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(WorkerError::InUse { path: root }),
            Err(std::fs::TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Returns the builder's own folder.
    pub(crate) fn sandbox(&self) -> PathBuf {
        self.root.join("sandbox")
    }

    /// Creates the folder of a new attempt.
    pub(crate) fn create_attempt(&self, attempt: AttemptId) -> io::Result<AttemptFolder> {
        AttemptFolder::create(self.attempt_path(attempt), attempt)
    }

    /// Lists the attempts of an earlier run, oldest first.
    pub(crate) fn leftover_attempts(&self) -> io::Result<Vec<AttemptFolder>> {
        let mut folders: Vec<AttemptFolder> = self
            .names("attempts")?
            .into_iter()
            .filter_map(|name| name.parse().ok())
            .map(|attempt| AttemptFolder::existing(self.attempt_path(attempt), attempt))
            .collect();
        folders.sort_by_key(AttemptFolder::attempt);
        Ok(folders)
    }

    /// Records a claim before it is sent, because this process may be killed before the response.
    pub(crate) fn add_claim(&self, claim: ClaimId) -> io::Result<()> {
        fs_err::File::create(self.claim_path(claim)).map(drop)
    }

    /// Removes the record of a claim.
    pub(crate) fn remove_claim(&self, claim: ClaimId) -> io::Result<()> {
        fs_err::remove_file(self.claim_path(claim))
    }

    /// Lists the claims of an earlier run that got no response.
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

/// Explains that a folder belongs to another user than this process.
pub(crate) fn other_owner(folder: &Path, owner: u32, own: u32) -> Explanation {
    Explanation::with_hint(
        format!("it belongs to user {owner}, and the worker runs as user {own}"),
        format!(
            "set --scratch-dir to another folder, or run `chown {own} {}`",
            folder.display()
        ),
    )
}

/// Creates a folder that only this process's user can access, or changes an existing one. Fails for a folder of another
/// user, who could change its mode again; root could use it otherwise.
fn create_private_dir(folder: &Path) -> Result<(), Explanation> {
    const MODE: u32 = 0o700;
    let text = |error: io::Error| Explanation::from(error.to_string());
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(MODE)
        .create(folder)
        .map_err(text)?;
    let metadata = fs_err::metadata(folder).map_err(text)?;
    let (owner, own) = (metadata.uid(), nix::unistd::geteuid().as_raw());
    if owner != own {
        return Err(other_owner(folder, owner, own));
    }
    if metadata.permissions().mode() & 0o777 == MODE {
        return Ok(());
    }
    fs_err::set_permissions(folder, PermissionsExt::from_mode(MODE)).map_err(text)
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
        let outcome = Outcome::failed(FailureKind::Package, "no");
        {
            let scratch = Scratch::open(folder.path()).unwrap();
            scratch.create_attempt(running).unwrap();
            scratch
                .create_attempt(finished)
                .unwrap()
                .save(&outcome)
                .unwrap();
            scratch.add_claim(claim).unwrap();
        }
        let scratch = Scratch::open(folder.path()).unwrap();
        let left: Vec<_> = scratch
            .leftover_attempts()
            .unwrap()
            .into_iter()
            .map(|folder| (folder.attempt(), folder.saved_outcome()))
            .collect();
        assert_eq!(left, [(running, None), (finished, Some(outcome))]);
        assert_eq!(scratch.open_claims().unwrap(), [claim]);
        scratch.remove_claim(claim).unwrap();
        for folder in scratch.leftover_attempts().unwrap() {
            folder.remove().unwrap();
        }
        assert!(scratch.leftover_attempts().unwrap().is_empty());
        assert!(scratch.open_claims().unwrap().is_empty());
    }
}
