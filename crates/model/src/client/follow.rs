//! Reads server-sent events.

use reqwest::Response;

use super::error::ClientError;
use crate::api::Event;

/// Longer lines than this are no events of ours.
const MAX_LINE: usize = 1024 * 1024;

/// The events of a namespace as they happen.
pub struct EventStream {
    server: String,
    response: Response,
    buffer: Vec<u8>,
}

impl EventStream {
    pub(super) fn new(server: String, response: Response) -> Self {
        Self {
            server,
            response,
            buffer: Vec::new(),
        }
    }

    /// Waits for the next event; `None` when the server ended the stream. Safe to cancel.
    ///
    /// # Errors
    /// When the connection breaks or an event cannot be read. Events are numbered: connect again and
    /// go on after the last one.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            while let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                // Events of ours fit on one `data:` line; ids are inside, comments keep alive.
                if let Some(data) = line.strip_prefix(b"data:") {
                    let event = serde_json::from_slice(data).map_err(|source| {
                        ClientError::UnexpectedResponse {
                            url: "events".into(),
                            source,
                        }
                    })?;
                    return Ok(Some(event));
                }
            }
            if self.buffer.len() > MAX_LINE {
                self.buffer.clear();
            }
            let chunk = self.response.chunk().await;
            match chunk.map_err(|source| ClientError::connection(&self.server, &source))? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}
