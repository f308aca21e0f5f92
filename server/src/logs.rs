//! Build logs: one file per attempt, appended by offset, read while it grows. The PKGBUILD of a successful
//! attempt is stored next to it.

use std::collections::HashMap;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use buildbtw_model::AttemptId;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

/// The logs of all attempts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logs {
    folder: Arc<Path>,
    open: Arc<Mutex<HashMap<AttemptId, OpenLog>>>,
}

/// A log that is being written or followed.
#[derive(Clone, Debug)]
struct OpenLog {
    /// Serialises appends: the check of the offset and the write must be one step.
    file: Arc<tokio::sync::Mutex<Option<fs_err::tokio::File>>>,
    length: watch::Sender<u64>,
}

impl Logs {
    /// Opens the logs below the server's data folder, which is created.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn new(data: &Path) -> io::Result<Self> {
        let folder = data.join("logs");
        fs_err::create_dir_all(&folder)?;
        Ok(Self {
            folder: folder.into(),
            open: Arc::default(),
        })
    }

    /// Returns the path of an attempt's log, which might not exist.
    #[must_use]
    pub fn path(&self, attempt: AttemptId) -> PathBuf {
        self.folder.join(format!("{attempt}.log"))
    }

    fn open_log(&self, attempt: AttemptId) -> OpenLog {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = open.entry(attempt).or_insert_with(|| OpenLog {
            file: Arc::default(),
            length: watch::channel(0).0,
        });
        entry.clone()
    }

    /// Appends the part of a chunk that the log does not have yet, and returns the log's length. A chunk
    /// that starts after the end is not stored.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn append(&self, attempt: AttemptId, offset: u64, chunk: &[u8]) -> io::Result<u64> {
        let log = self.open_log(attempt);
        let mut file = log.file.lock().await;
        let (opened, length) = self.open_file(attempt, file.take()).await?;
        let (opened, length) = append_new(opened, length, offset, chunk).await?;
        *file = Some(opened);
        log.length.send_replace(length);
        Ok(length)
    }

    /// Opens the file of a log and returns its length.
    async fn open_file(
        &self,
        attempt: AttemptId,
        file: Option<fs_err::tokio::File>,
    ) -> io::Result<(fs_err::tokio::File, u64)> {
        let opened = match file {
            Some(opened) => opened,
            None => {
                fs_err::tokio::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(self.path(attempt))
                    .await?
            }
        };
        let length = opened.metadata().await?.len();
        Ok((opened, length))
    }

    /// Prepares to append the reason why the server ends an attempt. [`writes_ended`](Self::writes_ended) waits until
    /// it is written: call this before the end of the attempt becomes visible.
    pub async fn conclude(&self, attempt: AttemptId) -> Conclusion {
        let file = self.open_log(attempt).file.lock_owned().await;
        Conclusion {
            logs: self.clone(),
            attempt,
            file,
        }
    }

    /// Waits until nothing is being written to a log. The log of an ended attempt is complete then.
    pub async fn writes_ended(&self, attempt: AttemptId) {
        let file = {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.get(&attempt).map(|log| Arc::clone(&log.file))
        };
        if let Some(file) = file {
            drop(file.lock().await);
        }
    }

    /// Returns the length of a log; 0 if nothing was logged. Opens the file, so that one that cannot be read is an error
    /// before a part of it is sent.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn length(&self, attempt: AttemptId) -> io::Result<u64> {
        match fs_err::tokio::File::open(self.path(attempt)).await {
            Ok(file) => Ok(file.metadata().await?.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Reads up to `limit` bytes of a log from `offset`; nothing beyond its end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn read(&self, attempt: AttemptId, offset: u64, limit: u64) -> io::Result<Vec<u8>> {
        // The kernel rejects larger offsets (lseek(2), EINVAL), and no file is that long.
        if i64::try_from(offset).is_err() {
            return Ok(Vec::new());
        }
        let mut file = match fs_err::tokio::File::open(self.path(attempt)).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(offset)).await?;
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    /// Returns a receiver that wakes when the log grows. Subscribe before reading.
    #[must_use]
    pub fn subscribe(&self, attempt: AttemptId) -> watch::Receiver<u64> {
        self.forget_unused();
        self.open_log(attempt).length.subscribe()
    }

    /// Removes entries of logs that are neither written nor followed: a follower of an ended attempt opens
    /// its log, and nothing closes it.
    fn forget_unused(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, log| {
            let is_written = log.file.try_lock().map_or(true, |file| file.is_some());
            is_written || log.length.receiver_count() > 0 || Arc::strong_count(&log.file) > 1
        });
    }

    /// Returns the attempts that have a log or a PKGBUILD.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn all(&self) -> io::Result<Vec<AttemptId>> {
        let mut attempts = Vec::new();
        for entry in fs_err::read_dir(&*self.folder)? {
            let name = entry?.file_name();
            let stem = name.to_str().and_then(|name| name.split_once('.'));
            attempts.extend(stem.and_then(|(stem, _)| stem.parse::<AttemptId>().ok()));
        }
        attempts.sort_unstable();
        attempts.dedup();
        Ok(attempts)
    }

    /// Returns the paths of an attempt's files, whether they exist or not.
    #[must_use]
    pub fn paths(&self, attempt: AttemptId) -> [PathBuf; 3] {
        let path = |end: &str| self.folder.join(format!("{attempt}.{end}"));
        [path("log"), path("PKGBUILD"), path("PKGBUILD.part")]
    }

    /// Stores the PKGBUILD of an attempt.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn store_pkgbuild(&self, attempt: AttemptId, text: &[u8]) -> io::Result<()> {
        let [_, path, part] = self.paths(attempt);
        let mut file = fs_err::tokio::File::create(&part).await?;
        file.write_all(text).await?;
        file.flush().await?;
        file.sync_data().await?;
        fs_err::tokio::rename(&part, &path).await
    }

    /// Reads the stored PKGBUILD of an attempt.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn pkgbuild(&self, attempt: AttemptId) -> io::Result<Option<Vec<u8>>> {
        let [_, path, _] = self.paths(attempt);
        match fs_err::tokio::read(path).await {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns whether the PKGBUILD of an attempt is stored.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn has_pkgbuild(&self, attempt: AttemptId) -> io::Result<bool> {
        let [_, path, _] = self.paths(attempt);
        tokio::fs::try_exists(path).await
    }

    /// Removes a log and its PKGBUILD.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub async fn remove(&self, attempt: AttemptId) -> io::Result<()> {
        self.close(attempt).await?;
        for path in self.paths(attempt) {
            match fs_err::tokio::remove_file(path).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes a log durable and closes it; nothing is appended after its attempt ended.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn close(&self, attempt: AttemptId) -> io::Result<()> {
        let log = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.remove(&attempt)
        };
        if let Some(log) = log {
            if let Some(file) = log.file.lock().await.take() {
                file.sync_data().await?;
            }
            // Wakes followers, which read the attempt's state again and see that it has ended.
            log.length.send_modify(|_| {});
        }
        Ok(())
    }
}

