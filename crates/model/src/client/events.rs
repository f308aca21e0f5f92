//! A reader for server-sent events.

use reqwest::Response;

use super::error::ClientError;
use crate::api::Event;

/// The limit for a line; no event is longer.
const MAX_LINE: usize = 1024 * 1024;

/// Which events of all namespaces to stream. Several values are separated by commas; absent ones exclude nothing.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct EventFilter {
    /// The namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The kinds, or their first parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The source packages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
}

/// The stream of the events of a namespace, or of all.
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

    /// Waits for the next event; returns `None` when the server ends the stream. Cancel safe.
    ///
    /// # Errors
    /// Fails when the connection breaks or an event cannot be parsed. Events are numbered: reconnect and continue after
    /// the last one.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            while let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                // Every event is one `data:` line, with its id inside. Comment lines keep the connection alive.
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
