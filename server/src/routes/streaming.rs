//! Answers that are sent piece by piece, as their parts come into being.

use axum::http::HeaderName;

/// Tells proxies (nginx has the name), and our own compression, to pass on at once what they get.
pub(crate) const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
