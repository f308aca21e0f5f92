//! What a job prints: kept, masked, and sent to GitLab bit by bit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

const MASK: &[u8] = b"[MASKED]";

/// The log of a job. Clones are the same log.
#[derive(Clone, Debug)]
pub(crate) struct Trace(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    /// Longest first.
    secrets: Vec<Vec<u8>>,
    /// What may be the beginning of a secret.
    held: Vec<u8>,
    log: Vec<u8>,
    limit: usize,
    is_full: bool,
    timestamps: bool,
    at_line_start: bool,
}

impl Trace {
    pub(crate) fn new(
        secrets: impl Iterator<Item = String>,
        limit: usize,
        timestamps: bool,
    ) -> Self {
        let mut secrets: Vec<Vec<u8>> = secrets
            .map(String::into_bytes)
            .filter(|secret| !secret.is_empty())
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self(Arc::new(Mutex::new(Inner {
            secrets,
            held: Vec::new(),
            log: Vec::new(),
            limit,
            is_full: false,
            timestamps,
            at_line_start: true,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints something.
    pub(crate) fn write(&self, bytes: &[u8]) {
        self.inner().write(bytes, false);
    }

    /// Prints a line of the runner's own.
    pub(crate) fn line(&self, text: &str) {
        self.write(format!("{text}\n").as_bytes());
    }

    /// A line in the colour of failures.
    pub(crate) fn error(&self, text: &str) {
        self.line(&format!("\u{1b}[31;1m{text}\u{1b}[0;m"));
    }

    /// Nothing is held back any more.
    pub(crate) fn flush(&self) {
        self.inner().write(b"", true);
    }

    /// At most so many bytes, from an offset on.
    pub(crate) fn piece(&self, start: usize, most: usize) -> Vec<u8> {
        let inner = self.inner();
        let end = inner.log.len().min(start.saturating_add(most));
        inner.log.get(start..end).unwrap_or_default().to_vec()
    }

    pub(crate) fn size(&self) -> usize {
        self.inner().log.len()
    }

    pub(crate) fn checksum(&self) -> String {
        format!("crc32:{:08x}", crc32fast::hash(&self.inner().log))
    }
}

impl Inner {
    /// The last bytes may be the beginning of a secret, unless they are the last of all.
    fn write(&mut self, bytes: &[u8], is_last: bool) {
        let mut input = std::mem::take(&mut self.held);
        input.extend_from_slice(bytes);
        let mut clean = Vec::with_capacity(input.len());
        let mut at = 0;
        while at < input.len() {
            let rest = &input[at..];
            let may_go_on =
                |secret: &Vec<u8>| secret.len() > rest.len() && secret.starts_with(rest);
            if !is_last && self.secrets.iter().any(may_go_on) {
                self.held = rest.to_vec();
                break;
            }
            let secret = self.secrets.iter().find(|secret| rest.starts_with(secret));
            if let Some(secret) = secret {
                clean.extend_from_slice(MASK);
                at += secret.len();
            } else {
                clean.push(input[at]);
                at += 1;
            }
        }
        self.keep(&clean);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if !self.timestamps {
            self.append(bytes);
            return;
        }
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.at_line_start {
                let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
                self.append(format!("{now} 00O ").as_bytes());
            }
            self.append(line);
            self.at_line_start = line.ends_with(b"\n");
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.is_full {
            return;
        }
        let left = self.limit.saturating_sub(self.log.len());
        self.log.extend_from_slice(&bytes[..bytes.len().min(left)]);
        if bytes.len() > left {
            self.is_full = true;
            let text = format!(
                "\n\u{1b}[33;1mJob's log exceeded limit of {} bytes.\nJob execution will continue \
                 but no more output will be collected.\u{1b}[0;m\n",
                self.limit
            );
            self.log.extend_from_slice(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(secrets: &[&str], limit: usize) -> Trace {
        let secrets: Vec<String> = secrets.iter().map(|one| (*one).to_owned()).collect();
        Trace::new(secrets.into_iter(), limit, false)
    }

    fn text(trace: &Trace) -> String {
        trace.flush();
        String::from_utf8(trace.piece(0, usize::MAX)).unwrap()
    }

    #[test]
    fn secrets_are_masked_across_writes() {
        let trace = trace(&["secret", "secret-long"], 1_000);
        for part in ["a sec", "ret b se", "cret-lo", "ng c sec", "ond"] {
            trace.write(part.as_bytes());
        }
        assert_eq!(text(&trace), "a [MASKED] b [MASKED] c second");
    }

    #[test]
    fn what_is_too_much_is_not_kept() {
        let trace = trace(&[], 4);
        trace.write(b"123456");
        trace.write(b"789");
        assert!(text(&trace).starts_with("1234\n"));
        assert!(text(&trace).contains("exceeded limit of 4 bytes"));
        assert!(!text(&trace).contains("789"));
    }
}
