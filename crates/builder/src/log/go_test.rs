//! What `go test -v` writes: the messages of each test as it runs, and only then how it ended.

use std::collections::VecDeque;

/// Messages of tests that have not ended.
const MAX_MESSAGES: usize = 64;
/// Messages of one test.
const MAX_PER_TEST: usize = 2;

/// What a line is for the tests.
pub(super) enum GoLine {
    /// Nothing.
    Other,
    /// A message, or a test that did not fail.
    Handled,
    /// A test failed; its messages.
    Failed(Vec<String>),
}

/// The tests that are under way.
#[derive(Debug, Default)]
pub(super) struct GoTests {
    /// The one that writes.
    current: Option<String>,
    /// Messages, each with its test.
    messages: VecDeque<(String, String)>,
    /// The last test did not fail, and its messages may follow.
    passed: bool,
}

impl GoTests {
    /// Reads the next line.
    pub(super) fn line(&mut self, line: &str) -> GoLine {
        let text = line.trim();
        if is_message(line) {
            if let Some(test) = &self.current {
                let of_one = self.messages.iter().filter(|(other, _)| other == test);
                if of_one.count() < MAX_PER_TEST {
                    if self.messages.len() == MAX_MESSAGES {
                        self.messages.pop_front();
                    }
                    self.messages.push_back((test.clone(), text.to_owned()));
                }
                return GoLine::Handled;
            }
            return if self.passed {
                GoLine::Handled
            } else {
                GoLine::Other
            };
        }
        self.passed = false;
        if let Some(rest) = text.strip_prefix("=== ") {
            let name = ["RUN ", "CONT ", "NAME "]
                .iter()
                .find_map(|word| rest.strip_prefix(word));
            if let Some(name) = name {
                self.current = Some(name.trim().to_owned());
            }
            return GoLine::Other;
        }
        let ended = text
            .strip_prefix("--- ")
            .and_then(|rest| rest.split_once(": "));
        let Some((how @ ("PASS" | "SKIP" | "FAIL"), rest)) = ended else {
            return GoLine::Other;
        };
        let name = rest.split(' ').next().unwrap_or(rest);
        let (own, others) = std::mem::take(&mut self.messages)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(test, _)| test == name);
        self.messages = others;
        self.current = None;
        if how == "FAIL" {
            return GoLine::Failed(own.into_iter().map(|(_, message)| message).collect());
        }
        self.passed = true;
        GoLine::Handled
    }
}

/// Whether a line is what a test logs: `    x_test.go:9: text`.
fn is_message(line: &str) -> bool {
    let place = line.trim_start().split_once(".go:").map(|(_, rest)| rest);
    line.starts_with(' ')
        && place.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}
