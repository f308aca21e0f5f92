//! Standard output: pieces for the front, in order.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use buildbtw_agent::LogFile;

use crate::frames::Frame;

/// The most that is sent at once.
const CHUNK: u64 = 64 << 10;

/// Standard error, while somebody listens. A front that was killed must not end this process before it
/// has stopped the build and said so.
pub(super) struct Complaints;

impl io::Write for Complaints {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The way to the front. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    // Pieces must not be mixed up.
    writing: Arc<Mutex<()>>,
}

impl Output {
    /// Writes a piece; may wait for the front to read it.
    pub(super) fn write(&self, frame: &Frame) -> io::Result<()> {
        let _order = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        frame.write(io::stdout().lock())
    }

    /// The same without making others wait.
    pub(super) async fn send(&self, frame: Frame) -> io::Result<()> {
        let output = self.clone();
        tokio::task::spawn_blocking(move || output.write(&frame))
            .await
            .map_err(io::Error::other)?
    }

    /// Sends a log while it is written, until it is closed or the front is gone.
    pub(super) async fn copy_log(self, log: Arc<LogFile>) {
        let mut state = log.watch();
        let mut offset = 0;
        loop {
            // Cannot fail: the sender is part of `log`.
            let _ = state.wait_for(|s| s.length > offset || s.closed).await;
            let now = *state.borrow();
            if offset >= now.length {
                return;
            }
            let size = (now.length - offset).min(CHUNK);
            let read = log.read(offset, usize::try_from(size).unwrap_or_default());
            let sent = match read.await {
                Ok(chunk) => self.send(Frame::Log(chunk)).await,
                Err(error) => Err(error),
            };
            if sent.is_err() {
                return;
            }
            offset += size;
        }
    }

    /// Sends what a file holds.
    pub(super) async fn send_file(&self, path: PathBuf) -> io::Result<()> {
        let output = self.clone();
        let send = move || {
            let mut file = fs_err::File::open(path)?;
            loop {
                let mut chunk = Vec::new();
                (&mut file).take(CHUNK).read_to_end(&mut chunk)?;
                if chunk.is_empty() {
                    return Ok(());
                }
                output.write(&Frame::Data(chunk))?;
            }
        };
        tokio::task::spawn_blocking(send)
            .await
            .map_err(io::Error::other)?
    }
}
