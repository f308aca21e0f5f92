//! Picks the lines of a log that explain why the last step failed.

use super::Lines;
use super::found::Found;

/// Parts of makepkg that are remembered: it has fewer.
const MOST_PARTS: usize = 16;

/// What makepkg writes when it starts the next part: what came before did not stop it. The check of build
/// time dependencies is not among them: makepkg makes it before it stops for missing runtime dependencies.
const PARTS: &[&str] = &[
    "==> Starting ",
    "==> Making package: ",
    "==> Checking runtime dependencies",
    "==> Retrieving sources",
    "==> Validating ",
    "==> Extracting sources",
    "==> Entering fakeroot environment",
    "==> Tidying install",
    "==> Checking for packaging issues",
    "==> Creating package ",
];

/// Picks the lines that explain a failure out of the current step's output.
#[derive(Debug, Default)]
pub(crate) struct ErrorLines {
    lines: Lines,
    found: Found,
    /// What the parts of makepkg before the current one said. A package can write what makepkg writes when it
    /// starts the next part, so that it is not thrown away.
    before: Vec<Found>,
}

impl ErrorLines {
    /// The builder's next step begins: what came before did not stop it.
    pub(crate) fn next_step(&mut self) {
        *self = Self::default();
    }

    /// Reads the next bytes of the log.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let (found, before) = (&mut self.found, &mut self.before);
        self.lines.feed(bytes, |line| read(line, found, before));
    }

    /// The lines found since the last heading: the cause first, its consequence last. Those of the last part
    /// of makepkg that said anything.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let (found, before) = (&mut self.found, &mut self.before);
        self.lines.finish(|line| read(line, found, before));
        let last = self.found;
        if last.has_reason() {
            return last.explain();
        }
        match self.before.into_iter().rev().find(Found::has_reason) {
            // The last part may have failed without a word: then this is the nearest to a reason.
            Some(earlier) if last.is_silent() => earlier.explain_failure_of(last),
            _ => last.explain(),
        }
    }
}

/// Reads a line; the beginning of makepkg's next part is not a line of the one before.
fn read(line: &str, found: &mut Found, before: &mut Vec<Found>) {
    if !PARTS.iter().any(|part| line.starts_with(part)) {
        return found.line(line);
    }
    if before.len() == MOST_PARTS {
        before.remove(0);
    }
    before.push(std::mem::take(found));
}

#[cfg(test)]
mod tests;
