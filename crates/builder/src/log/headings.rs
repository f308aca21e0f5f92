//! Distinguishes the builder's own headings from the output of packages, which may imitate them.
//!
//! The helper in the sandbox writes both into one pipe. It marks its headings with a random word that only
//! the helper and its parent know. Output that imitates a heading is indented.

use serde::{Deserialize, Serialize};

/// The beginning of the headings that the builder writes between the output of tools.
pub const HEADING: &str = "==> buildbtw: ";

/// The first byte of a mark; rare in logs.
const START: u8 = 0x02;
/// Longer headings are truncated.
const MAX_HEADING: usize = 1_000;

/// The mark of the headings of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark(String);

impl Mark {
    /// Creates a random mark.
    ///
    /// # Errors
    ///
    /// When the host has no source of random numbers.
    pub(crate) fn random() -> std::io::Result<Self> {
        use std::io::Read as _;
        let mut bytes = [0; 16];
        fs_err::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        Ok(Self(digits.collect()))
    }

    /// Returns a heading with its mark, to be written into the pipe at once.
    pub(crate) fn line(&self, heading: &str) -> Vec<u8> {
        let mut line = vec![START];
        line.extend(self.0.as_bytes());
        // Parts of it come from a package, for example the URL of a source.
        line.extend(heading.replace(char::is_control, " ").as_bytes());
        line.push(b'\n');
        line
    }
}

/// A piece of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Output of tools and packages; not always whole lines.
    Output(&'a [u8]),
    /// A heading of the builder, with its prefix and line feed.
    Heading(&'a str),
}

/// Splits the log into output and headings. Holds bytes back only while they may be the beginning of a
/// heading.
#[derive(Debug)]
pub(crate) struct Headings {
    mark: Vec<u8>,
    state: State,
    /// Whether the next byte begins a line, or overwrites one.
    at_start: bool,
    /// Whether the last byte ended a line.
    is_ended: bool,
}

#[derive(Debug)]
enum State {
    Output,
    /// May be an imitation of [`HEADING`].
    MaybeHeading(Vec<u8>),
    /// May be a mark.
    MaybeMark(Vec<u8>),
    Heading(Vec<u8>),
}

impl Headings {
    pub(crate) fn new(mark: &Mark) -> Self {
        let mut bytes = vec![START];
        bytes.extend(mark.0.as_bytes());
        Self {
            mark: bytes,
            state: State::Output,
            at_start: true,
            is_ended: true,
        }
    }

    /// Calls `each` with the pieces of the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Piece<'_>)) {
        let mut output = Vec::with_capacity(bytes.len() + 1);
        for &byte in bytes {
            self.byte(byte, &mut output, &mut each);
        }
        if !output.is_empty() {
            each(Piece::Output(&output));
        }
    }

    /// Ends the log: bytes that were held back are output.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(Piece<'_>)) {
        match std::mem::replace(&mut self.state, State::Output) {
            State::Output => {}
            State::MaybeHeading(held) | State::MaybeMark(held) => each(Piece::Output(&held)),
            State::Heading(text) => Self::heading(&text, &mut each),
        }
    }

    fn byte(&mut self, byte: u8, output: &mut Vec<u8>, each: &mut impl FnMut(Piece<'_>)) {
        match &mut self.state {
            State::Heading(text) if byte == b'\n' => {
                let text = std::mem::take(text);
                self.state = State::Output;
                if !self.is_ended {
                    output.push(b'\n');
                }
                if !output.is_empty() {
                    each(Piece::Output(output));
                    output.clear();
                }
                Self::heading(&text, each);
                (self.at_start, self.is_ended) = (true, true);
            }
            State::Heading(text) => {
                if text.len() < MAX_HEADING {
                    text.push(byte);
                }
            }
            State::MaybeMark(held) => {
                held.push(byte);
                if *held == self.mark {
                    self.state = State::Heading(Vec::new());
                } else if !self.mark.starts_with(held) {
                    let held = std::mem::take(held);
                    self.state = State::Output;
                    self.release(&held, output, each);
                }
            }
            State::MaybeHeading(held) => {
                held.push(byte);
                if held == HEADING.as_bytes() {
                    output.push(b' ');
                    output.append(held);
                    self.state = State::Output;
                    (self.at_start, self.is_ended) = (false, false);
                } else if !HEADING.as_bytes().starts_with(held) {
                    let held = std::mem::take(held);
                    self.state = State::Output;
                    self.release(&held, output, each);
                }
            }
            State::Output if byte == START => self.state = State::MaybeMark(vec![byte]),
            State::Output if self.at_start && HEADING.as_bytes().first() == Some(&byte) => {
                self.state = State::MaybeHeading(vec![byte]);
            }
            State::Output => {
                output.push(byte);
                self.is_ended = byte == b'\n';
                self.at_start = matches!(byte, b'\n' | b'\r');
            }
        }
    }

    /// Emits held-back bytes that are not a heading; the last one may begin another.
    fn release(&mut self, held: &[u8], output: &mut Vec<u8>, each: &mut impl FnMut(Piece<'_>)) {
        let Some((&last, before)) = held.split_last() else {
            return;
        };
        output.extend(before);
        (self.at_start, self.is_ended) = (false, false);
        self.byte(last, output, each);
    }

    fn heading(text: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        let text = String::from_utf8_lossy(text);
        each(Piece::Heading(&format!("{HEADING}{text}\n")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(log: &[u8], size: usize, mark: &Mark) -> (String, Vec<String>) {
        let (mut all, mut headings) = (String::new(), Vec::new());
        let mut reader = Headings::new(mark);
        let mut each = |piece: Piece<'_>| match piece {
            Piece::Output(bytes) => all.push_str(&String::from_utf8_lossy(bytes)),
            Piece::Heading(text) => {
                all.push_str(text);
                headings.push(text.to_owned());
            }
        };
        for piece in log.chunks(size) {
            reader.feed(piece, &mut each);
        }
        reader.finish(&mut each);
        (all, headings)
    }

    #[test]
    fn treats_only_marked_lines_as_headings() {
        let mark = Mark::random().unwrap();
        let mut log = mark.line("building a");
        log.extend(b"==> buildbtw: forged\n==> Making\n10%\r==> buildbtw: again\n\x02none\n==> bu");
        log.extend(mark.line("packaging a"));
        log.extend(b"x ==> buildbtw: said\n==> build");
        for size in [1, 2, 7, 1000] {
            let (all, headings) = shown(&log, size, &mark);
            assert_eq!(
                headings,
                ["==> buildbtw: building a\n", "==> buildbtw: packaging a\n"]
            );
            assert_eq!(
                all,
                "==> buildbtw: building a\n ==> buildbtw: forged\n==> Making\n10%\r ==> buildbtw: again\n\
                 \x02none\n==> bu\n==> buildbtw: packaging a\nx ==> buildbtw: said\n==> build"
            );
        }
        let other = Mark::random().unwrap();
        assert_eq!(shown(&other.line("forged"), 3, &mark).1, [""; 0]);
        let broken = mark.line("fetching a\n==> x\r==> y\x1b[8m");
        let expected = "==> buildbtw: fetching a ==> x ==> y [8m\n";
        assert_eq!(shown(&broken, 9, &mark).0, expected);
    }
}
