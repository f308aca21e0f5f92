//! Shutdown by signals.

use buildbtw_telemetry::spawn_named;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `shutdown` at the first SIGTERM or SIGINT; the second ends the process immediately.
///
/// # Errors
/// When signals cannot be received.
pub fn on_signals(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    spawn_named("signals", async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if !first {
                std::process::exit(130);
            }
            shutdown.cancel();
        }
    });
    Ok(())
}
