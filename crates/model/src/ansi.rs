//! A parser for text with escape sequences (ECMA-48), such as build logs. This module decides what belongs to a
//! sequence; each caller decides what it shows.

/// The longest control sequence in bytes; the rest of a longer one is read as text.
const LONGEST: usize = 64;

/// A token of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A visible character; U+FFFD for bytes that are not UTF-8.
    Char(char),
    /// A control character that does not start a sequence, such as a line feed.
    Control(char),
    /// The parameters of "select graphic rendition" (`ESC [ … m`): digits, `;` and `:`.
    Style(&'a str),
    /// A character of any other sequence, which is not shown.
    Hidden(char),
}

/// A parser for text that arrives in chunks, which may be cut anywhere.
#[derive(Debug, Default)]
pub struct Reader {
    /// The bytes of an incomplete character.
    bytes: Vec<u8>,
    state: State,
    /// The beginning of a sequence that may still become a style.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate character.
    Intermediate,
    /// In a control sequence (`ESC [`).
    Control,
    /// In a control string (`ESC ]` and others), such as a title or the address of a link.
    String,
    /// After ESC in such a string.
    StringEscape,
}

impl Reader {
    /// Parses the next bytes and calls `each` for every token.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Token<'_>)) {
        let mut input = std::mem::take(&mut self.bytes);
        input.extend_from_slice(bytes);
        let mut rest = 0;
        for chunk in input.utf8_chunks() {
            for char in chunk.valid().chars() {
                self.char(char, &mut each);
            }
            rest += chunk.valid().len() + chunk.invalid().len();
            let is_last = rest == input.len();
            if is_last && is_incomplete(chunk.invalid()) {
                self.bytes = chunk.invalid().to_vec();
            } else if !chunk.invalid().is_empty() {
                self.char(char::REPLACEMENT_CHARACTER, &mut each);
            }
        }
    }

    /// Ends the text: an incomplete character becomes U+FFFD, an incomplete sequence is hidden.
    pub fn finish(mut self, mut each: impl FnMut(Token<'_>)) {
        if !self.bytes.is_empty() {
            self.char(char::REPLACEMENT_CHARACTER, &mut each);
        }
        self.hide(&mut each);
    }

    fn char(&mut self, char: char, each: &mut impl FnMut(Token<'_>)) {
        match self.state {
            State::Text => self.text(char, each),
            State::Escape => self.escape(char, each),
            State::Intermediate => match char {
                ' '..='/' => each(Token::Hidden(char)),
                '0'..='~' => self.end(char, each),
                _ => self.text(char, each),
            },
            State::Control => self.control(char, each),
            State::String => match char {
                '\x07' | '\u{9c}' => self.end(char, each),
                '\x1b' => self.state = State::StringEscape,
                // An unterminated string must not hide the rest of the text.
                '\n' => self.text(char, each),
                _ => each(Token::Hidden(char)),
            },
            State::StringEscape if char == '\\' => {
                each(Token::Hidden('\x1b'));
                self.end(char, each);
            }
            State::StringEscape => {
                self.held.push('\x1b');
                self.escape(char, each);
            }
        }
    }

    fn text(&mut self, char: char, each: &mut impl FnMut(Token<'_>)) {
        self.state = State::Text;
        match char {
            '\x1b' => {
                self.held.push(char);
                self.state = State::Escape;
            }
            '\u{9b}' => {
                self.held.push(char);
                self.state = State::Control;
            }
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => {
                each(Token::Hidden(char));
                self.state = State::String;
            }
            char if char.is_control() => each(Token::Control(char)),
            char => each(Token::Char(char)),
        }
    }

    fn escape(&mut self, char: char, each: &mut impl FnMut(Token<'_>)) {
        match char {
            '[' => {
                self.held.push(char);
                self.state = State::Control;
            }
            ']' | 'P' | 'X' | '^' | '_' => {
                self.hide(each);
                each(Token::Hidden(char));
                self.state = State::String;
            }
            ' '..='/' => {
                self.hide(each);
                each(Token::Hidden(char));
                self.state = State::Intermediate;
            }
            '0'..='~' => {
                self.hide(each);
                self.end(char, each);
            }
            _ => {
                self.hide(each);
                self.text(char, each);
            }
        }
    }

    fn control(&mut self, char: char, each: &mut impl FnMut(Token<'_>)) {
        match char {
            ' '..='?' if self.held.len() < LONGEST => self.held.push(char),
            'm' if style(&self.held).is_some() => {
                let held = std::mem::take(&mut self.held);
                each(Token::Style(style(&held).unwrap_or_default()));
                self.state = State::Text;
            }
            '@'..='~' => {
                self.hide(each);
                self.end(char, each);
            }
            _ => {
                self.hide(each);
                self.text(char, each);
            }
        }
    }

    /// Handles the last character of a sequence.
    fn end(&mut self, char: char, each: &mut impl FnMut(Token<'_>)) {
        each(Token::Hidden(char));
        self.state = State::Text;
    }

    /// Hides the held characters: they are not a style.
    fn hide(&mut self, each: &mut impl FnMut(Token<'_>)) {
        for char in self.held.drain(..) {
            each(Token::Hidden(char));
        }
    }
}

/// Returns the text without escape sequences, but with its control characters.
#[must_use]
pub fn strip(text: &str) -> String {
    let mut stripped = String::with_capacity(text.len());
    let mut keep = |token: Token<'_>| match token {
        Token::Char(char) | Token::Control(char) => stripped.push(char),
        Token::Style(_) | Token::Hidden(_) => {}
    };
    let mut reader = Reader::default();
    reader.feed(text.as_bytes(), &mut keep);
    reader.finish(keep);
    stripped
}

/// Returns the parameters of the held sequence if they can be those of a style.
fn style(held: &str) -> Option<&str> {
    let parameters = held.strip_prefix("\x1b[").or(held.strip_prefix('\u{9b}'))?;
    let is_style = |char: char| char.is_ascii_digit() || matches!(char, ';' | ':');
    parameters.chars().all(is_style).then_some(parameters)
}

/// Returns whether the bytes may be the beginning of a character.
fn is_incomplete(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text with styles as `<…>` and characters of other sequences as `~`.
    fn read(bytes: &[u8], size: usize) -> String {
        let mut text = String::new();
        let mut each = |token: Token<'_>| match token {
            Token::Char(char) | Token::Control(char) => text.push(char),
            Token::Style(parameters) => {
                text.push('<');
                text.push_str(parameters);
                text.push('>');
            }
            Token::Hidden(_) => text.push('~'),
        };
        let mut reader = Reader::default();
        for piece in bytes.chunks(size) {
            reader.feed(piece, &mut each);
        }
        reader.finish(&mut each);
        text
    }

    #[test]
    fn separates_sequences_from_text_at_any_chunk_boundary() {
        let cases: &[(&[u8], &str)] = &[
            (b"plain\ttext\r\n", "plain\ttext\r\n"),
            (b"\x1b[1;31mred\x1b[m", "<1;31>red<>"),
            (b"\xc2\x9b38:2::1mx", "<38:2::1>x"),
            (b"\x1b[2J\x1b[?1m\x1b[>4mx", "~~~~~~~~~~~~~~x"),
            (b"\x1b]0;t\x07a\x1b]8;;u\x1b\\b", "~~~~~~a~~~~~~~~b"),
            (b"\xc2\x9d0\xc2\x9cx\x1bPq\x1b[1mx", "~~~x~~~<1>x"),
            (b"\x1b(Bx\x1bcy\x1b\x1b[1mz", "~~~x~~y~<1>z"),
            (b"\x1b]open\nx\x1b[3\ny", "~~~~~~\nx~~~\ny"),
            (b"\x1b[\xc3\xa9\x1b\xc3\xa9", "~~\u{e9}~\u{e9}"),
            (
                "gr\u{fc}\u{df}e \u{2713}".as_bytes(),
                "gr\u{fc}\u{df}e \u{2713}",
            ),
            (b"a\xffb\xe2\x82", "a\u{fffd}b\u{fffd}"),
            (b"x\x1b[", "x~~"),
        ];
        for (bytes, expected) in cases {
            for size in [1, 2, 3, 1000] {
                let shown = String::from_utf8_lossy(bytes);
                assert_eq!(read(bytes, size), *expected, "{shown:?} by {size}");
            }
        }
    }

    #[test]
    fn treats_endless_sequence_as_text() {
        let mut reader = Reader::default();
        let mut shown = 0;
        reader.feed(b"\x1b[", |_| {});
        reader.feed(&[b'1'; 1000], |token| {
            shown += usize::from(token == Token::Char('1'));
        });
        assert_eq!(shown, 1000 - (LONGEST - 2));
    }
}
