//! Removes from a package's output what a terminal or GitLab would take for a command: everything but text and
//! colours. GitLab's sections end with "erase the line", so none can be forged (ECMA-48, 8.3; GitLab, "custom
//! collapsible sections").

/// A longer sequence is none that sets colours.
const LONGEST: usize = 64;

/// Follows a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct PlainOutput {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// A control sequence, and what it holds so far.
    Control(Vec<u8>),
    /// A string for the terminal, which BEL or ESC `\` ends.
    String,
    TextEscape,
    /// The first byte of a character that may be a control character of eight bits.
    Wide,
}

impl PlainOutput {
    /// What is left of the next bytes.
    pub(super) fn clean(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut clean = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.byte(byte, &mut clean);
        }
        clean
    }

    fn byte(&mut self, byte: u8, clean: &mut Vec<u8>) {
        self.state = match std::mem::take(&mut self.state) {
            State::Text => Self::text(byte, clean),
            State::Escape => match byte {
                b'[' => State::Control(Vec::new()),
                b']' | b'P' | b'X' | b'^' | b'_' => State::String,
                0x1b => State::Escape,
                // Intermediate bytes, with more to come.
                0x20..=0x2f => State::Escape,
                b'\n' | b'\r' => Self::text(byte, clean),
                _ => State::Text,
            },
            State::Control(mut held) => match byte {
                b'm' if held.iter().all(|b| b.is_ascii_digit() || b";:".contains(b)) => {
                    clean.extend(b"\x1b[");
                    clean.append(&mut held);
                    clean.push(b'm');
                    State::Text
                }
                0x40..=0x7e => State::Text,
                0x1b => State::Escape,
                b'\n' | b'\r' => Self::text(byte, clean),
                _ => {
                    if held.len() < LONGEST {
                        held.push(byte);
                    }
                    State::Control(held)
                }
            },
            State::String => match byte {
                0x07 => State::Text,
                0x1b => State::TextEscape,
                // What is not ended must not swallow the rest of the log.
                b'\n' => Self::text(byte, clean),
                _ => State::String,
            },
            State::TextEscape if byte == b'\\' => State::Text,
            State::TextEscape => {
                self.state = State::Escape;
                return self.byte(byte, clean);
            }
            State::Wide => match byte {
                0x9b => State::Control(Vec::new()),
                0x90 | 0x98 | 0x9d..=0x9f => State::String,
                0x80..=0x9a | 0x9c => State::Text,
                _ => {
                    clean.push(0xc2);
                    Self::text(byte, clean)
                }
            },
        };
    }

    fn text(byte: u8, clean: &mut Vec<u8>) -> State {
        match byte {
            0x1b => State::Escape,
            0xc2 => State::Wide,
            0x00..=0x1f | 0x7f if !b"\n\r\t".contains(&byte) => State::Text,
            _ => {
                clean.push(byte);
                State::Text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_colours_are_left() {
        for (output, expected) in [
            ("plain\ttext\r\n", "plain\ttext\r\n"),
            (
                "\x1b[1;31merror\x1b[0m \x1b[38:2::1:2:3mx",
                "\x1b[1;31merror\x1b[0m \x1b[38:2::1:2:3mx",
            ),
            ("section_start:1:evil\r\x1b[0Kx", "section_start:1:evil\rx"),
            ("section_end:1:a\r\u{9b}0Kx", "section_end:1:a\rx"),
            ("\x1b]8;;http://evil\x07link\x1b]8;;\x1b\\!", "link!"),
            ("\u{9d}0;title\x07x", "x"),
            ("\x1b[2J\x1b[Hx\x1bcy\x00\x08z", "xyz"),
            ("\x1b]never ends\nnext", "\nnext"),
            ("\x1b[?1m\x1b[>4;2mx", "x"),
            ("caf\u{e9} \u{a9} \u{2713}", "caf\u{e9} \u{a9} \u{2713}"),
        ] {
            for size in [1, 2, 1000] {
                let mut plain = PlainOutput::default();
                let clean: Vec<u8> = output
                    .as_bytes()
                    .chunks(size)
                    .flat_map(|piece| plain.clean(piece))
                    .collect();
                assert_eq!(String::from_utf8(clean).unwrap(), expected);
            }
        }
    }
}
