//! Where the log of a build goes.

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
