//! The cause at the end of a chain of errors.

use std::error::Error;

/// Returns the last error of a chain. Outer errors of HTTP clients only repeat the URL; the last one has the cause.
#[must_use]
pub fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
}
