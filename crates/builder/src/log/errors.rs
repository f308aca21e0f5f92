//! Picks the lines of a log that explain why the last step failed.

use super::evidence::Evidence;
use super::lines::Lines;

/// Parts of makepkg that are told apart: what follows belongs to the last of them.
const MAX_PARTS: usize = 100;
/// Errors of earlier parts that are shown where it is not known which part failed.
const MAX_EARLIER: usize = 2;

/// What makepkg writes when it starts a function.
const FUNCTION: &str = "==> Starting ";
/// What makepkg writes when it starts another part: what came before did not stop it. The check of build time
/// dependencies is not among them: makepkg makes it before it stops for missing runtime dependencies.
const PARTS: &[&str] = &[
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

/// What the C library calls ENOSPC.
const FULL_DISK: &str = "No space left on device";

/// Picks the lines that explain a failure out of the current step's output.
///
/// A package can write what makepkg writes when it starts the next part. So nothing is thrown away, and which
/// parts belong to the function that failed is decided in the end, by what the helper knows about that function.
#[derive(Debug, Default)]
pub(crate) struct ErrorLines {
    lines: Lines,
    parts: Parts,
    /// A tool said that a disk is full.
    full_disk: bool,
}

impl ErrorLines {
    /// The builder's next step begins: what came before did not stop it.
    pub(crate) fn next_step(&mut self) {
        *self = Self::default();
    }

    /// Reads the next bytes of the log.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let (parts, is_full) = (&mut self.parts, &mut self.full_disk);
        self.lines.feed(bytes, |line| {
            *is_full |= line.contains(FULL_DISK);
            parts.line(line);
        });
    }

    /// Whether a tool of the current step said that a disk is full. Not every such disk is the scratch disk.
    pub(crate) fn saw_full_disk(&self) -> bool {
        self.full_disk
    }

    /// The lines found since the last heading: the cause first, its consequence last. With the function that
    /// failed, those from its beginning on; else those of the last part of makepkg that said anything, and the
    /// first errors of the parts before it.
    pub(crate) fn finish(mut self, function: Option<&str>) -> Vec<String> {
        let parts = &mut self.parts;
        self.lines.finish(|line| parts.line(line));
        self.parts.explain(function)
    }
}

/// What was said since makepkg started one part.
#[derive(Debug, Default)]
struct Part {
    /// The part, by the beginning of the line that starts it; a function, by its name.
    name: String,
    evidence: Evidence,
}

/// What the parts of makepkg have said.
#[derive(Debug, Default)]
struct Parts {
    /// The last one, which is the current one.
    last: Part,
    before: Vec<Part>,
}

impl Parts {
    /// Reads a line. makepkg starts no part twice: a line that says so is the package's, and means nothing.
    fn line(&mut self, line: &str) {
        let Some(name) = part(line) else {
            return self.last.evidence.line(line);
        };
        let is_known = self.before.iter().any(|part| part.name == name) || self.last.name == name;
        if !is_known && self.before.len() < MAX_PARTS {
            let evidence = Evidence::default();
            let name = name.to_owned();
            let last = std::mem::replace(&mut self.last, Part { name, evidence });
            self.before.push(last);
        }
    }

    fn explain(self, function: Option<&str>) -> Vec<String> {
        let mut all = self.before;
        all.push(self.last);
        let start = all
            .iter()
            .position(|part| function.is_some_and(|function| part.name == function));
        let is_certain = start.is_some();
        let failed = all.split_off(start.unwrap_or(all.len() - 1));
        let mut last = Evidence::default();
        for part in failed {
            last.append(part.evidence);
        }
        let mut before: Vec<Evidence> = all.into_iter().map(|part| part.evidence).collect();
        // It may have failed without a word: then this is the nearest to a reason.
        if !last.has_reason()
            && last.is_silent()
            && let Some(earlier) = before.iter().rposition(Evidence::has_reason)
        {
            last = before.remove(earlier).with_verdict_of(last);
        }
        let earlier = before.iter().flat_map(Evidence::errors).take(MAX_EARLIER);
        let earlier: Vec<String> = if is_certain {
            Vec::new()
        } else {
            earlier.collect()
        };
        last.explain(earlier)
    }
}

/// The part that makepkg starts with this line.
fn part(line: &str) -> Option<&str> {
    let function = line
        .strip_prefix(FUNCTION)
        .map(|rest| rest.strip_suffix("()...").unwrap_or(rest));
    function.or_else(|| PARTS.iter().copied().find(|part| line.starts_with(part)))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tools;
