//! Timestamps of log lines, as in the real runner unless `FF_TIMESTAMPS` is off: `2026-08-22T00:44:03.123456Z 01O
//! hello`, with the number of the stream, `O` or `E`, and `+` instead of the space for a continued line.

use jiff::Timestamp;

/// An incomplete line is held back up to this size.
const MAX_HELD: usize = 8 * 1024;
/// The length of the header of a line.
const HEADER: usize = 32;

/// Adds timestamps to one stream.
#[derive(Debug)]
pub(crate) struct Stamper {
    name: &'static str,
    /// An incomplete line.
    held: Vec<u8>,
    goes_on: bool,
}

impl Stamper {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            held: Vec::new(),
            goes_on: false,
        }
    }

    fn header(&mut self) -> Vec<u8> {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
        let kind = if std::mem::take(&mut self.goes_on) {
            '+'
        } else {
            ' '
        };
        format!("{now} {}{kind}", self.name).into_bytes()
    }

    /// Adds bytes, and returns the lines that are complete now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.held.is_empty() {
                self.held = self.header();
            }
            self.held.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                out.append(&mut self.held);
            } else if piece.contains(&b'\r') || self.held.len() > MAX_HELD {
                // A progress bar must be visible while it grows.
                out.append(&mut self.held);
                out.push(b'\n');
                self.goes_on = true;
            }
        }
        out
    }

    /// Returns the last line, which is incomplete.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.held);
        if !rest.is_empty() {
            rest.push(b'\n');
        }
        rest
    }
}

/// Returns a log without timestamps.
#[must_use]
pub fn plain_log(log: &str) -> String {
    let mut out = String::with_capacity(log.len());
    for line in log.split_inclusive('\n') {
        match without_header(line) {
            Some((true, text)) => {
                if out.ends_with('\n') {
                    out.pop();
                }
                out.push_str(text);
            }
            Some((false, text)) => out.push_str(text),
            None => out.push_str(line),
        }
    }
    out
}

/// Splits a line into whether it continues the previous one, and its text.
fn without_header(line: &str) -> Option<(bool, &str)> {
    let (header, text) = line.split_at_checked(HEADER)?;
    let time = header.get(..27)?;
    let stream = header.get(27..)?.as_bytes();
    time.parse::<Timestamp>().ok()?;
    match stream {
        [b' ', a, b, b'O' | b'E', kind @ (b' ' | b'+')]
            if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() =>
        {
            Some((*kind == b'+', text))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_timestamps_to_lines_when_enabled() {
        let long = "x".repeat(10_000);
        let text = format!("one\ntwo\n10%\r20%\r100%\n\n{long}end\nrest");
        for size in [1, 3, 100, 100_000] {
            let mut stamper = Stamper::new("01E");
            let mut out = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                out.extend(stamper.write(piece));
            }
            out.extend(stamper.end());
            let log = String::from_utf8(out).unwrap();
            assert!(log.lines().all(|line| &line[27..31] == " 01E"), "{log}");
            assert_eq!(plain_log(&log), format!("{text}\n"));
        }
        assert_eq!(plain_log("no time\n2026\n"), "no time\n2026\n");
    }
}
