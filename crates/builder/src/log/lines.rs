//! Splits a log into lines.

use super::text;

/// Splits a stream of bytes into lines of bounded length.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
    /// Whether the last byte was a carriage return: following bytes overwrite the line.
    returned: bool,
}

impl Lines {
    /// The number of bytes that are kept of a line.
    const MAX_BYTES: usize = 1000;

    /// Calls `each` for every line that ends within the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|&b| b == b'\n' || b == b'\r') {
            let (text, end) = match piece.split_last() {
                Some((&end @ (b'\n' | b'\r'), text)) => (text, Some(end)),
                _ => (piece, None),
            };
            if !text.is_empty() && std::mem::take(&mut self.returned) {
                self.line.clear();
            }
            let room = Self::MAX_BYTES.saturating_sub(self.line.len());
            self.line
                .extend_from_slice(text.get(..room.min(text.len())).unwrap_or_default());
            match end {
                Some(b'\n') => {
                    self.returned = false;
                    self.end(&mut each);
                }
                Some(_) => self.returned = true,
                None => {}
            }
        }
    }

    /// Calls `each` for a last line without a line feed.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.end(&mut each);
        }
    }

    fn end(&mut self, each: &mut impl FnMut(&str)) {
        each(&text::plain(&self.line));
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], size: usize) -> Vec<String> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in text.chunks(size) {
            lines.feed(chunk, |line| found.push(line.to_owned()));
        }
        lines.finish(|line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn strips_colours_and_progress_from_lines() {
        let text =
            b"\x1b[1m\x1b[31merror\x1b[0m: boom\r\n 10%\r 20%\rdone\n\x1b]8;;http://x\x07link\nlast";
        for size in [1, 5, 1000] {
            assert_eq!(
                lines(text, size),
                ["error: boom", "done", "link", "last"],
                "{size}"
            );
        }
    }

    #[test]
    fn bounds_memory_of_an_endless_line() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            lines.feed(&[b'x'; 10_000], |_| {});
        }
        assert!(lines.line.len() <= Lines::MAX_BYTES);
    }
}
