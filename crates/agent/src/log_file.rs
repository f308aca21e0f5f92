//! The log of an attempt on this machine's disk: the builder writes it at its own pace, and it waits
//! there for however long the server is away. Memory holds none of it.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use buildbtw_builder::LogSink;
use tokio::sync::watch;

/// How much of a log there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// Its length in bytes.
    pub length: u64,
    /// Whether nothing more will come.
    pub closed: bool,
}

/// The log of one attempt.
#[derive(Debug)]
pub struct LogFile {
    file: Arc<std::fs::File>,
    // Guards the order of writes; the length itself is in `state`.
    writing: Mutex<()>,
    state: watch::Sender<LogState>,
}

impl LogFile {
    /// Starts an empty log, or goes on with one that is there.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?
            .into_parts()
            .0;
        let length = file.metadata()?.len();
        Ok(Self {
            file: Arc::new(file),
            writing: Mutex::new(()),
            state: watch::Sender::new(LogState {
                length,
                closed: false,
            }),
        })
    }

    /// Says that nothing more will be written.
    pub fn close(&self) {
        self.state.send_modify(|state| state.closed = true);
    }

    /// Hears of every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LogState> {
        self.state.subscribe()
    }

    /// The `size` bytes from `offset` on.
    ///
    /// # Errors
    /// When there are fewer, or they cannot be read.
    pub async fn read(&self, offset: u64, size: usize) -> std::io::Result<Vec<u8>> {
        let file = Arc::clone(&self.file);
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; size];
            file.read_exact_at(&mut chunk, offset)?;
            Ok(chunk)
        });
        read.await.map_err(std::io::Error::other)?
    }
}

impl LogSink for LogFile {
    fn write(&self, bytes: &[u8]) {
        let _order = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = self.state.borrow().length;
        match self.file.write_all_at(bytes, offset) {
            Ok(()) => {
                self.state
                    .send_modify(|state| state.length += bytes.len() as u64);
            }
            // A full disk fails the build soon enough by itself; its log just ends here.
            Err(error) => tracing::error!(%error, "cannot write the build's log"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reopens_log_file_and_appends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = LogFile::open(&path).unwrap();
        log.write(b"one\n");
        log.write(b"two\n");
        assert_eq!(log.read(4, 4).await.unwrap(), b"two\n");
        drop(log);
        let log = LogFile::open(&path).unwrap();
        log.write(b"three\n");
        log.close();
        let state = *log.watch().borrow();
        assert_eq!((state.length, state.closed), (14, true));
        assert_eq!(log.read(0, 14).await.unwrap(), b"one\ntwo\nthree\n");
    }
}
