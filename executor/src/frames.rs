//! The protocol from the root side to the front, over a pipe: chunks of the log, results, packages.

use std::io::{self, Read, Write};

use buildbtw_doctor::Check;
use buildbtw_model::api::Outcome;
use buildbtw_model::{Explanation, PackageFileName};
use serde::{Deserialize, Serialize};

/// The largest payload, so that a wrong length cannot exhaust the front's memory.
const MAX_BYTES: u32 = 1 << 20;

/// A frame of the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A chunk of the build's log.
    Log(Vec<u8>),
    /// A message.
    Message(Message),
    /// A chunk of the file that was announced last.
    Data(Vec<u8>),
}

/// A message of the root side.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// The request succeeded.
    Done,
    /// The request failed.
    Failed {
        /// What failed, for the job's log. Sides of earlier versions know the message only.
        #[serde(flatten)]
        explanation: Explanation,
        /// Whether it is the job's own fault.
        is_jobs_fault: bool,
    },
    /// What the root side's checks found.
    Checks(Vec<Check>),
    /// The build has started.
    Building {
        /// The page of the build.
        url: String,
    },
    /// The build has ended.
    Finished(Finished),
    /// A package follows in [`Frame::Data`].
    File {
        /// The name of the package file.
        name: PackageFileName,
    },
}

/// How a build ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finished {
    /// The outcome as reported to the server.
    pub(crate) outcome: Outcome,
    /// Whether the report reached the server.
    pub(crate) delivery: Delivery,
    /// Why the report failed.
    pub(crate) delivery_error: Option<String>,
    /// The page of the build.
    pub(crate) url: String,
    /// The pacman repository that the packages are in now.
    pub(crate) repository: String,
    /// The size of all packages together.
    pub(crate) bytes: u64,
}

/// Whether the server has accepted an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delivery {
    /// The server has accepted it.
    Accepted,
    /// The server had ended the attempt before.
    AttemptEnded,
    /// The report failed.
    Failed,
}

impl Frame {
    /// Writes the frame.
    pub(crate) fn write(&self, mut to: impl Write) -> io::Result<()> {
        let text;
        let (kind, payload) = match self {
            Self::Log(bytes) => (b'L', bytes),
            Self::Data(bytes) => (b'D', bytes),
            Self::Message(message) => {
                text = serde_json::to_vec(message)?;
                (b'M', &text)
            }
        };
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        to.write_all(&[kind])?;
        to.write_all(&length.to_be_bytes())?;
        to.write_all(payload)?;
        to.flush()
    }

    /// Reads the next frame. Returns `None` at the end of the stream.
    pub(crate) fn read(mut from: impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0];
        if from.read(&mut kind)? == 0 {
            return Ok(None);
        }
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > MAX_BYTES {
            return Err(invalid("a frame that is too large"));
        }
        let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        from.read_exact(&mut payload)?;
        match kind {
            [b'L'] => Ok(Some(Self::Log(payload))),
            [b'D'] => Ok(Some(Self::Data(payload))),
            [b'M'] => Ok(Some(Self::Message(serde_json::from_slice(&payload)?))),
            _ => Err(invalid("a frame of an unknown kind")),
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the root side sent {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_frames() {
        let frames = [
            Frame::Log(b"\0\xff\n".to_vec()),
            Frame::Message(Message::File {
                name: "a-1-1-any.pkg.tar.zst".parse().unwrap(),
            }),
            Frame::Data(vec![]),
            Frame::Message(Message::Done),
        ];
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.write(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        for frame in frames {
            assert_eq!(Frame::read(&mut rest).unwrap(), Some(frame));
        }
        assert_eq!(Frame::read(&mut rest).unwrap(), None);
    }

    #[test]
    fn failure_crosses_versions() {
        let sent = Message::Failed {
            explanation: Explanation::with_hint("it failed", "do this"),
            is_jobs_fault: true,
        };
        let text = serde_json::to_string(&sent).unwrap();
        assert!(text.contains(r#""message":"it failed""#), "{text}");
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), sent);
        // As earlier versions send it.
        let text = r#"{"failed":{"message":"it failed","is_jobs_fault":false}}"#;
        let expected = Message::Failed {
            explanation: "it failed".into(),
            is_jobs_fault: false,
        };
        assert_eq!(serde_json::from_str::<Message>(text).unwrap(), expected);
    }

    #[test]
    fn rejects_malformed_frames() {
        for bytes in [
            &b"L\xff\xff\xff\xff"[..],
            b"X\0\0\0\0",
            b"M\0\0\0\x01{",
            b"L",
        ] {
            assert!(Frame::read(bytes).is_err(), "{bytes:?}");
        }
    }
}
