//! Collects the lines of one part of a build that may explain why it failed.

use std::collections::VecDeque;

use super::cause::{Continued, Weight, line_weight};
use super::caused_by::CausedBy;
use super::go_test::{GoLine, GoTests};
use super::text::{MAX_CHARS, equal_except_whitespace, is_exception, is_stack, shorten};

/// How many lines of each kind are kept for the message.
const MAX_KEPT: usize = 4;
/// How many lines are joined into one.
const MAX_JOINED: usize = 8;

/// A line that may explain the failure.
#[derive(Clone, Debug)]
struct EvidenceLine {
    text: String,
    /// The number of its last line, not counting consequences.
    number: u64,
}

/// The lines of one part that may explain its failure.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    causes: Vec<EvidenceLine>,
    /// The exception of the last traceback.
    exception: Option<EvidenceLine>,
    complaints: VecDeque<EvidenceLine>,
    hints: Vec<EvidenceLine>,
    /// The last lines of any kind.
    tail: VecDeque<String>,
    /// The first line that only reports a failure.
    consequence: Option<String>,
    /// The last line of makepkg about a failed function: a package can print the same before.
    verdict: Option<String>,
    joining: Option<MultilineCause>,
    in_traceback: bool,
    /// `FILE:LINE` of Python's last `File "FILE", line LINE`.
    python_location: Option<String>,
    caused_by: Option<CausedBy>,
    go_tests: GoTests,
    /// The number of lines so far, not counting consequences.
    number: u64,
}

#[derive(Debug)]
struct MultilineCause {
    how: Continued,
    left: usize,
}

impl Evidence {
    /// Processes the next line.
    pub(super) fn line(&mut self, line: &str) {
        if self.join(line) || line.trim().is_empty() {
            return;
        }
        self.python_location = python_location(line).or(self.python_location.take());
        if self.traceback(line) || self.caused_by(line) || is_stack(line.trim()) {
            return;
        }
        match self.go_tests.line(line) {
            GoLine::Other => {}
            GoLine::Handled => return self.remember(line),
            GoLine::Failed(messages) => {
                for text in messages {
                    self.number += 1;
                    let text = shorten(&text, MAX_CHARS);
                    let number = self.number;
                    keep_earliest(&mut self.causes, EvidenceLine { text, number });
                }
            }
        }
        let (weight, continued) = line_weight(line);
        if weight == Weight::Consequence {
            self.consequence(line);
            return;
        }
        self.number += 1;
        let kept = EvidenceLine {
            text: shorten(&self.with_place(line.trim()), MAX_CHARS),
            number: self.number,
        };
        match weight {
            Weight::Cause => keep_earliest(&mut self.causes, kept),
            Weight::Complaint => keep_last(&mut self.complaints, kept),
            Weight::Hint => keep_earliest(&mut self.hints, kept),
            Weight::Consequence | Weight::Nothing => {}
        }
        self.joining = (continued != Continued::No).then_some(MultilineCause {
            how: continued,
            left: MAX_JOINED,
        });
        self.remember(line);
    }

    fn remember(&mut self, line: &str) {
        let is_own = line.starts_with("==> ") || line.trim() == "Aborting...";
        let is_question = line.contains("[Y/n]") || line.contains("[y/N]");
        if !is_own && !is_question {
            if self.tail.len() == MAX_KEPT {
                self.tail.pop_front();
            }
            self.tail.push_back(shorten(line.trim(), MAX_CHARS));
        }
    }

    fn consequence(&mut self, line: &str) {
        let text = line.trim();
        if text.starts_with("==> ERROR: ") {
            self.verdict = Some(shorten(text, MAX_CHARS));
        } else if self.consequence.is_none() && !text.starts_with("Aborting") {
            self.consequence = Some(shorten(text, MAX_CHARS));
            self.remember(line);
        }
    }