/// The last line of a log, written by the server. Dropping it writes nothing.
#[derive(Debug)]
pub struct Conclusion {
    logs: Logs,
    attempt: AttemptId,
    file: tokio::sync::OwnedMutexGuard<Option<fs_err::tokio::File>>,
}

impl Conclusion {
    /// Writes why the attempt ended, and closes the log.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn write(mut self, why: &str) -> io::Result<()> {
        let (logs, attempt) = (&self.logs, self.attempt);
        let (opened, length) = logs.open_file(attempt, self.file.take()).await?;
        let last = logs.read(attempt, length.saturating_sub(1), 1).await?;
        let is_whole = matches!(last[..], [] | [b'\n']);
        let start = if is_whole { "" } else { "\n" };
        let text = format!("{start}==> buildbtw: {why}\n");
        let (opened, _) = append_new(opened, length, length, text.as_bytes()).await?;
        *self.file = Some(opened);
        let Self {
            logs,
            attempt,
            file,
        } = self;
        drop(file);
        logs.close(attempt).await
    }
}

async fn append_new(
    mut file: fs_err::tokio::File,
    length: u64,
    offset: u64,
    chunk: &[u8],
) -> io::Result<(fs_err::tokio::File, u64)> {
    let Some(known) = length.checked_sub(offset) else {
        return Ok((file, length));
    };
    let new = usize::try_from(known)
        .ok()
        .and_then(|known| chunk.get(known..))
        .unwrap_or_default();
    if new.is_empty() {
        return Ok((file, length));
    }
    file.write_all(new).await?;
    file.flush().await?;
    Ok((file, length + new.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepts_repeated_and_overlapping_chunks_without_gaps() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path()).unwrap();
        let attempt = AttemptId::new();
        assert_eq!(logs.append(attempt, 0, b"hello ").await.unwrap(), 6);
        assert_eq!(logs.append(attempt, 0, b"hello ").await.unwrap(), 6);
        assert_eq!(logs.append(attempt, 3, b"lo world").await.unwrap(), 11);
        assert_eq!(logs.append(attempt, 20, b"hole").await.unwrap(), 11);
        logs.close(attempt).await.unwrap();
        assert_eq!(logs.append(attempt, 11, b"!").await.unwrap(), 12);
        assert_eq!(logs.read(attempt, 0, 100).await.unwrap(), b"hello world!");
        assert_eq!(logs.read(attempt, 6, 5).await.unwrap(), b"world");
        for beyond in [13, 1 << 63, u64::MAX] {
            assert_eq!(logs.read(attempt, beyond, 100).await.unwrap(), b"");
        }
    }
}
