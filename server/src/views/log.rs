//! Logs of hostile builds as HTML. Colours become classes of the style sheet; other control sequences are
//! dropped or made visible, and the text is escaped.
//!
//! The script renders later output in the same way (`assets/live.js`).

use std::fmt::Write as _;

use buildbtw_model::ansi::{Reader, Token};

/// A rendered log: escaped text and `span` elements with fixed classes.
pub(crate) struct LogHtml(String);

impl std::fmt::Display for LogHtml {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

// Only `render` creates it, and it escapes.
impl askama::filters::HtmlSafe for LogHtml {}

impl LogHtml {
    /// Returns whether the log is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Renders a part of a log. Bytes that are not UTF-8 are replaced.
pub(crate) fn render(bytes: &[u8]) -> LogHtml {
    let mut screen = Screen::default();
    let mut reader = Reader::default();
    reader.feed(bytes, |token| screen.token(token));
    reader.finish(|token| screen.token(token));
    screen.finish()
}

/// Returns the replacement of a control character.
fn visible(c: char) -> char {
    match c {
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}' => '\u{fffd}',
        // They reorder or hide the text around them.
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => '\u{fffd}',
        c => c,
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Style {
    bold: bool,
    faint: bool,
    underlined: bool,
    /// 1 to 8, as in the style sheet; 0 is the default colour.
    colour: u8,
}

#[derive(Default)]
struct Screen {
    /// Finished lines.
    html: String,
    line: Vec<(Style, String)>,
    style: Style,
    /// A carriage return was read: the next output replaces the line.
    returned: bool,
}

impl Screen {
    fn print(&mut self, c: char) {
        if self.returned {
            self.returned = false;
            self.line.clear();
        }
        match self.line.last_mut() {
            Some((style, text)) if *style == self.style => text.push(c),
            _ => self.line.push((self.style, c.to_string())),
        }
    }

    fn newline(&mut self) {
        self.returned = false;
        self.flush();
        self.html.push('\n');
    }

    fn flush(&mut self) {
        for (style, text) in self.line.drain(..) {
            let plain = style == Style::default();
            if !plain {
                let _ = write!(self.html, "<span class=\"{}\">", classes(style));
            }
            for c in text.chars() {
                match c {
                    '&' => self.html.push_str("&amp;"),
                    '<' => self.html.push_str("&lt;"),
                    '>' => self.html.push_str("&gt;"),
                    '"' => self.html.push_str("&quot;"),
                    '\'' => self.html.push_str("&#39;"),
                    c => self.html.push(c),
                }
            }
            if !plain {
                self.html.push_str("</span>");
            }
        }
    }

    fn finish(mut self) -> LogHtml {
        self.flush();
        LogHtml(self.html)
    }

    /// Applies a change of style, and drops every other sequence.
    fn token(&mut self, token: Token<'_>) {
        match token {
            Token::Control('\n') => self.newline(),
            Token::Control('\r') => self.returned = true,
            Token::Control('\t') => self.print('\t'),
            Token::Char(c) | Token::Control(c) => self.print(visible(c)),
            Token::Style(parameters) => self.select_graphics(parameters),
            Token::Hidden(_) => {}
        }
    }

    fn select_graphics(&mut self, parameters: &str) {
        let mut codes = parameters
            .split([';', ':'])
            // None means 0, and there are no codes above 107.
            .map(|code| match code {
                "" => 0,
                code => code.parse::<u8>().unwrap_or(u8::MAX),
            });
        while let Some(code) = codes.next() {
            match code {
                0 => self.style = Style::default(),
                1 => self.style.bold = true,
                2 => self.style.faint = true,
                4 => self.style.underlined = true,
                22 => (self.style.bold, self.style.faint) = (false, false),
                24 => self.style.underlined = false,
                // Black on a dark page and white on a bright one would be unreadable.
                30 | 90 => self.style.colour = 8,
                37 | 39 | 97 => self.style.colour = 0,
                31..=36 => self.style.colour = code - 30,
                91..=96 => self.style.colour = code - 90,
                38 | 48 => {
                    // 256-colour and RGB sequences are skipped: the page has its own colours only.
                    let skipped = if codes.next() == Some(5) { 1 } else { 3 };
                    for _ in 0..skipped {
                        codes.next();
                    }
                }
                _ => {}
            }
        }
    }
}

fn classes(style: Style) -> String {
    let mut classes = Vec::new();
    if style.bold {
        classes.push("b".to_owned());
    }
    if style.faint {
        classes.push("f".to_owned());
    }
    if style.underlined {
        classes.push("u".to_owned());
    }
    if style.colour > 0 {
        classes.push(format!("c{}", style.colour));
    }
    classes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        render(text.as_bytes()).to_string()
    }

    #[test]
    fn escapes_markup() {
        assert_eq!(
            html("<script>alert('&\"')</script>"),
            "&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;"
        );
        assert_eq!(
            html("\x1b[1m<b>\x1b[0m"),
            "<span class=\"b\">&lt;b&gt;</span>"
        );
    }

    #[test]
    fn converts_colours_to_classes() {
        assert_eq!(
            html("\x1b[1;31m==> ERROR:\x1b[m no\x1b[38;5;200m way\n\x1b[92mok"),
            "<span class=\"b c1\">==&gt; ERROR:</span> no way\n<span class=\"c2\">ok</span>"
        );
        assert_eq!(
            html("\x1b[38;2;1;2;3mx\x1b[48;5;1my\x1b[4mz"),
            "xy<span class=\"u\">z</span>"
        );
    }

    #[test]
    fn removes_or_shows_terminal_control_sequences() {
        assert_eq!(html("a\x1b[2Jb\x1b]0;title\x07c\x1b(Bd\x1bce"), "abcde");
        assert_eq!(html("\x1b]8;;http://evil/\x1b\\link\x1b]8;;\x1b\\"), "link");
        assert_eq!(
            html("bell\x07 nul\0 del\x7f"),
            "bell\u{2407} nul\u{2400} del\u{2421}"
        );
        assert_eq!(html("txt\u{202e}gpj"), "txt\u{fffd}gpj");
        assert_eq!(html("\x1b]never ended\nnext"), "\nnext");
        for cut in ["\x1b", "\x1b[", "\x1b[3", "\x1b]0;t", "\x1b("] {
            assert_eq!(html(&format!("a{cut}")), "a", "{cut:?}");
        }
    }

    #[test]
    fn shows_last_state_of_progress_bars() {
        assert_eq!(html("10%\r50%\r100%\r\ndone\n"), "100%\ndone\n");
        assert_eq!(html("kept\r"), "kept");
    }

    #[test]
    fn replaces_invalid_utf8() {
        assert_eq!(render(b"a\xffb").to_string(), "a\u{fffd}b");
    }
}
