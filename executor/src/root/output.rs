//! Standard output: frames for the front, in order.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use buildbtw_agent::LogFile;
use buildbtw_model::saturating;
use buildbtw_telemetry::spawn_blocking_named;

use crate::frames::Frame;

/// The largest chunk that is sent in one frame.
const CHUNK: u64 = 64 << 10;

/// Writes to standard error and ignores failures: after the front was killed, this process still has to stop the build
/// and to report it.
pub(super) struct StderrWriter;

impl io::Write for StderrWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends frames to the front. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    // Keeps the frames of several threads apart.
    write_lock: Arc<Mutex<()>>,
}

impl Output {
    /// Writes a frame. Blocks until the front reads.
    pub(super) fn write(&self, frame: &Frame) -> io::Result<()> {
        let _order = self
            .write_lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        frame.write(io::stdout().lock())
    }

    /// Writes a frame without blocking the runtime.
    pub(super) async fn send(&self, frame: Frame) -> io::Result<()> {
        let output = self.clone();
        spawn_blocking_named("send frame", move || output.write(&frame))
            .await
            .map_err(io::Error::other)?
    }

    /// Sends the log as it grows, until it is closed or the front is gone.
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
            let read = log.read(offset, saturating(size));
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

    /// Sends the content of a file.
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
        spawn_blocking_named("send file", send)
            .await
            .map_err(io::Error::other)?
    }
}
