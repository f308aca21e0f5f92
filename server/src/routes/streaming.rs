//! Responses that are streamed.

use axum::http::HeaderName;

/// Tells proxies (the name is nginx's), and our own compression, not to buffer.
pub(crate) const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
