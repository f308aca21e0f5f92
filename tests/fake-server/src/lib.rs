//! A server for tests of worker and executor. It keeps its promises (claims, uploads and outcomes are idempotent, the
//! length of the log is exact), but its responses may be late, repeated, lost, or come after a restart.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err,
    missing_docs,
    reason = "panics fail the test with their message; error responses are returned whole"
)]

mod claimed;
mod problem;
mod routes;
mod state;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buildbtw_model::AttemptId;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use claimed::build;
pub use state::{Attempt, Fault, Faults, Inner};

use routes::router;
use state::Shared;

/// Longer than any test takes on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct FakeServer {
    shared: Shared,
    pub address: SocketAddr,
}

impl FakeServer {
    pub async fn start() -> Self {
        let mut server = Self {
            shared: Shared {
                inner: Arc::default(),
                changed: watch::Sender::new(0),
                faults: Arc::new(Mutex::new((|_, _| Fault::None, 0))),
                killed: CancellationToken::new(),
            },
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        server.restart().await;
        server
    }

    /// Breaks all connections and accepts no new ones, like `kill -9`.
    pub fn kill(&self) {
        self.shared.killed.cancel();
    }

    /// Restarts at the same address, with what it had recorded.
    pub async fn restart(&mut self) {
        self.shared.killed = CancellationToken::new();
        let listener = loop {
            match TcpListener::bind(self.address).await {
                // The previous listener was not dropped yet.
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                    tokio::task::yield_now().await;
                }
                bound => break bound.unwrap(),
            }
        };
        self.address = listener.local_addr().unwrap();
        let (app, killed) = (router(self.shared.clone()), self.shared.killed.clone());
        tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, app) => served.unwrap(),
                () = killed.cancelled() => {}
            }
        });
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_faults(&self, faults: Faults) {
        self.shared.faults.lock().unwrap().0 = faults;
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        self.shared.change(change)
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, condition: impl Fn(&Inner) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let wait = async {
            while !condition(&self.shared.inner.lock().unwrap()) {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("{what} did not happen"));
    }

    pub fn attempt(&self, id: AttemptId) -> Attempt {
        self.change(|inner| inner.attempts.get(&id).cloned().unwrap_or_default())
    }
}
