//! Picks the lines of a log that explain why the last step failed.

use std::collections::VecDeque;

use super::Lines;
use super::cause::{Continued, Weight, weigh};
use super::go_test::{GoTests, Heard};
use super::words::{cut, is_stack, same_words};

/// Lines that are kept for the failure's message.
const KEPT_LINES: usize = 4;
/// Characters of a line in a message.
const LONGEST: usize = 300;
/// Parts of makepkg that are remembered: it has fewer.
const MOST_PARTS: usize = 16;
/// Lines that are joined to one.
const MOST_JOINED: usize = 8;

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

/// A line that may explain the failure.
#[derive(Clone, Debug)]
struct Kept {
    text: String,
    /// The number of its last line among those that are not consequences.
    number: u64,
}

/// Picks the lines that explain a failure out of the current step's output.
#[derive(Debug, Default)]
pub(crate) struct ErrorLines {
    lines: Lines,
    found: Found,
    /// What the parts of makepkg before the current one said. A package can write what makepkg writes when it
    /// starts the next part, so that it is not thrown away.
    before: Vec<Found>,
    /// A tool said that a disk is full.
    full_disk: bool,
}

/// What the C library calls ENOSPC.
const FULL_DISK: &str = "No space left on device";

impl ErrorLines {
    /// The builder's next step begins: what came before did not stop it.
    pub(crate) fn next_step(&mut self) {
        *self = Self::default();
    }

