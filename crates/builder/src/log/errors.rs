//! Picks the lines of a log that explain why the last step failed.

use super::evidence::Evidence;
use super::lines::Lines;

/// The maximum number of makepkg's parts to distinguish; further output belongs to the last of them.
const MAX_PARTS: usize = 100;
/// How many errors of earlier parts are shown when the failed part is unknown.
const MAX_EARLIER: usize = 2;

/// The line by which makepkg announces a function.
const FUNCTION: &str = "==> Starting ";
/// The lines by which makepkg announces other parts, which means that earlier output did not stop it. The
/// check of build-time dependencies is omitted: makepkg performs it before it stops for missing runtime
/// dependencies.
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

/// The C library's message for ENOSPC.
const FULL_DISK: &str = "No space left on device";

/// Picks the lines that explain a failure from the output of the current step.
///
/// A package can print what makepkg prints when it starts the next part. So nothing is discarded, and only at
/// the end is it decided which parts belong to the failed function, from what the helper knows about that
/// function.
#[derive(Debug, Default)]
pub(crate) struct ErrorLines {
    lines: Lines,
    parts: Parts,
    /// Whether a tool reported a full disk.
    full_disk: bool,
}

impl ErrorLines {
    /// Starts the builder's next step: earlier output did not stop the build.
    pub(crate) fn next_step(&mut self) {
        *self = Self::default();
    }

    /// Processes the next bytes of the log.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let (parts, is_full) = (&mut self.parts, &mut self.full_disk);
        self.lines.feed(bytes, |line| {
            *is_full |= line.contains(FULL_DISK);
            parts.line(line);
        });
    }

    /// Returns whether a tool of the current step reported a full disk, which need not be the scratch disk.
    pub(crate) fn reported_full_disk(&self) -> bool {
        self.full_disk
    }

    /// Returns the lines found since the last heading: the cause first, its consequence last. If the failed
    /// function is known, these are the lines since its start; otherwise those of the last part of makepkg
    /// with any output, and the first errors of the parts before it.
    pub(crate) fn finish(mut self, function: Option<&str>) -> Vec<String> {
        let parts = &mut self.parts;
        self.lines.finish(|line| parts.line(line));
        self.parts.explain(function)
    }
}

/// The output since makepkg announced one part.
#[derive(Debug, Default)]
struct Part {
    /// The beginning of the line that announces the part; for a function, its name.
    name: String,
    evidence: Evidence,
}

/// The output of all parts of makepkg.
#[derive(Debug, Default)]
struct Parts {
    /// The current part.
    last: Part,
    before: Vec<Part>,
}

impl Parts {
    /// Processes a line. makepkg starts no part twice: a line that announces one again comes from the package
    /// and is ignored.
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
        // It may have failed without any message: then this is the most likely reason.
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

/// Returns the part that makepkg announces by this line.
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
