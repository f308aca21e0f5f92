//! Makes foreign text harmless on a terminal. Builds run hostile code, and their logs, names and
//! messages end up on the screens of people: no escape sequence of theirs may move the cursor, set
//! titles or clipboards, hide text or answer back. Only colours pass, and only in logs.

/// A foreign text for one line: control characters become a space, what reorders text is shown.
pub(crate) fn clean(text: &str) -> String {
    let harmless = |c: char| match c {
        c if c.is_control() => ' ',
        c if reorders(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.trim_end().chars().map(harmless).collect()
}

/// Invisible characters that change the order or direction of what is shown.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Longer colour sequences than this are no colour sequences.
const LONGEST_SEQUENCE: usize = 32;

/// Cleans a log that arrives in pieces, whatever they are cut at.
#[derive(Debug)]
pub(crate) struct LogCleaner {
    colors: bool,
    // The beginning of something that can only be judged together with what comes next.
    pending: Vec<u8>,
    colored: bool,
}

enum Step {
    /// The first so many bytes were dealt with.
    Taken(usize),
    /// More bytes are needed.
    Incomplete,
}

impl LogCleaner {
    /// `colors`: whether colour sequences pass.
    pub(crate) fn new(colors: bool) -> Self {
        Self {
            colors,
            pending: Vec::new(),
            colored: false,
        }
    }

    /// For standard output, with colours if they are wanted there.
    pub(crate) fn for_stdout() -> Self {
        let choice = anstream::AutoStream::choice(&std::io::stdout());
        Self::new(choice != anstream::ColorChoice::Never)
    }

    /// The harmless form of the next piece.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut input = std::mem::take(&mut self.pending);
        input.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(input.len());
        let mut rest = input.as_slice();
        while !rest.is_empty() {
            match self.step(rest, &mut out) {
                Step::Taken(count) => rest = rest.get(count..).unwrap_or_default(),
                Step::Incomplete => break,
            }
        }
        self.pending = rest.to_vec();
        out
    }

    /// The end of the log: what was still pending, and colours switched off.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for byte in std::mem::take(&mut self.pending) {
            visible(byte, &mut out);
        }
        if self.colored {
            out.extend_from_slice(b"\x1b[0m");
        }
        out
    }

    fn step(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Step {
        match rest {
            [b'\n' | b'\t' | b' '..=b'~', ..] => {
                out.extend(rest.first());
                Step::Taken(1)
            }
            [b'\r'] | [0x1b] => Step::Incomplete,
            // Progress bars rewrite their line; here each state gets a line of its own.
            [b'\r', next, ..] => {
                if *next != b'\n' {
                    out.push(b'\n');
                }
                Step::Taken(1)
            }
            [0x1b, b'[', parameters @ ..] => self.sequence(parameters, out),
            [byte @ (0x00..=0x1f | 0x7f), ..] => {
                visible(*byte, out);
                Step::Taken(1)
            }
            _ => character(rest, out),
        }
    }

    /// After `ESC [`: lets colours through and shows everything else as text.
    fn sequence(&mut self, parameters: &[u8], out: &mut Vec<u8>) -> Step {
        let is_parameter = |b: &u8| b.is_ascii_digit() || matches!(b, b';' | b':');
        let length = parameters.iter().take_while(|b| is_parameter(b)).count();
        match parameters.get(length) {
            None if length < LONGEST_SEQUENCE => Step::Incomplete,
            Some(b'm') if length < LONGEST_SEQUENCE => {
                if self.colors {
                    out.extend_from_slice(b"\x1b[");
                    out.extend_from_slice(parameters.get(..=length).unwrap_or_default());
                    self.colored = true;
                }
                Step::Taken(length + 3)
            }
            _ => {
                visible(0x1b, out);
                Step::Taken(1)
            }
        }
    }
}

/// One character beyond ASCII.
fn character(rest: &[u8], out: &mut Vec<u8>) -> Step {
    let length = match rest.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => 1,
    };
    let head = rest.get(..length).unwrap_or(rest);
    match std::str::from_utf8(head) {
        Ok(text) => {
            // Control characters beyond ASCII (C1) start sequences just like ESC does.
            let harmful = |c: char| c.is_control() || reorders(c);
            let shown = if text.chars().any(harmful) {
                "\u{fffd}"
            } else {
                text
            };
            out.extend_from_slice(shown.as_bytes());
            Step::Taken(length)
        }
        Err(error) if error.error_len().is_none() => Step::Incomplete,
        Err(_) => {
            out.extend_from_slice("\u{fffd}".as_bytes());
            Step::Taken(1)
        }
    }
}

/// A control character in caret notation.
fn visible(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'\r' => out.push(b'\n'),
        0x00..=0x1f => out.extend_from_slice(&[b'^', byte + 0x40]),
        0x7f => out.extend_from_slice(b"^?"),
        b' '..=b'~' => out.push(byte),
        0x80.. => out.extend_from_slice("\u{fffd}".as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(log: &[u8], size: usize, colors: bool) -> String {
        let mut cleaner = LogCleaner::new(colors);
        let mut out = Vec::new();
        for piece in log.chunks(size) {
            out.extend(cleaner.feed(piece));
        }
        out.extend(cleaner.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn keeps_only_colour_sequences_at_any_chunk_boundary() {
        let cases: &[(&[u8], &str)] = &[
            (b"plain\ttext\n", "plain\ttext\n"),
            (
                "gr\u{fc}\u{df}e \u{2713}\n".as_bytes(),
                "gr\u{fc}\u{df}e \u{2713}\n",
            ),
            (
                b"\x1b[1;31merror\x1b[0m\n",
                "\x1b[1;31merror\x1b[0m\n\x1b[0m",
            ),
            (b"\x1b[2J\x1b[H", "^[[2J^[[H"),
            (b"\x1b]0;title\x07", "^[]0;title^G"),
            (b"\x1b]52;c;AAAA\x1b\\", "^[]52;c;AAAA^[\\"),
            (b"\x1b[6n\x1bc\x1b", "^[[6n^[c^["),
            (b"10%\r20%\r\ndone\r", "10%\n20%\ndone\n"),
            (b"\x08\x00\x7f", "^H^@^?"),
            (b"\xc2\x9b2J", "\u{fffd}2J"),
            (b"\x9b2J\xff", "\u{fffd}2J\u{fffd}"),
            ("a\u{202e}b".as_bytes(), "a\u{fffd}b"),
            (b"\xe2\x82", "\u{fffd}\u{fffd}"),
        ];
        for (log, expected) in cases {
            for size in [1, 2, 3, 1000] {
                let log_text = String::from_utf8_lossy(log);
                assert_eq!(
                    cleaned(log, size, true),
                    *expected,
                    "{log_text:?} by {size}"
                );
            }
        }
        assert_eq!(cleaned(b"\x1b[1;31merror\x1b[0m\n", 5, false), "error\n");
    }

    #[test]
    fn prints_overlong_escape_sequence_as_text() {
        let mut log = b"\x1b[".to_vec();
        log.extend([b'1'; 1000]);
        let mut cleaner = LogCleaner::new(true);
        let shown = cleaner.feed(&log);
        assert!(shown.starts_with(b"^[[111"));
        assert!(cleaner.pending.is_empty());
    }

    #[test]
    fn escapes_control_characters_of_foreign_text() {
        assert_eq!(clean("a\nb\x1b[2J\u{202e}c\n"), "a b [2J\u{fffd}c");
    }
}