    /// Appends a continuation to the line that it belongs to.
    fn join(&mut self, line: &str) -> bool {
        let Some(joining) = &mut self.joining else {
            return false;
        };
        let text = line.trim();
        let belongs = match joining.how {
            Continued::No => false,
            Continued::Line => true,
            Continued::Place => text.starts_with("--> "),
            Continued::Paragraph => !text.is_empty() && !line.starts_with("==> "),
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
            || !matches!(
                joining.how,
                Continued::Indented | Continued::Paragraph | Continued::GoogleTest
            );
        // A cause beyond the limit is not kept, and neither are its continuations.
        if let Some(kept) = self
            .causes
            .last_mut()
            .filter(|kept| kept.number == self.number)
        {
            let text = text.strip_prefix("-> ").unwrap_or(text);
            kept.text = shorten(&format!("{} {text}", kept.text), MAX_CHARS);
        }
        if is_over {
            self.joining = None;
        }
        true
    }

    /// Prefixes a syntax error of Python with its location, which Python prints on an earlier line.
    fn with_place(&self, text: &str) -> String {
        let is_syntax = ["SyntaxError: ", "IndentationError: ", "TabError: "]
            .iter()
            .any(|name| text.starts_with(name));
        match &self.python_location {
            Some(place) if is_syntax => format!("{place}: {text}"),
            _ => text.to_owned(),
        }
    }

    /// Follows a chain of causes, and appends the last one to the error above it.
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
                is_known: false,
            });
            return self.caused_by.is_some();
        }
        let Some(chain) = self.caused_by.as_mut().filter(|_| line.starts_with(' ')) else {
            self.caused_by = None;
            return false;
        };
        chain.line(text);
        if let Some(kept) = self.complaints.back_mut()
            && !chain.reason.is_empty()
        {
            kept.text = shorten(&format!("{}: {}", chain.error, chain.reason), MAX_CHARS);
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
        // The stack is indented below the heading, which a test runner may indent as well.
        let is_stack = line.starts_with(' ') && !is_exception(text);
        if is_stack {
            return true;
        }
        self.in_traceback = false;
        let is_consequence = line_weight(line).0 == Weight::Consequence;
        let is_explained = self.exception.is_some() || !self.causes.is_empty();
        if !(is_consequence && is_explained) {
            self.exception = Some(EvidenceLine {
                text: shorten(&self.with_place(text), MAX_CHARS),
                number: self.number,
            });
        }
        true
    }

    /// Returns whether any line can be the reason of a failure.
    pub(super) fn has_reason(&self) -> bool {
        !self.causes.is_empty() || self.exception.is_some() || !self.complaints.is_empty()
    }

    /// Returns whether the part printed only that something failed.
    pub(super) fn is_silent(&self) -> bool {
        self.tail.is_empty() && self.hints.is_empty()
    }

    /// Returns the lines that are errors in any context, in order.
    pub(super) fn errors(&self) -> impl Iterator<Item = String> {
        let errors = self.causes.iter().chain(&self.exception);
        errors.map(|kept| kept.text.clone())
    }

    /// Takes over the verdict of a later part that failed without a message.
    pub(super) fn with_verdict_of(mut self, last: Self) -> Self {
        self.verdict = last.verdict;
        self
    }

    /// Appends the lines of a later part.
    pub(super) fn append(&mut self, mut later: Self) {
        let before = self.number;
        self.number += later.number;
        let kept = later.causes.iter_mut().chain(&mut later.exception);
        for kept in kept.chain(&mut later.complaints).chain(&mut later.hints) {
            kept.number += before;
        }
        later
            .causes
            .drain(..)
            .for_each(|kept| keep_earliest(&mut self.causes, kept));
        later
            .hints
            .drain(..)
            .for_each(|kept| keep_earliest(&mut self.hints, kept));
        later
            .complaints
            .drain(..)
            .for_each(|kept| keep_last(&mut self.complaints, kept));
        later.tail.iter().for_each(|line| self.remember(line));
        self.exception = later.exception.or(self.exception.take());
        self.verdict = later.verdict.or(self.verdict.take());
        self.consequence = self.consequence.take().or(later.consequence);
    }

    /// Returns the lines that explain the failure, the cause first, followed by `earlier` errors.
    pub(super) fn explain(self, earlier: Vec<String>) -> Vec<String> {
        let mut order: Vec<&EvidenceLine> = Vec::new();
        // A function ends with the command that fails, so a complaint at the end is the cause.
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
            let own = |kept: &&EvidenceLine| kept.text.starts_with("==> ERROR: ");
            order.extend(self.complaints.iter().filter(own));
        }
        let mut lines: Vec<String> = Vec::new();
        let is_explained = !order.is_empty();
        for kept in order.into_iter().map(|kept| &kept.text) {
            if lines.len() < MAX_KEPT
                && !lines.iter().any(|line| equal_except_whitespace(line, kept))
            {
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
        for line in earlier {
            if !lines
                .iter()
                .any(|shown| equal_except_whitespace(shown, &line))
            {
                lines.push(line);
            }
        }
        lines.extend(self.verdict);
        lines
    }
}

fn python_location(line: &str) -> Option<String> {
    let (file, rest) = line
        .trim_start()
        .strip_prefix("File \"")?
        .split_once("\", line ")?;
    let number = rest.split(',').next().unwrap_or(rest).trim();
    Some(shorten(&format!("{file}:{number}"), MAX_CHARS))
}

/// Returns whether a tool prints the line last, after the reason, to name the step that failed.
fn is_summary(text: &str) -> bool {
    ["==> ERROR: ", "[ERROR] ", "npm ERR! ", "npm error "]
        .iter()
        .any(|start| text.starts_with(start))
}

/// Keeps the first lines, because later ones may follow from them.
fn keep_earliest(list: &mut Vec<EvidenceLine>, kept: EvidenceLine) {
    if list.len() < MAX_KEPT
        && list
            .iter()
            .all(|other| !equal_except_whitespace(&other.text, &kept.text))
    {
        list.push(kept);
    }
}

/// Keeps the first lines and the last one.
fn keep_last(list: &mut VecDeque<EvidenceLine>, kept: EvidenceLine) {
    if list.len() == MAX_KEPT {
        list.pop_back();
    }
    list.push_back(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_memory() {
        let mut evidence = Evidence::default();
        for number in 0..10_000 {
            evidence.line(&format!("x.c:{number}:1: error: boom"));
            evidence.line(&format!("error: {number}"));
            evidence.line(&format!("{number} failed"));
        }
        assert!(evidence.causes.len() <= MAX_KEPT && evidence.complaints.len() <= MAX_KEPT);
        assert!(evidence.hints.len() <= MAX_KEPT && evidence.tail.len() <= MAX_KEPT);
        assert_eq!(evidence.explain(Vec::new())[0], "x.c:0:1: error: boom");
    }
}
