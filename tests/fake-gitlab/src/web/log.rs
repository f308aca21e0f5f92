//! Job logs as plain text.

/// Removes colours, section markers and the runners' timestamps from a log.
pub(super) fn plain(log: &str) -> String {
    let mut lines = Vec::new();
    for line in log.split('\n') {
        let line = without_escapes(without_time(line));
        // The text after a carriage return overwrites the text before it.
        let shown = line
            .trim_end_matches('\r')
            .rsplit('\r')
            .next()
            .unwrap_or_default();
        if shown.starts_with("section_start:") || shown.starts_with("section_end:") {
            continue;
        }
        lines.push(shown.to_owned());
    }
    lines.join("\n")
}

/// Removes `2026-08-22T00:44:03.123456Z 00O ` from a line.
fn without_time(line: &str) -> &str {
    let Some((head, rest)) = line.split_at_checked(32) else {
        return line;
    };
    let bytes = head.as_bytes();
    let is_time = bytes[4] == b'-' && bytes[10] == b'T' && bytes[26] == b'Z' && bytes[27] == b' ';
    let is_stream = matches!(bytes[30], b'O' | b'E') && matches!(bytes[31], b' ' | b'+');
    if is_time && is_stream { rest } else { line }
}

fn without_escapes(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        if c != '\u{1b}' {
            out.push(c);
            continue;
        }
        if characters.next() == Some('[') {
            // An escape sequence ends with its first letter.
            let _ = characters.find(char::is_ascii_alphabetic);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn strips_log_markup() {
        let log = "\u{1b}[32;1mok\u{1b}[0m\n\
                   section_start:1:a\r\u{1b}[0KTitle\n\
                   2026-08-22T00:44:03.123456Z 00O hello\n\
                   section_end:1:a\r\u{1b}[0K\n50%\r100%\r\n";
        assert_eq!(plain(log), "ok\nTitle\nhello\n100%\n");
    }
}
