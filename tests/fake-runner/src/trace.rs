//! A job's log: masked, with timestamps, limited in size, and sent to GitLab in chunks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::mask::{Mask, Masks};
use crate::timestamps::Stamper;

/// The log of a job. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Trace(Arc<Mutex<Inner>>);

/// The source of output. Lines of different sources are not mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// The runner.
    Runner,
    /// Standard output of the executor.
    Out,
    /// Standard error of the executor.
    Err,
}

/// The settings of a log.
#[derive(Debug, Default)]
pub(crate) struct LogSettings {
    pub(crate) masks: Masks,
    pub(crate) limit: usize,
    pub(crate) timestamps: bool,
}

#[derive(Debug)]
struct Inner {
    masks: Masks,
    lanes: [TraceStream; 3],
    log: Vec<u8>,
    limit: usize,
    is_full: bool,
}

#[derive(Debug)]
struct TraceStream {
    mask: Mask,
    stamper: Option<Stamper>,
}

impl Trace {
    pub(crate) fn new(settings: LogSettings) -> Self {
        let lane = |name| TraceStream {
            mask: Mask::default(),
            stamper: settings.timestamps.then(|| Stamper::new(name)),
        };
        Self(Arc::new(Mutex::new(Inner {
            masks: settings.masks,
            lanes: [lane("00O"), lane("01O"), lane("01E")],
            log: Vec::new(),
            limit: settings.limit,
            is_full: false,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints output of the runner.
    pub(crate) fn write(&self, bytes: &[u8]) {
        self.print(Stream::Runner, bytes);
    }

    /// Prints output of a source.
    pub(crate) fn print(&self, stream: Stream, bytes: &[u8]) {
        self.inner().write(stream, bytes);
    }

    /// Prints a line of the runner.
    pub(crate) fn line(&self, text: &str) {
        self.write(format!("{text}\n").as_bytes());
    }

    /// Prints an error of the runner in red.
    pub(crate) fn error(&self, text: &str) {
        self.line(&format!("\u{1b}[31;1m{text}\u{1b}[0;m"));
    }

    /// Prints what is held back of a source, whose output has ended.
    pub(crate) fn end(&self, stream: Stream) {
        self.inner().end(stream);
    }

    /// Prints everything that is held back.
    pub(crate) fn flush(&self) {
        for stream in [Stream::Out, Stream::Err, Stream::Runner] {
            self.end(stream);
        }
    }

    /// Returns at most this many bytes from an offset on.
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
    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let lane = &mut self.lanes[stream as usize];
        let clean = lane.mask.write(&self.masks, bytes);
        let kept = match &mut lane.stamper {
            Some(stamper) => stamper.write(&clean),
            None => clean,
        };
        self.append(&kept);
    }

    fn end(&mut self, stream: Stream) {
        let lane = &mut self.lanes[stream as usize];
        let clean = lane.mask.end(&self.masks);
        let kept = match &mut lane.stamper {
            Some(stamper) => {
                let mut kept = stamper.write(&clean);
                kept.extend(stamper.end());
                kept
            }
            None => clean,
        };
        self.append(&kept);
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
    use crate::timestamps::plain_log;

    fn trace(secrets: &[&str], limit: usize, timestamps: bool) -> Trace {
        let secrets = secrets.iter().map(|one| (*one).to_owned());
        Trace::new(LogSettings {
            masks: Masks::new(secrets, &["tok-".to_owned()]),
            limit,
            timestamps,
        })
    }

    fn text(trace: &Trace) -> String {
        trace.flush();
        String::from_utf8(trace.piece(0, usize::MAX)).unwrap()
    }

    #[test]
    fn masks_secrets_across_writes() {
        let trace = trace(&["secret", "secret-long"], 1_000, false);
        for part in ["a sec", "ret b se", "cret-lo", "ng c sec", "ond"] {
            trace.write(part.as_bytes());
        }
        assert_eq!(text(&trace), "a [MASKED] b [MASKED] c second");
    }

    #[test]
    fn truncates_log_at_limit() {
        let trace = trace(&[], 4, false);
        trace.write(b"123456");
        trace.write(b"789");
        assert!(text(&trace).starts_with("1234\n"));
        assert!(text(&trace).contains("exceeded limit of 4 bytes"));
        assert!(!text(&trace).contains("789"));
    }

    #[test]
    fn does_not_mix_streams_within_a_line() {
        let trace = trace(&["secret"], 1_000, true);
        trace.print(Stream::Out, b"one sec");
        trace.print(Stream::Err, b"error tok-");
        trace.print(Stream::Out, b"ret\ntwo");
        trace.print(Stream::Err, b"abc=\n");
        trace.line("end");
        let log = text(&trace);
        assert_eq!(
            plain_log(&log),
            "one [MASKED]\nerror tok-[MASKED]\nend\ntwo\n"
        );
        let kinds: Vec<&str> = log.lines().map(|line| &line[28..32]).collect();
        assert_eq!(kinds, ["01O ", "01E ", "00O ", "01O "]);
    }
}
