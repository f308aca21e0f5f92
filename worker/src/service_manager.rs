//! The service manager (sd_notify(3)): learns when the worker is ready and stops, and expects notifications of the
//! watchdog. Without a service manager, nothing is sent.

use buildbtw_telemetry::spawn_named;
use sd_notify::NotifyState;
use tokio_util::task::AbortOnDropHandle;

/// Reports that the worker claims builds.
pub(crate) fn ready(server: &str, jobs: usize) {
    let builds = if jobs == 1 { "build" } else { "builds" };
    let status = format!("claims up to {jobs} {builds} at {server}");
    send(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Reports that the worker claims no more builds.
pub(crate) fn stopping() {
    send(&[
        NotifyState::Stopping,
        NotifyState::Status("waiting for running builds"),
    ]);
}

/// Notifies the watchdog while the runtime runs tasks, if the service manager expects that: twice within its limit.
/// They do not depend on the server, whose outages a worker survives.
pub(crate) fn notify_watchdog() -> Option<AbortOnDropHandle<()>> {
    let pause = sd_notify::watchdog_enabled()? / 2;
    Some(AbortOnDropHandle::new(spawn_named(
        "watchdog",
        async move {
            loop {
                send(&[NotifyState::Watchdog]);
                tokio::time::sleep(pause).await;
            }
        },
    )))
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
