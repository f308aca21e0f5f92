//! Escapes the output of packages so that it cannot pass for lines of this program or the runner: look-alikes are
//! indented, and colours are reset at the end of each line.

use super::plain_output::PlainOutput;

/// Beginnings of lines that are not a package's: headings, the summary of a build, the runner's last line.
const RESERVED: &[&str] = &[
    "==> ",
    "Build:",
    "ERROR: ",
    "Its trace id:",
    "Job succeeded",
    "No artifacts:",
    "Packages:",
    "Repository:",
    "The packages have ",
    "This build in buildbtw:",
    "WARNING: ",
];
/// Beginnings of lines with errors, which are shown in red.
const ERRORS: &[&str] = &["==> ERROR:", "error:", "fatal:"];
const RED: &[u8] = b"\x1b[1;31m";
const PLAIN: &[u8] = b"\x1b[0m";
const ESCAPE: u8 = 0x1b;

/// Escapes the output of a package, in chunks that may end anywhere.
#[derive(Debug, Default)]
pub(super) struct LineEscaper {
    plain: PlainOutput,
    line: Line,
    /// Whether an escape sequence for a colour has begun and is not complete.
    in_style: bool,
    /// Whether colours were set since the last line ended.
    is_coloured: bool,
    /// Whether the line is not empty.
    is_begun: bool,
}

#[derive(Debug)]
enum Line {
    /// The beginning of a line that may become a reserved one or an error: `text` is `held` without colours.
    Undecided {
        held: Vec<u8>,
        text: Vec<u8>,
    },
    Decided,
}

impl Default for Line {
    fn default() -> Self {
        Self::Undecided {
            held: Vec::new(),
            text: Vec::new(),
        }
    }
}

impl LineEscaper {
    /// Returns the escaped output for the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let clean = self.plain.clean(bytes);
        self.escape(&clean)
    }

    fn escape(&mut self, clean: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(clean.len());
        for &byte in clean {
            match byte {
                b'\n' => self.end(&mut shown),
                // The following text overwrites the line.
                b'\r' => {
                    self.decide(&mut shown, true);
                    shown.push(byte);
                    self.line = Line::default();
                }
                _ => self.byte(byte, &mut shown),
            }
        }
        shown
    }

    /// Returns the rest of the output, and completes the last line.
    pub(super) fn close(&mut self) -> Vec<u8> {
        let clean = self.plain.finish();
        let mut shown = self.escape(&clean);
        if self.is_begun {
            self.end(&mut shown);
        }
        shown
    }

    fn end(&mut self, shown: &mut Vec<u8>) {
        self.decide(shown, true);
        if std::mem::take(&mut self.is_coloured) {
            shown.extend(PLAIN);
        }
        shown.push(b'\n');
        (self.line, self.is_begun) = (Line::default(), false);
    }

    fn byte(&mut self, byte: u8, shown: &mut Vec<u8>) {
        self.is_begun = true;
        let is_style = self.in_style || byte == ESCAPE;
        self.in_style = is_style && byte != b'm';
        self.is_coloured |= is_style;
        match &mut self.line {
            Line::Decided => shown.push(byte),
            Line::Undecided { held, text } => {
                held.push(byte);
                if !is_style {
                    text.push(byte);
                    self.decide(shown, false);
                }
            }
        }
    }

    /// Shows the beginning of a line once it can no longer become a reserved line or an error.
    fn decide(&mut self, shown: &mut Vec<u8>, is_over: bool) {
        let Line::Undecided { held, text } = &mut self.line else {
            return;
        };
        let all = || RESERVED.iter().chain(ERRORS);
        let may_begin =
            |prefix: &&str| prefix.len() > text.len() && prefix.as_bytes().starts_with(text);
        if !is_over && all().any(may_begin) {
            return;
        }
        let begins = |prefix: &&str| text.starts_with(prefix.trim_end().as_bytes());
        if RESERVED.iter().any(begins) {
            shown.push(b' ');
        }
        if ERRORS.iter().any(begins) {
            shown.extend(RED);
            self.is_coloured = true;
        }
        shown.append(held);
        self.line = Line::Decided;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_output_that_imitates_executor_lines() {
        for (output, expected) in [
            ("plain\n\n", "plain\n\n"),
            ("==> Making\n", " ==> Making\n"),
            (
                "\x1b[1;34m==> collecting the packages\x1b[0m\n",
                " \x1b[1;34m==> collecting the packages\x1b[0m\x1b[0m\n",
            ),
            ("=\x1b[1m=\x1b[0m> x\n", " =\x1b[1m=\x1b[0m> x\x1b[0m\n"),
            ("\u{200b}==\x00> x\n", " ==> x\n"),
            ("10%\r==> x\nRepository: y", "10%\r ==> x\n Repository: y\n"),
            (
                "Packages:\nPackage x\nBuild",
                " Packages:\nPackage x\nBuild\n",
            ),
            ("\x1b[8;32mx\nours", "\x1b[32mx\x1b[0m\nours\n"),
            (
                "==> ERROR: x\nerror: y\n",
                " \x1b[1;31m==> ERROR: x\x1b[0m\n\x1b[1;31merror: y\x1b[0m\n",
            ),
            ("ERROR: Job failed\n==>", " ERROR: Job failed\n ==>\n"),
        ] {
            for size in [1, 2, 7, 1000] {
                let mut escaper = LineEscaper::default();
                let pieces = output.as_bytes().chunks(size);
                let mut shown: Vec<u8> = pieces.flat_map(|piece| escaper.feed(piece)).collect();
                shown.extend(escaper.close());
                assert_eq!(String::from_utf8(shown).unwrap(), expected, "{size}");
            }
        }
    }
}
