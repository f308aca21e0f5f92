//! The log of an attempt in a file on this machine: a slow server does not slow down the builder, and an outage does
//! not fill the memory.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use buildbtw_builder::LogSink;
use buildbtw_telemetry::spawn_blocking_named;
use tokio::sync::watch;

/// The state of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// The length in bytes.
    pub length: u64,
    /// Whether the log is complete.
    pub closed: bool,
}

/// The log of one attempt.
#[derive(Debug)]
pub struct LogFile {
    file: Arc<std::fs::File>,
    // Serializes writes; the length itself is in `state`.
    write_lock: Mutex<()>,
    state: watch::Sender<LogState>,
}

impl LogFile {
    /// Creates an empty log, or opens an existing one to append to it.
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
            write_lock: Mutex::new(()),
            state: watch::Sender::new(LogState {
                length,
                closed: false,
            }),
        })
    }

    /// Marks the log as complete.
    pub fn close(&self) {
        self.state.send_modify(|state| state.closed = true);
    }

    /// Subscribes to changes of the log.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LogState> {
        self.state.subscribe()
    }

    /// Reads `size` bytes from `offset` on.
    ///
    /// # Errors
    /// When there are fewer, or they cannot be read.
    pub async fn read(&self, offset: u64, size: usize) -> std::io::Result<Vec<u8>> {
        let file = Arc::clone(&self.file);
        let read = spawn_blocking_named("read log", move || {
            let mut chunk = vec![0; size];
            file.read_exact_at(&mut chunk, offset)?;
            Ok(chunk)
        });
        read.await.map_err(std::io::Error::other)?
    }
}

impl LogSink for LogFile {
    fn write(&self, bytes: &[u8]) {
        let _order = self
            .write_lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let offset = self.state.borrow().length;
        match self.file.write_all_at(bytes, offset) {
            Ok(()) => {
                self.state
                    .send_modify(|state| state.length += bytes.len() as u64);
            }
            // A full disk soon fails the build by itself; only its log ends here.
            Err(error) => tracing::error!(%error, "cannot write the build log"),
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
