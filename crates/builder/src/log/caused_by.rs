//! Follows the chains of causes that Rust programs print below an error.

use super::cause::{Weight, line_weight};
use super::text::{MAX_CHARS, shorten};

/// A reason of this length is not extended by the lines below it.
const LONG_ENOUGH: usize = 100;

/// The chain of causes below an `error: …` of a Rust program, of which the last is the reason.
#[derive(Debug)]
pub(super) struct CausedBy {
    pub(super) error: String,
    pub(super) reason: String,
    /// Whether a line of a build script gives the reason, which no later line improves.
    pub(super) is_known: bool,
}

impl CausedBy {
    /// Processes the next line of the chain.
    pub(super) fn line(&mut self, text: &str) {
        let numbered = text
            .split_once(": ")
            .filter(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
        let is_panic = text.starts_with("thread '") && text.contains("panicked at ");
        if self.is_known {
            return;
        }
        if let Some((_, reason)) = numbered {
            self.reason = reason.to_owned();
        } else if matches!(text, "--- stdout" | "--- stderr") || is_panic {
            // The output of a build script comes below its exit code, and the message of a panic below its
            // location.
            self.reason.clear();
        } else if line_weight(text).0 == Weight::Cause {
            self.reason = text.to_owned();
            self.is_known = true;
        } else if self.reason.len() < LONG_ENOUGH {
            self.reason = shorten(format!("{} {text}", self.reason).trim(), MAX_CHARS);
        }
    }
}
