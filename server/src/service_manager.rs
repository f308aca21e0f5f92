//! The service manager (sd_notify(3)): learns when the server is ready, reloads and stops, and expects notifications of
//! the watchdog. Without a service manager, nothing is sent.

use std::net::SocketAddr;
use std::time::Duration;

use sd_notify::NotifyState;

/// Reports that the server accepts requests.
pub(crate) fn ready(address: SocketAddr) {
    let status = format!("serving at {address}");
    send(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Reports that the settings are read again. [`reloaded`] has to follow.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        // Only the form with a time is required to be answered by the service.
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// Reports that the settings have been read again, or that an error kept the earlier ones.
pub(crate) fn reloaded(error: Option<&str>) {
    let status = match error {
        None => "serving".to_owned(),
        Some(error) => format!("serving with the earlier settings: {error}"),
    };
    // A line break would end the message.
    let status = status.replace('\n', " ");
    send(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Reports that the shutdown has begun.
pub(crate) fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Resets the watchdog.
pub(crate) fn notify_watchdog() {
    send(&[NotifyState::Watchdog]);
}

/// Returns the interval of watchdog notifications, if the service manager expects any: half of its limit.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
