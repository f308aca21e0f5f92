//! Reads the output of `go test -v`, which prints the messages of each test while it runs, and its result
//! only afterwards.

use std::collections::VecDeque;

/// How many messages of unfinished tests are kept.
const MAX_MESSAGES: usize = 64;
/// How many messages of one test are kept.
const MAX_PER_TEST: usize = 2;

/// The meaning of a line for the tests.
pub(super) enum GoLine {
    /// The line is not about a test.
    Other,
    /// A message of a test, or the result of a test that did not fail.
    Handled,
    /// The result of a failed test, with the messages of that test.
    Failed(Vec<String>),
}

/// The running tests.
#[derive(Debug, Default)]
pub(super) struct GoTests {
    /// The test that currently prints.
    current: Option<String>,
    /// The messages, each with its test.
    messages: VecDeque<(String, String)>,
    /// Whether the last test did not fail, in which case its messages may follow.
    passed: bool,
}

impl GoTests {
    /// Processes the next line.
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
        let result = text
            .strip_prefix("--- ")
            .and_then(|rest| rest.split_once(": "));
        let Some((how @ ("PASS" | "SKIP" | "FAIL"), rest)) = result else {
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

/// Returns whether a line is logged by a test: `    x_test.go:9: text`.
fn is_message(line: &str) -> bool {
    let place = line.trim_start().split_once(".go:").map(|(_, rest)| rest);
    line.starts_with(' ')
        && place.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}
