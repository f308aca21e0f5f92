//! Where the log of a build goes, and what is learned from it on the way.

/// Receives the log of a build.
///
/// `write` is called in order, from one task at a time, with any number of bytes (not always whole
/// lines). It must keep everything and must not block for long: append to a file or a buffer. The
/// builder bounds the total by the request's `log_bytes`.
pub trait LogSink: Send + Sync {
    /// Takes the next bytes.
    fn write(&self, bytes: &[u8]);
}

/// Every closure over bytes is a sink.
impl<F: Fn(&[u8]) + Send + Sync> LogSink for F {
    fn write(&self, bytes: &[u8]) {
        self(bytes);
    }
}

/// Starts the headings that the builder writes between the output of the tools.
pub const HEADING: &str = "==> buildbtw: ";
/// Error lines that are kept for the failure's message.
const KEPT_LINES: usize = 4;
/// Bytes of a line that are looked at.
const KEPT_BYTES: usize = 300;

/// Picks the first error lines out of the current step's output.
#[derive(Debug, Default)]
pub(crate) struct ErrorLines {
    line: Vec<u8>,
    kept: Vec<String>,
}

impl ErrorLines {
    /// Looks at the next bytes of the log.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            let (head, tail) = rest.split_at(end);
            self.extend_line(head);
            self.end_line();
            rest = tail.get(1..).unwrap_or_default();
        }
        self.extend_line(rest);
    }

    fn extend_line(&mut self, bytes: &[u8]) {
        let room = KEPT_BYTES.saturating_sub(self.line.len());
        self.line
            .extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.starts_with(HEADING.as_bytes()) {
            // What an earlier step complained about did not stop the build.
            self.kept.clear();
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        let is_error = lower.starts_with("==> error:")
            || lower.starts_with("error:")
            || lower.contains(" error: ")
            || lower.starts_with("fatal:")
            || lower.starts_with("bwrap:")
            || lower.contains("no space left on device");
        if is_error && self.kept.len() < KEPT_LINES {
            let clean = text.chars().filter(|c| !c.is_control()).collect();
            self.kept.push(clean);
        }
    }

    /// The lines found since the last heading.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.end_line();
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_lines_of_the_last_step_are_kept_whatever_the_chunks() {
        let log = b"error: old step\n==> buildbtw: building\ncc x.c\nx.c:3:1: error: boom\nok\n==> ERROR: A failure occurred in build().\n";
        for size in [1, 7, 1000] {
            let mut lines = ErrorLines::default();
            for chunk in log.chunks(size) {
                lines.feed(chunk);
            }
            assert_eq!(
                lines.finish(),
                [
                    "x.c:3:1: error: boom",
                    "==> ERROR: A failure occurred in build()."
                ]
            );
        }
    }

    #[test]
    fn an_endless_line_costs_little() {
        let mut lines = ErrorLines::default();
        for _ in 0..100 {
            lines.feed(&[b'x'; 10_000]);
        }
        assert!(lines.line.len() <= KEPT_BYTES);
    }
}
