//! Prints a log: as it is, or only its last lines, or those that match a pattern.

use std::collections::VecDeque;

use regex::bytes::Regex;

use crate::error::Result;
use crate::output::{LogCleaner, Output};

/// The lines that are wanted of a log.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    pattern: Option<&'a Regex>,
    tail: Option<usize>,
    partial: Vec<u8>,
    kept: VecDeque<Vec<u8>>,
    matched: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(pattern: Option<&'a Regex>, tail: Option<u32>) -> Self {
        Self {
            pattern,
            tail: tail.map(buildbtw_model::saturating),
            partial: Vec::new(),
            kept: VecDeque::new(),
            matched: false,
        }
    }

    /// Returns whether all of the log is wanted, as it is.
    fn is_everything(&self) -> bool {
        self.pattern.is_none() && self.tail.is_none()
    }

    /// Takes the next bytes of the log.
    fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.partial);
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if self.pattern.is_some_and(|pattern| !pattern.is_match(text)) {
            return;
        }
        self.matched = true;
        self.kept.push_back(line);
        if self.tail.is_some_and(|most| self.kept.len() > most) {
            self.kept.pop_front();
        }
    }

    /// Ends the last line, which may lack its newline.
    fn finish(&mut self) {
        if !self.partial.is_empty() {
            self.partial.push(b'\n');
            self.end_line();
        }
    }

    /// Returns the lines that can be printed before the log ends.
    fn take(&mut self) -> Vec<u8> {
        match self.tail {
            Some(_) => Vec::new(),
            None => self.kept.drain(..).flatten().collect(),
        }
    }
}

/// What is left of a log when it has ended.
pub(super) struct Finished {
    /// The lines, if they are printed as JSON.
    pub(super) kept: Vec<String>,
    /// Whether a line was wanted.
    pub(super) matched: bool,
}

/// Prints a log: bytes unchanged, or their safe form on a terminal.
pub(super) struct Sink<'a> {
    output: &'a Output,
    lines: Lines<'a>,
    title: Option<String>,
    cleaner: Option<LogCleaner>,
}

impl<'a> Sink<'a> {
    /// Creates a sink that prints a title before the first line.
    pub(super) fn new(output: &'a Output, lines: Lines<'a>, title: Option<String>) -> Self {
        Self {
            output,
            lines,
            title,
            cleaner: output.terminal.then(LogCleaner::for_stdout),
        }
    }

    /// Takes the next bytes of the log.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        if self.output.is_json() {
            self.lines.feed(bytes);
            return Ok(());
        }
        if self.lines.is_everything() {
            self.lines.matched = true;
            return self.print(bytes);
        }
        self.lines.feed(bytes);
        let lines = self.lines.take();
        self.print(&lines)
    }

    /// Prints the rest.
    pub(super) fn finish(mut self) -> Result<Finished> {
        self.lines.finish();
        let matched = self.lines.matched;
        let rest = std::mem::take(&mut self.lines.kept);
        let mut kept = Vec::new();
        if self.output.is_json() {
            let text = |line: &Vec<u8>| String::from_utf8_lossy(line).trim_end().to_owned();
            kept.extend(rest.iter().map(text));
        } else {
            self.print(&rest.into_iter().flatten().collect::<Vec<_>>())?;
        }
        if let Some(cleaner) = self.cleaner {
            self.output.bytes(&cleaner.finish())?;
        }
        Ok(Finished { kept, matched })
    }

    fn print(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(title) = self.title.take() {
            self.output.line(title)?;
        }
        match &mut self.cleaner {
            Some(cleaner) => self.output.bytes(&cleaner.feed(bytes)),
            None => self.output.bytes(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pattern: Option<&str>, tail: Option<u32>) -> String {
        let pattern = pattern.map(|pattern| Regex::new(pattern).unwrap());
        let mut lines = Lines::new(pattern.as_ref(), tail);
        let log = b"checking\nerror: a\n\xff\nerror: b\nlast";
        let mut printed = Vec::new();
        for chunk in log.chunks(3) {
            lines.feed(chunk);
            printed.extend(lines.take());
        }
        lines.finish();
        printed.extend(lines.kept.into_iter().flatten());
        String::from_utf8_lossy(&printed).into_owned()
    }

    #[test]
    fn keeps_matching_and_last_lines() {
        assert_eq!(lines(Some("error"), None), "error: a\nerror: b\n");
        assert_eq!(lines(None, Some(2)), "error: b\nlast\n");
        assert_eq!(lines(Some("err|last"), Some(2)), "error: b\nlast\n");
        assert_eq!(lines(Some("^nothing$"), None), "");
        assert_eq!(lines(None, Some(0)), "");
    }
}
