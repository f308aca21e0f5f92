//! Removes from a package's output what a terminal or GitLab would interpret as a command: everything but text, bold
//! and legible foreground colours. GitLab's sections end with "erase the line", so none can be
//! forged (ECMA-48, 8.3; GitLab, "custom collapsible sections"). Concealed text, backgrounds and
//! zero-width characters could hide or rearrange the output of others.

use buildbtw_model::ansi::{Reader, Token};

/// Cleans a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct PlainOutput {
    reader: Reader,
}

impl PlainOutput {
    /// Returns the cleaned text of the next bytes.
    pub(super) fn clean(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut clean = String::with_capacity(bytes.len());
        self.reader.feed(bytes, |token| keep(token, &mut clean));
        clean.into_bytes()
    }

    /// Returns the cleaned text of an incomplete rest.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut clean = String::new();
        let reader = std::mem::take(&mut self.reader);
        reader.finish(|token| keep(token, &mut clean));
        clean.into_bytes()
    }
}

fn keep(token: Token<'_>, clean: &mut String) {
    match token {
        Token::Char(char) if !is_invisible(char) => clean.push(char),
        Token::Control(char @ ('\n' | '\r' | '\t')) => clean.push(char),
        Token::Style(parameters) => clean.push_str(&style(parameters).unwrap_or_default()),
        Token::Char(_) | Token::Control(_) | Token::Hidden(_) => {}
    }
}

/// Returns whether a character has no width, or changes the order of others.
fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// Returns the permitted part of "select graphic rendition": bold, and foreground colours except black.
fn style(parameters: &str) -> Option<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut all = parameters.split(';');
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

/// Consumes a colour given by its number or its components. Returns its parameter if it is one of the first 16.
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
