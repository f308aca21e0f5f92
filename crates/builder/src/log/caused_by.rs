//! Chains of causes, which programs in Rust write below an error.

use super::cause::{Weight, weigh};
use super::text::{MAX_CHARS, shorten};

/// So long a reason is not made longer by the lines below it.
const LONG_ENOUGH: usize = 100;

/// The chain of causes below an `error: …` of Rust, of which the last is the reason.
#[derive(Debug)]
pub(super) struct CausedBy {
    pub(super) error: String,
    pub(super) reason: String,
    /// A line of a build script says why; nothing else does so better.
    pub(super) is_known: bool,
}

impl CausedBy {
    /// Takes in the next line of the reason.
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
            // What a build script says comes below its exit code, and what it panics with below the place.
            self.reason.clear();
        } else if weigh(text).0 == Weight::Cause {
            self.reason = text.to_owned();
            self.is_known = true;
        } else if self.reason.len() < LONG_ENOUGH {
            self.reason = shorten(format!("{} {text}", self.reason).trim(), MAX_CHARS);
        }
    }
}
