//! Pacman repositories on disk, one folder per namespace, iteration and architecture. Each package file has its own
//! name there, so that any web server can serve a copy of a folder.

pub mod base;
pub mod choice;
pub mod database;
pub mod image;
pub mod package_file;
mod rendered;
mod work_limits;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::db::TokenId;
use crate::db::builds::BuildRow;
use buildbtw_model::{Architecture, AttemptId, NamespaceName, PackageFileName, Sha256Digest};

use rendered::RenderedDatabases;
use work_limits::WorkLimits;
pub use work_limits::{Rendering, WorkPermit};

/// The folders of repositories, uploads and temporary files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repos {
    repos: PathBuf,
    uploads: PathBuf,
    /// Discarded folders before their removal, out of the way of new namespaces of the same name.
    trash: PathBuf,
    /// Files that are being written. Those that a crash leaves are removed at the next start.
    staging: PathBuf,
    /// Held while the trash is filled and emptied, so that emptying it does not remove a place that another task
    /// has just created.
    trash_lock: Arc<Mutex<()>>,
    limits: WorkLimits,
    rendered: RenderedDatabases,
}

/// The repository of one iteration and architecture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RepositoryKey {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The number of the iteration.
    pub iteration: u32,
    /// The architecture, never `any`.
    pub architecture: Architecture,
}

impl RepositoryKey {
    /// Returns the repository that a build is published in.
    #[must_use]
    pub fn of(build: &BuildRow) -> Self {
        Self {
            namespace: build.namespace.clone(),
            iteration: build.iteration,
            architecture: build.architecture.clone(),
        }
    }
}

impl Repos {
    /// Creates the folders below the server's data folder.
    ///
    /// # Errors
    /// When one cannot be created.
    pub fn new(data: &Path) -> io::Result<Self> {
        let this = Self {
            repos: data.join("repos"),
            uploads: data.join("uploads"),
            trash: data.join("trash"),
            staging: data.join("staging"),
            trash_lock: Arc::default(),
            limits: WorkLimits::new(),
            rendered: RenderedDatabases::new(data.join("rendered")),
        };
        let rendered = this.rendered.folder();
        for folder in [
            &this.repos,
            &this.uploads,
            &this.trash,
            &this.staging,
            rendered,
        ] {
            fs_err::create_dir_all(folder)?;
        }
        Ok(this)
    }

    /// Returns the folder of a namespace, or of one of its iterations.
    #[must_use]
    pub fn folder_of(&self, namespace: &NamespaceName, iteration: Option<u32>) -> PathBuf {
        let folder = self.repos.join(namespace.as_str());
        match iteration {
            Some(number) => folder.join(number.to_string()),
            None => folder,
        }
    }

    /// Lets removals wait until the result is dropped: a backup collects the files of all repositories. Blocking; waits
    /// for removals that are running, also in another process.
    ///
    /// # Errors
    /// When the lock cannot be taken.
    pub fn pause_removals(&self) -> io::Result<fs_err::File> {
        let lock = fs_err::File::open(&self.trash)?;
        lock.lock()?;
        Ok(lock)
    }

    /// Removes folders of repositories, and frees their space. Waits for the end of [`Self::pause_removals`].
    ///
    /// # Errors
    /// When a file system operation fails.
    pub fn remove(&self, folders: &[PathBuf]) -> io::Result<()> {
        let not_paused = fs_err::File::open(&self.trash)?;
        not_paused.lock_shared()?;
        let _alone = self
            .trash_lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for folder in folders {
            self.discard(folder)?;
        }
        self.empty_trash()
    }

    /// Moves a folder of repositories into the trash, which hides it from readers immediately. A missing folder is not
    /// an error.
    ///
    /// # Errors
    /// When the folder cannot be moved; it is unchanged then.
    fn discard(&self, folder: &Path) -> io::Result<()> {
        let place = tempfile::Builder::new()
            .prefix("")
            .tempdir_in(&self.trash)?
            .keep();
        match fs_err::rename(folder, place.join("files")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Frees the space of the trash.
    ///
    /// # Errors
    /// When a file cannot be removed.
    fn empty_trash(&self) -> io::Result<()> {
        for entry in fs_err::read_dir(&self.trash)? {
            fs_err::remove_dir_all(entry?.path())?;
        }
        Ok(())
    }

    /// Removes the temporary files of the last run. Must be called before anything is written.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn empty_staging(&self) -> io::Result<()> {
        for folder in [&self.staging, self.rendered.folder()] {
            for entry in fs_err::read_dir(folder)? {
                fs_err::remove_file(entry?.path())?;
            }
        }
        Ok(())
    }

    /// Returns the path of the rendered database with this tag, if it is still cached.
    #[must_use]
    pub fn rendered(&self, tag: &Sha256Digest) -> Option<PathBuf> {
        self.rendered.find(tag)
    }

    /// Caches a rendered database, so that it can be sent from the disk. Blocking.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_rendered(&self, tag: &Sha256Digest, content: &[u8]) -> io::Result<PathBuf> {
        self.rendered.keep(tag, content)
    }

