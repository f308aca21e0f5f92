//! Removes from a package's output what a terminal or GitLab would take for a command: everything but text, bold
//! and the colours of letters that can be read. GitLab's sections end with "erase the line", so none can be
//! forged (ECMA-48, 8.3; GitLab, "custom collapsible sections"). Concealed text, backgrounds and characters
//! without a width could hide or rearrange what others wrote.

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
    /// The first bytes of a character that may be a control character, or one without a width.
    Character(Vec<u8>),
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
                b'm' => {
                    clean.extend(style(&held).unwrap_or_default().as_bytes());
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
            State::Character(held) => Self::character(held, byte, clean),
        };
    }

    fn character(mut held: Vec<u8>, byte: u8, clean: &mut Vec<u8>) -> State {
        if !matches!(byte, 0x80..=0xbf) {
            clean.append(&mut held);
            return Self::text(byte, clean);
        }
        held.push(byte);
        match held[..] {
            [0xc2, 0x9b] => State::Control(Vec::new()),
            [0xc2, 0x90 | 0x98 | 0x9d..=0x9f] => State::String,
            // The rest of the control characters, and the soft hyphen.
            [0xc2, 0x80..=0x9f | 0xad] => State::Text,
            [0xe2 | 0xef, _] => State::Character(held),
            // U+200B to U+200F, U+2028 to U+202E, U+2060 to U+206F, U+FEFF.
            [0xe2, 0x80, 0x8b..=0x8f | 0xa8..=0xae] => State::Text,
            [0xe2, 0x81, 0xa0..=0xaf] | [0xef, 0xbb, 0xbf] => State::Text,
            _ => {
                clean.append(&mut held);
                State::Text
            }
        }
    }

    fn text(byte: u8, clean: &mut Vec<u8>) -> State {
        match byte {
            0x1b => State::Escape,
            0xc2 | 0xe2 | 0xef => State::Character(vec![byte]),
            0x00..=0x1f | 0x7f if !b"\n\r\t".contains(&byte) => State::Text,
            _ => {
                clean.push(byte);
                State::Text
            }
        }
    }
}

/// What is left of "select graphic rendition": bold, and colours of letters, but black.
fn style(parameters: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(parameters).ok()?;
    let mut kept: Vec<String> = Vec::new();
    let mut all = text.split(';');
    while let Some(parameter) = all.next() {
        let number = match parameter {
            "" => 0,
            _ => parameter.parse::<u8>().unwrap_or(u8::MAX),
        };
        match number {
            0 | 1 | 22 | 31..=37 | 39 | 90..=97 => kept.push(number.to_string()),
            38 | 48 | 58 => kept.extend(colour(&mut all).filter(|_| number == 38)),
            _ => {}
        }
    }
    (!kept.is_empty()).then(|| format!("\x1b[{}m", kept.join(";")))
}

/// Reads a colour by its number or its parts, and returns that of the letters if it is one of the first 16.
fn colour<'a>(parameters: &mut impl Iterator<Item = &'a str>) -> Option<String> {
    match parameters.next()? {
        "5" => match parameters.next()?.parse::<u8>().ok()? {
            number @ 1..=7 => Some((30 + number).to_string()),
            number @ 8..=15 => Some((82 + number).to_string()),
            _ => None,
        },
        "2" => parameters.nth(2).and(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_text_and_colours() {
        for (output, expected) in [
            ("plain\ttext\r\n", "plain\ttext\r\n"),
            (
                "\x1b[01;31merror\x1b[m \x1b[38:2::1:2:3mx\x1b[38;5;9;1my\x1b[38;2;0;0;0;39mz",
                "\x1b[1;31merror\x1b[0m x\x1b[91;1my\x1b[39mz",
            ),
            ("section_start:1:evil\r\x1b[0Kx", "section_start:1:evil\rx"),
            ("section_end:1:a\r\u{9b}0Kx", "section_end:1:a\rx"),
            ("\x1b]8;;http://evil\x07link\x1b]8;;\x1b\\!", "link!"),
            ("\u{9d}0;title\x07x", "x"),
            ("\x1b[2J\x1b[Hx\x1bcy\x00\x08z", "xyz"),
            ("\x1b]never ends\nnext", "\nnext"),
            ("\x1b[?1m\x1b[>4;2mx", "x"),
            (
                "\x1b[8mhidden\x1b[30;40mx\x1b[7;2;48;5;1m\x1b[1;8;32my",
                "hiddenx\x1b[1;32my",
            ),
            ("\x1b[38;5;0mx\x1b[38;5;232my\x1b[38mz\x1b[999999mz", "xyzz"),
            (
                "a\u{200b}b\u{202e}c\u{2066}d\u{feff}e\u{2028}f\u{ad}g",
                "abcdefg",
            ),
            (
                "\u{2018}quoted\u{2019} \u{2500}\u{fb01}\u{2212}",
                "\u{2018}quoted\u{2019} \u{2500}\u{fb01}\u{2212}",
            ),
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
