//! Starts the tasks of HTTP/2 streams, with a name.

use buildbtw_telemetry::spawn_named;
use hyper::rt::Executor;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamExecutor;

impl<F> Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        spawn_named("HTTP/2 stream", stream);
    }
}
