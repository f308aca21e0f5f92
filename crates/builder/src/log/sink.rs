//! The destination of a build log.

/// Receives the log of a build.
///
/// `write` is called in order, from one task at a time, with any number of bytes (not always whole lines). It
/// must keep everything and must not block for long: it should append to a file or a buffer. The builder
/// limits the total by the request's `log_bytes`.
pub trait LogSink: Send + Sync {
    /// Appends the next bytes.
    fn write(&self, bytes: &[u8]);
}

/// Every closure over bytes is a sink.
impl<F: Fn(&[u8]) + Send + Sync> LogSink for F {
    fn write(&self, bytes: &[u8]) {
        self(bytes);
    }
}
