//! Tells a package's output from the lines of this program and of the runner: output that looks like one of
//! those is indented, and no line's colours reach the next one.

use super::plain_output::PlainOutput;

/// How lines that are not a package's begin: headings, the summary of a build, what the runner says in the end.
const OURS: &[&str] = &[
    "==> ",
    "Build:",
    "ERROR: ",
    "Job succeeded",
    "No artifacts are kept:",
    "Packages:",
    "Repository:",
    "They have ",
    "This build in buildbtw:",
    "WARNING: ",
];
/// What lines of errors begin with.
const ERRORS: &[&str] = &["==> ERROR:", "error:", "fatal:"];
const RED: &[u8] = b"\x1b[1;31m";
const PLAIN: &[u8] = b"\x1b[0m";
const ESCAPE: u8 = 0x1b;

/// Follows the output of a package.
#[derive(Debug, Default)]
pub(super) struct ToldApart {
    plain: PlainOutput,
    line: Line,
    /// A sequence that sets a colour, while it is not complete.
    in_style: bool,
    /// Colours were set since the last line ended.
    is_coloured: bool,
    /// Whether there is anything in the line.
    is_begun: bool,
}

#[derive(Debug)]
enum Line {
    /// What could still become a line of this program or an error, and the text of it without colours.
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

impl ToldApart {
    /// What is shown for the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let clean = self.plain.clean(bytes);
        self.show(&clean)
    }

    fn show(&mut self, clean: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(clean.len());
        for &byte in clean {
            match byte {
                b'\n' => self.end(&mut shown),
                // What follows overwrites the line.
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

    /// What is shown when there is no more, so that the next line is not a package's.
    pub(super) fn close(&mut self) -> Vec<u8> {
        let clean = self.plain.finish();
        let mut shown = self.show(&clean);
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

    /// Shows the beginning of a line once it is known what it looks like.
    fn decide(&mut self, shown: &mut Vec<u8>, is_over: bool) {
        let Line::Undecided { held, text } = &mut self.line else {
            return;
        };
        let all = || OURS.iter().chain(ERRORS);
        let may_begin = |ours: &&str| ours.len() > text.len() && ours.as_bytes().starts_with(text);
        if !is_over && all().any(may_begin) {
            return;
        }
        let begins = |ours: &&str| text.starts_with(ours.trim_end().as_bytes());
        if OURS.iter().any(begins) {
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
                let mut apart = ToldApart::default();
                let pieces = output.as_bytes().chunks(size);
                let mut shown: Vec<u8> = pieces.flat_map(|piece| apart.feed(piece)).collect();
                shown.extend(apart.close());
                assert_eq!(String::from_utf8(shown).unwrap(), expected, "{size}");
            }
        }
    }
}
