//! Makes programs observable: tasks with names ([`spawn_named`]), their log ([`logging`]), tokio-console, and traces
//! for OpenTelemetry ([`otlp`]). Everything but the names is a feature, because most crates need only those.
//!
//! One id joins requests, attempts, logs and traces: [`buildbtw_model::TraceId`].

#[cfg(feature = "logging")]
pub mod console;
#[cfg(feature = "logging")]
pub mod logging;
#[cfg(feature = "otlp")]
pub mod otlp;
mod tasks;

pub use tasks::{spawn_blocking_named, spawn_in, spawn_named};

#[cfg(all(feature = "tokio-console", not(tokio_unstable)))]
compile_error!("the feature `tokio-console` needs RUSTFLAGS=\"--cfg tokio_unstable\"");