    /// Returns the path of a repository's database.
    #[must_use]
    pub fn database(&self, key: &RepositoryKey) -> PathBuf {
        self.folder(key).join(format!("{}.db", key.namespace))
    }

    /// Returns the path of a repository's database with file lists.
    #[must_use]
    pub fn file_lists(&self, key: &RepositoryKey) -> PathBuf {
        self.folder(key).join(format!("{}.files", key.namespace))
    }

    /// Replaces a file of a repository atomically.
    ///
    /// # Errors
    /// When a file system operation fails; the file is unchanged then.
    pub fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        replace_file(path, content, None, &self.staging)
    }

    /// Replaces a file of a repository atomically, and sets its modification time.
    ///
    /// # Errors
    /// When a file system operation fails; the file is unchanged then.
    pub fn replace_at(&self, path: &Path, content: &[u8], modified: SystemTime) -> io::Result<()> {
        replace_file(path, content, Some(modified), &self.staging)
    }

    /// Returns the names of the namespaces that have folders.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn namespaces(&self) -> io::Result<Vec<NamespaceName>> {
        let mut names = Vec::new();
        for entry in fs_err::read_dir(&self.repos)? {
            let name = entry?.file_name();
            names.extend(
                name.to_str()
                    .and_then(|name| name.parse::<NamespaceName>().ok()),
            );
        }
        Ok(names)
    }

    /// Returns the numbers of the iterations of a namespace that have folders.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn iterations(&self, namespace: &NamespaceName) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in fs_err::read_dir(self.folder_of(namespace, None))? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        Ok(numbers)
    }

    /// Returns the folder of a repository.
    #[must_use]
    pub fn folder(&self, key: &RepositoryKey) -> PathBuf {
        self.repos
            .join(key.namespace.as_str())
            .join(key.iteration.to_string())
            .join(key.architecture.as_str())
    }

    /// Returns the folder of an attempt's uploads until its outcome is accepted.
    #[must_use]
    pub fn uploads(&self, attempt: AttemptId) -> PathBuf {
        self.uploads.join(attempt.to_string())
    }

    /// Returns the attempts that have a folder of uploads.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn uploading(&self) -> io::Result<Vec<AttemptId>> {
        let mut attempts = Vec::new();
        for entry in fs_err::read_dir(&self.uploads)? {
            let name = entry?.file_name();
            attempts.extend(
                name.to_str()
                    .and_then(|name| name.parse::<AttemptId>().ok()),
            );
        }
        Ok(attempts)
    }

    /// Waits for a permit to read a package of this sender and size.
    ///
    /// # Errors
    /// Never: the semaphores are not closed.
    pub async fn acquire_read_permit(
        &self,
        sender: TokenId,
        size: u64,
    ) -> anyhow::Result<WorkPermit> {
        self.limits.read(sender, size).await
    }

    /// Waits for a permit to render a database.
    ///
    /// # Errors
    /// Never: the semaphores are not closed.
    pub async fn acquire_render_permit(&self, what: Rendering) -> anyhow::Result<WorkPermit> {
        self.limits.render(what).await
    }

    /// Hard-links a package into a repository. Idempotent; the caller ensures that no other package is served under
    /// this name.
    ///
    /// # Errors
    /// When the file does not exist, or a file system operation fails.
    pub fn link(&self, from: &Path, key: &RepositoryKey, file: &PackageFileName) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        let folder = self.folder(key);
        fs_err::create_dir_all(&folder)?;
        let target = folder.join(file.as_str());
        match fs_err::hard_link(from, &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let (old, new) = (fs_err::metadata(&target)?, fs_err::metadata(from)?);
                if old.ino() == new.ino() {
                    return Ok(());
                }
                // Left by an attempt that was not accepted, so that no database has listed it.
                let temporary = folder.join(format!(".{file}.new"));
                match fs_err::remove_file(&temporary) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                fs_err::hard_link(from, &temporary)?;
                fs_err::rename(&temporary, &target)
            }
            result => result,
        }
    }
}

/// Makes changes of names in a folder durable.
///
/// # Errors
/// When the folder cannot be synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    fs_err::File::open(folder)?.sync_all()
}

/// Replaces a file atomically and durably. Until it is complete it is in `staging`, which must be on the same file
/// system.
///
/// # Errors
/// When a file system operation fails; the file is unchanged then.
fn replace_file(
    path: &Path,
    content: &[u8],
    modified: Option<SystemTime>,
    staging: &Path,
) -> io::Result<()> {
    use io::Write as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(staging)?;
    file.write_all(content)?;
    if let Some(modified) = modified {
        file.as_file().set_modified(modified)?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder)
}
