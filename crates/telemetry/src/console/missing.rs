//! A program without tokio-console.

use std::net::SocketAddr;

use buildbtw_model::Explanation;
use tracing_subscriber::Layer;

/// The server of tokio-console, which this program does not have.
#[derive(Debug)]
pub enum Console {}

impl Console {
    /// Returns why there is none.
    ///
    /// # Errors
    /// Always.
    pub fn listen(_: SocketAddr) -> Result<Self, Explanation> {
        Err(Explanation::with_hint(
            "this program was compiled without tokio-console",
            "use `just run-server-console`, or compile it with RUSTFLAGS='--cfg tokio_unstable' \
             and --features tokio-console",
        ))
    }

    /// Returns the address that it listens on.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match *self {}
    }

    /// Returns the layer that observes tasks.
    pub(crate) fn into_layer<S: tracing::Subscriber>(
        self,
    ) -> Result<Box<dyn Layer<S> + Send + Sync>, Explanation> {
        match self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_that_the_program_has_no_console() {
        let error = Console::listen(([127, 0, 0, 1], 0).into()).unwrap_err();
        assert!(!error.message.contains('\n'));
        assert!(error.hint.unwrap().contains("just run-server-console"));
    }
}
