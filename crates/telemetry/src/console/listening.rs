//! Serves tokio-console.

use std::io;
use std::net::{SocketAddr, TcpListener};

use buildbtw_model::Explanation;
use console_subscriber::{ConsoleLayer, Server, ServerParts};
use tonic::transport::server::TcpIncoming;
use tracing::Metadata;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::registry::LookupSpan;

/// The server of tokio-console, with an address but without a layer that observes tasks.
#[derive(Debug)]
pub struct Console {
    listener: TcpListener,
}

impl Console {
    /// Binds the address.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn listen(address: SocketAddr) -> Result<Self, Explanation> {
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        bound
            .map(|listener| Self { listener })
            .map_err(|error| refusal(address, &error))
    }

    /// Returns the address that it listens on.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Returns the layer that observes tasks, and starts to serve what it observes.
    pub(crate) fn into_layer<S>(self) -> Result<Box<dyn Layer<S> + Send + Sync>, Explanation>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        let (layer, server) = ConsoleLayer::builder().with_default_env().build();
        let listener = self.listener;
        // A runtime of its own: the console must answer while the observed one is blocked.
        let thread = std::thread::Builder::new().name("tokio-console".into());
        thread
            .spawn(move || serve(listener, server))
            .map_err(|error| Explanation::from(format!("cannot start tokio-console: {error}")))?;
        Ok(layer.with_filter(FilterFn::new(is_about_tasks)).boxed())
    }
}

/// Returns whether a span or event of tokio is meant for the console. `--log` does not apply to them.
fn is_about_tasks(metadata: &Metadata<'_>) -> bool {
    let is_of_tokio = metadata.target().starts_with("tokio");
    if metadata.is_event() {
        is_of_tokio || metadata.target().starts_with("runtime")
    } else {
        is_of_tokio || metadata.name().starts_with("runtime.")
    }
}

fn serve(listener: TcpListener, server: Server) {
    // The console must not observe itself.
    let unobserved = tracing::subscriber::set_default(NoSubscriber::default());
    let served = try_serve(listener, server);
    drop(unobserved);
    if let Err(error) = served {
        tracing::error!(error, "tokio-console is no longer served");
    }
}

fn try_serve(listener: TcpListener, server: Server) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| text(&error))?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| text(&error))?;
        let ServerParts {
            instrument_server,
            aggregator,
            ..
        } = server.into_parts();
        let router = tonic::transport::Server::builder().add_service(instrument_server);
        tokio::select! {
            () = aggregator.run() => Err("it stopped to collect data".to_owned()),
            served = router.serve_with_incoming(TcpIncoming::from(listener)) => {
                served.map_err(|error| text(&error))
            }
        }
    })
}

fn refusal(address: SocketAddr, error: &io::Error) -> Explanation {
    let (why, stop) = match error.kind() {
        io::ErrorKind::AddrInUse => ("the address is in use by another program", "stop that, or "),
        io::ErrorKind::AddrNotAvailable => ("this machine does not have the address", ""),
        io::ErrorKind::PermissionDenied => ("ports below 1024 need privileges", ""),
        _ => ("", ""),
    };
    let why = match why {
        "" => error.to_string(),
        why => why.to_owned(),
    };
    Explanation::with_hint(
        format!("cannot serve tokio-console at {address}: {why}"),
        format!("{stop}choose another address with --tokio-console ADDRESS"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_address_that_is_in_use() {
        let first = Console::listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = first.listener.local_addr().unwrap();
        let error = Console::listen(address).unwrap_err();
        assert_eq!(
            error.message,
            format!(
                "cannot serve tokio-console at {address}: the address is in use by another program"
            )
        );
        assert!(error.hint.unwrap().contains("--tokio-console"));
    }
}
