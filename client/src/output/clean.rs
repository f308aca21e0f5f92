//! Makes untrusted text safe on a terminal. Builds run hostile code, and their logs, names and
//! messages are printed on terminals: their escape sequences must not move the cursor, set titles or
//! clipboards, hide text or make the terminal send input. Only colours pass, and only in logs.

use buildbtw_model::ansi::{Reader, Token};

/// Makes an untrusted text safe for one line: control characters become spaces, and characters that
/// reorder text become visible.
pub(crate) fn clean(text: &str) -> String {
    let safe = |c: char| match c {
        c if c.is_control() => ' ',
        c if reorders(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.trim_end().chars().map(safe).collect()
}

/// Returns whether an invisible character changes the order or direction of the text around it.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes a log safe that arrives in chunks, which may end within a character or escape sequence.
#[derive(Debug)]
pub(crate) struct LogCleaner {
    reader: Reader,
    shown: Shown,
}

/// The safe form of a log.
#[derive(Debug)]
struct Shown {
    text: String,
    /// Whether colours pass.
    colors: bool,
    /// Whether a colour was set.
    colored: bool,
    /// The last character was a carriage return.
    returned: bool,
}

impl LogCleaner {
    /// Creates a cleaner that lets colour sequences pass if `colors` is set.
    pub(crate) fn new(colors: bool) -> Self {
        Self {
            reader: Reader::default(),
            shown: Shown {
                text: String::new(),
                colors,
                colored: false,
                returned: false,
            },
        }
    }

    /// Creates a cleaner for standard output, with colours if they are enabled there.
    pub(crate) fn for_stdout() -> Self {
        let choice = anstream::AutoStream::choice(&std::io::stdout());
        Self::new(choice != anstream::ColorChoice::Never)
    }

    /// Returns the safe form of the next chunk.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let shown = &mut self.shown;
        self.reader.feed(bytes, |token| shown.token(token));
        std::mem::take(&mut shown.text).into_bytes()
    }

    /// Returns the rest of the log, and resets colours.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut shown = self.shown;
        self.reader.finish(|token| shown.token(token));
        shown.after_return(None);
        if shown.colored {
            shown.text.push_str("\x1b[0m");
        }
        shown.text.into_bytes()
    }
}

impl Shown {
    /// Passes colours and shows everything else as text.
    fn token(&mut self, token: Token<'_>) {
        match token {
            Token::Style(parameters) => {
                self.after_return(None);
                if self.colors {
                    self.text.push_str("\x1b[");
                    self.text.push_str(parameters);
                    self.text.push('m');
                    self.colored = true;
                }
            }
            Token::Char(char) | Token::Control(char) | Token::Hidden(char) => {
                self.after_return(Some(char));
                match char {
                    '\r' => self.returned = true,
                    char => self.visible(char),
                }
            }
        }
    }

    /// Starts a new line after a carriage return: progress bars rewrite their line.
    fn after_return(&mut self, next: Option<char>) {
        if std::mem::take(&mut self.returned) && next != Some('\n') {
            self.text.push('\n');
        }
    }

    /// Adds a character in a visible form: control characters in caret notation.
    fn visible(&mut self, char: char) {
        match char {
            '\n' | '\t' => self.text.push(char),
            '\0'..='\x1f' => {
                self.text.push('^');
                self.text.extend(char::from_u32(u32::from(char) + 0x40));
            }
            '\x7f' => self.text.push_str("^?"),
            char if char.is_control() || reorders(char) => {
                self.text.push(char::REPLACEMENT_CHARACTER);
            }
            char => self.text.push(char),
        }
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
            (b"\xe2\x82", "\u{fffd}"),
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
        assert_eq!(shown.len(), "^[[".len() + 1000);
    }

    #[test]
    fn escapes_control_characters_of_foreign_text() {
        assert_eq!(clean("a\nb\x1b[2J\u{202e}c\n"), "a b [2J\u{fffd}c");
    }
}
