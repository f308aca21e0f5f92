//! Units of systemd.

use std::path::Path;
use std::process::Stdio;

/// Exists where systemd is the service manager.
const SYSTEMD: &str = "/run/systemd/system";

/// Returns whether a unit is active; `None` if this machine has no systemd.
pub async fn is_active(unit: &str) -> Option<bool> {
    if !Path::new(SYSTEMD).exists() {
        return None;
    }
    let status = tokio::process::Command::new("systemctl")
        .args(["is-active", "--quiet", unit])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await;
    Some(status.is_ok_and(|status| status.success()))
}
