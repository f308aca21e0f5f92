//! The files of one attempt on this machine.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use buildbtw_model::api::Outcome;
use buildbtw_model::{AttemptId, PackageFileName};

/// The folder of one attempt, which exists until the server has the attempt's outcome.
#[derive(Clone, Debug)]
pub struct AttemptFolder {
    attempt: AttemptId,
    path: PathBuf,
}

impl AttemptFolder {
    /// Creates the folder of a new attempt at `path`.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: PathBuf, attempt: AttemptId) -> io::Result<Self> {
        fs_err::create_dir_all(path.join("packages"))?;
        Ok(Self { attempt, path })
    }

    /// Returns the folder of an earlier run's attempt at `path`.
    #[must_use]
    pub fn existing(path: PathBuf, attempt: AttemptId) -> Self {
        Self { attempt, path }
    }

    /// Returns the attempt's id.
    #[must_use]
    pub fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// Returns the path of the build's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Returns the folder of the built packages.
    #[must_use]
    pub fn packages(&self) -> PathBuf {
        self.path.join("packages")
    }

    /// Returns the path of a package.
    #[must_use]
    pub fn package(&self, file_name: &PackageFileName) -> PathBuf {
        self.packages().join(file_name.as_str())
    }

    /// Returns the path of the PKGBUILD that the packages were built with. It might not exist.
    #[must_use]
    pub fn pkgbuild(&self) -> PathBuf {
        self.path.join("PKGBUILD")
    }

    fn outcome(&self) -> PathBuf {
        self.path.join("outcome.json")
    }

    /// Saves the outcome durably, after the files that belong to it. The last step is a rename, so a folder with an
    /// outcome contains all packages that it lists.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn save(&self, outcome: &Outcome) -> io::Result<()> {
        if let Outcome::Succeeded { packages } = outcome {
            for package in packages {
                fs_err::File::open(self.package(&package.file_name))?.sync_all()?;
            }
            sync_folder(&self.packages())?;
            match fs_err::File::open(self.pkgbuild()) {
                Ok(file) => file.sync_all()?,
                // Not every build keeps one.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let unfinished = self.path.join("outcome.json.new");
        let mut file = fs_err::File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(outcome)?)?;
        file.sync_all()?;
        fs_err::rename(&unfinished, self.outcome())?;
        sync_folder(&self.path)
    }

    /// Reads the saved outcome. Returns `None` when the attempt was interrupted before it had one.
    #[must_use]
    pub fn saved_outcome(&self) -> Option<Outcome> {
        let text = fs_err::read(self.outcome()).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Removes the folder, the outcome first: an interrupted removal must not leave a success without packages.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        match fs_err::remove_file(self.outcome()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs_err::remove_dir_all(&self.path)
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    fs_err::File::open(path)?.sync_all()
}
