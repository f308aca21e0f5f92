//! The files of one attempt on this machine.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use buildbtw_model::api::Outcome;
use buildbtw_model::{AttemptId, PackageFileName};

/// The folder of one attempt; it exists until the server has answered the attempt's outcome.
#[derive(Clone, Debug)]
pub struct AttemptFolder {
    attempt: AttemptId,
    path: PathBuf,
}

impl AttemptFolder {
    /// Makes the folder of an attempt that was just handed out, at `path`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: PathBuf, attempt: AttemptId) -> io::Result<Self> {
        fs_err::create_dir_all(path.join("packages"))?;
        Ok(Self { attempt, path })
    }

    /// The folder that an earlier run made at `path`.
    #[must_use]
    pub fn existing(path: PathBuf, attempt: AttemptId) -> Self {
        Self { attempt, path }
    }

    /// Whose folder it is.
    #[must_use]
    pub fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// The build's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where the build puts its packages.
    #[must_use]
    pub fn packages(&self) -> PathBuf {
        self.path.join("packages")
    }

    /// One of the packages.
    #[must_use]
    pub fn package(&self, file_name: &PackageFileName) -> PathBuf {
        self.packages().join(file_name.as_str())
    }

    /// The PKGBUILD that the packages were built with, when there is one.
    #[must_use]
    pub fn pkgbuild(&self) -> PathBuf {
        self.path.join("PKGBUILD")
    }

    fn outcome(&self) -> PathBuf {
        self.path.join("outcome.json")
    }

    /// Makes the outcome and what belongs to it safe from a crash. The last step is the rename: a
    /// folder with an outcome holds everything that the outcome names.
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
                // It is not kept of every build.
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

    /// The saved outcome; `None` when the attempt was cut off before it had one.
    #[must_use]
    pub fn saved_outcome(&self) -> Option<Outcome> {
        let text = fs_err::read(self.outcome()).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Removes everything, the outcome first: what is left of a removal that was cut off must not
    /// look like a success without packages.
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