    /// Reads the next bytes of the log.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let (found, before) = (&mut self.found, &mut self.before);
        let is_full = &mut self.full_disk;
        self.lines.feed(bytes, |line| {
            *is_full |= line.contains(FULL_DISK);
            read(line, found, before);
        });
    }

    /// Whether a tool of the current step said that a disk is full. Not every such disk is the scratch disk.
    pub(crate) fn saw_full_disk(&self) -> bool {
        self.full_disk
    }

    /// The lines found since the last heading: the cause first, its consequence last. Those of the last part
    /// of makepkg that said anything.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let (found, before) = (&mut self.found, &mut self.before);
        self.lines.finish(|line| read(line, found, before));
        let last = self.found;
        let verdict = last.verdict.clone();
        if last.has_reason() {
            return last.explain();
        }
        match self.before.into_iter().rev().find(Found::has_reason) {
            // The last part may have failed without a word: then this is the nearest to a reason.
            Some(mut found) if last.is_silent() => {
                found.verdict = verdict;
                found.explain()
            }
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

#[derive(Debug, Default)]
struct Found {
    causes: Vec<Kept>,
    /// The exception of the last traceback.
    exception: Option<Kept>,
    complaints: VecDeque<Kept>,
    hints: Vec<Kept>,
    /// The last lines that say nothing known.
    tail: VecDeque<String>,
    /// The first line that only says that something failed.
    consequence: Option<String>,
    /// What makepkg says about a function that failed.
    verdict: Option<String>,
    joining: Option<Joining>,
    in_traceback: bool,
    /// `FILE:LINE` of Python's last `File "FILE", line LINE`.
    python_place: Option<String>,
    caused_by: Option<CausedBy>,
    go_tests: GoTests,
    /// Lines so far that are not consequences.
    number: u64,
}

#[derive(Debug)]
struct Joining {
    how: Continued,
    left: usize,
}

/// The chain of causes below an `error: …` of Rust, of which the last is the reason.
#[derive(Debug)]
struct CausedBy {
    error: String,
    reason: String,
}

impl Found {
    fn line(&mut self, line: &str) {
        // After its verdict makepkg only cleans up.
        if self.verdict.is_some() || self.join(line) {
            return;
        }
        if line.trim().is_empty() {
            return;
        }
        self.python_place = python_place(line).or(self.python_place.take());
        if self.traceback(line) || self.caused_by(line) || is_stack(line.trim()) {
            return;
        }
        match self.go_tests.line(line) {
            Heard::Nothing => {}
            Heard::Quiet => return self.remember(line),
            Heard::Failed(messages) => {
                for text in messages {
                    self.number += 1;
                    let text = cut(&text, LONGEST);
                    let number = self.number;
                    keep_first(&mut self.causes, Kept { text, number });
                }
            }
        }
        let (weight, continued) = weigh(line);
        if weight == Weight::Consequence {
            self.consequence(line);
            return;
        }
        self.number += 1;
        let kept = Kept {
            text: cut(&self.with_place(line.trim()), LONGEST),
            number: self.number,
        };
        match weight {
            Weight::Cause => keep_first(&mut self.causes, kept),
            Weight::Complaint => keep_last(&mut self.complaints, kept),
            Weight::Hint => keep_first(&mut self.hints, kept),
            Weight::Consequence | Weight::Nothing => {}
        }
        self.joining = (continued != Continued::No).then_some(Joining {
            how: continued,
            left: MOST_JOINED,
        });
        self.remember(line);
    }

    fn remember(&mut self, line: &str) {
        let is_own = line.starts_with("==> ") || line.trim() == "Aborting...";
        let is_question = line.contains("[Y/n]") || line.contains("[y/N]");
        if !is_own && !is_question {
            if self.tail.len() == KEPT_LINES {
                self.tail.pop_front();
            }
            self.tail.push_back(cut(line.trim(), LONGEST));
        }
    }

    fn consequence(&mut self, line: &str) {
        let text = line.trim();
        if text.starts_with("==> ERROR: ") {
            self.verdict = Some(cut(text, LONGEST));
        } else if self.consequence.is_none() && !text.starts_with("Aborting") {
            self.consequence = Some(cut(text, LONGEST));
            self.remember(line);
        }
    }

    /// Adds a line to the one that it belongs to.
    fn join(&mut self, line: &str) -> bool {
        let Some(joining) = &mut self.joining else {
            return false;
        };
        let text = line.trim();
        let belongs = match joining.how {
            Continued::No => false,
            Continued::Line => true,
            Continued::Place => text.starts_with("--> "),
            Continued::Indented => line.starts_with(' ') || text.is_empty(),
            Continued::GoMessage => text.contains(".go:"),
            Continued::GoogleTest => !text.starts_with('[') && !text.ends_with(": Failure"),
        };
        if !belongs {
            self.joining = None;
            return false;
        }
        if text.is_empty() {
            return true;
        }
        joining.left -= 1;
        let is_over = joining.left == 0
            || !matches!(joining.how, Continued::Indented | Continued::GoogleTest);
        // A fifth cause is not kept, and neither is what belongs to it.
        if let Some(kept) = self
            .causes
            .last_mut()
            .filter(|kept| kept.number == self.number)
        {
            let text = text.strip_prefix("-> ").unwrap_or(text);
            kept.text = cut(&format!("{} {text}", kept.text), LONGEST);
        }
        if is_over {
            self.joining = None;
        }
        true
    }

    /// A syntax error of Python with its place, which it writes in a line before.
    fn with_place(&self, text: &str) -> String {
        let is_syntax = ["SyntaxError: ", "IndentationError: ", "TabError: "]
            .iter()
            .any(|name| text.starts_with(name));
        match &self.python_place {
            Some(place) if is_syntax => format!("{place}: {text}"),
            _ => text.to_owned(),
        }
    }

    /// Follows a chain of causes, and adds the last one to the error above it.
    fn caused_by(&mut self, line: &str) -> bool {
        let text = line.trim();
        let number = self.number;
        if text == "Caused by:" {
            let error = match self.caused_by.take() {
                Some(chain) => Some(chain.error),
                None => self.complaints.back().and_then(|kept| {
                    let is_error =
                        kept.text.starts_with("error: ") || kept.text.starts_with("Error: ");
                    (is_error && kept.number == number).then(|| kept.text.clone())
                }),
            };
            self.caused_by = error.map(|error| CausedBy {
                error,
                reason: String::new(),
            });
            return self.caused_by.is_some();
        }
        let Some(chain) = self.caused_by.as_mut().filter(|_| line.starts_with(' ')) else {
            self.caused_by = None;
            return false;
        };
        let numbered = text
            .split_once(": ")
            .filter(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
        chain.reason = match numbered {
            Some((_, reason)) => reason.to_owned(),
            None => cut(format!("{} {text}", chain.reason).trim(), LONGEST),
        };
        if let Some(kept) = self.complaints.back_mut() {
            kept.text = cut(&format!("{}: {}", chain.error, chain.reason), LONGEST);
        }
        true
    }

    /// Follows a Python traceback to the exception at its end.
    fn traceback(&mut self, line: &str) -> bool {
        if line
            .trim_start()
            .starts_with("Traceback (most recent call last):")
        {
            self.in_traceback = true;
            self.number += 1;
            return true;
        }
        if !self.in_traceback {
            return false;
        }
        self.number += 1;
        self.remember(line);
        let text = line.trim();
        // The stack is indented below the heading, which may be indented itself by a test runner.
        let is_stack = line.starts_with(' ') && !super::words::is_exception(text);
        if is_stack {
            return true;
        }
        self.in_traceback = false;
        let is_consequence = weigh(line).0 == Weight::Consequence;
        let is_explained = self.exception.is_some() || !self.causes.is_empty();
        if !(is_consequence && is_explained) {
            self.exception = Some(Kept {
                text: cut(&self.with_place(text), LONGEST),
                number: self.number,
            });
        }
        true
    }

    /// Whether something was said that can be the reason of a failure.
    fn has_reason(&self) -> bool {
        !self.causes.is_empty() || self.exception.is_some() || !self.complaints.is_empty()
    }

    /// Whether nothing was said at all but that something failed.
    fn is_silent(&self) -> bool {
        self.tail.is_empty() && self.hints.is_empty()
    }

    fn explain(self) -> Vec<String> {
        let mut order: Vec<&Kept> = Vec::new();
        // A function ends with the command that fails, so that a complaint at the end is the cause.
        let last = self
            .complaints
            .back()
            .filter(|kept| kept.number == self.number && !is_summary(&kept.text));
        order.extend(last);
        order.extend(
            self.exception
                .iter()
                .filter(|kept| kept.number == self.number),
        );
        order.extend(&self.causes);
        order.extend(&self.exception);
        if order.is_empty() {
            order.extend(&self.complaints);
        } else {
            // makepkg's own errors say which of its steps failed.
            let own = |kept: &&Kept| kept.text.starts_with("==> ERROR: ");
            order.extend(self.complaints.iter().filter(own));
        }
        let mut lines: Vec<String> = Vec::new();
        let is_explained = !order.is_empty();
        for kept in order.into_iter().map(|kept| &kept.text) {
            if lines.len() < KEPT_LINES && !lines.iter().any(|line| same_words(line, kept)) {
                lines.push(kept.clone());
            }
        }
        if !is_explained {
            lines.extend(self.hints.iter().take(2).map(|kept| kept.text.clone()));
            for line in self.tail {
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
            lines.extend(self.consequence.filter(|line| !lines.contains(line)));
        }
        lines.extend(self.verdict);
        lines
    }
}

fn python_place(line: &str) -> Option<String> {
    let (file, rest) = line
        .trim_start()
        .strip_prefix("File \"")?
        .split_once("\", line ")?;
    let number = rest.split(',').next().unwrap_or(rest).trim();
    Some(cut(&format!("{file}:{number}"), LONGEST))
}

/// Whether a tool says last of all which of its steps failed, after the reason.
fn is_summary(text: &str) -> bool {
    ["==> ERROR: ", "[ERROR] ", "npm ERR! ", "npm error "]
        .iter()
        .any(|start| text.starts_with(start))
}

/// The first ones count, since the others may follow from them.
fn keep_first(list: &mut Vec<Kept>, kept: Kept) {
    if list.len() < KEPT_LINES
        && list
            .iter()
            .all(|other| !same_words(&other.text, &kept.text))
    {
        list.push(kept);
    }
}

/// The first few, and the last.
fn keep_last(list: &mut VecDeque<Kept>, kept: Kept) {
    if list.len() == KEPT_LINES {
        list.pop_back();
    }
    list.push_back(kept);
}

#[cfg(test)]
mod tests;
