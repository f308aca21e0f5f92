//! The server that uses the data folder, if one does.

use std::path::Path;

use buildbtw_doctor::{Check, Report, server, version};
use buildbtw_model::client::{Client, ClientError};

use crate::cli::RunArgs;
use crate::config::Config;
use crate::run::{ADDRESS_FILE, LOCK_FILE};

const NAME: &str = "running server";
const PUBLIC: &str = "public URL";
/// What to do about a server that does not work.
const RESTART: &str =
    "read its log (`journalctl -u buildbtw-server`), then `systemctl restart buildbtw-server`";

/// Whether a server runs, and where.
pub(super) struct Running {
    /// Whether a process holds the lock of the data folder.
    pub(super) is_in_use: bool,
    /// The address that it wrote.
    address: Option<String>,
}

impl Running {
    /// Finds the server of a data folder.
    pub(super) fn find(data: &Path) -> Self {
        let address = fs_err::read_to_string(data.join(ADDRESS_FILE)).ok();
        Self {
            is_in_use: is_locked(&data.join(LOCK_FILE)),
            address: address.map(|text| text.trim().to_owned()),
        }
    }

    /// Asks it whether it works. Without one, says so.
    pub(super) async fn check(&self, report: &mut Report, config: Option<&Config>, args: &RunArgs) {
        let address = match (self.is_in_use, &self.address) {
            (false, _) => {
                report.add(Check::skipped(NAME, "no server uses the data folder"));
                return;
            }
            (true, None) => {
                report.add(Check::warning(
                    NAME,
                    "it has not served yet: it waits for its sources, or could not write its address",
                    RESTART,
                ));
                return;
            }
            (true, Some(address)) => address,
        };
        report.run(NAME, ask(&format!("http://{address}"))).await;
        if let (Some(config), Some(_)) = (config, &args.url) {
            report.run(PUBLIC, ask_public(config)).await;
        }
    }
}

/// Returns whether a process holds the exclusive lock of a file. The shared one that shows it is released at once.
fn is_locked(path: &Path) -> bool {
    let Ok(file) = fs_err::File::open(path) else {
        return false;
    };
    let file = file.into_parts().0;
    matches!(
        file.try_lock_shared(),
        Err(std::fs::TryLockError::WouldBlock)
    )
}

async fn ask(url: &str) -> Vec<Check> {
    let asked = async {
        let client = Client::new(url, None)?;
        client.probe().await?;
        client.readiness().await
    };
    match asked.await {
        Ok(ready) => {
            let own = env!("CARGO_PKG_VERSION");
            let mut checks = vec![
                Check::ok(NAME, format!("it answers at {url}")),
                version::check("version", own, ready.version.as_deref()),
            ];
            checks.extend(server::readiness(&ready, RESTART));
            checks
        }
        Err(error) => vec![Check::failure(NAME, error.to_string(), RESTART)],
    }
}

/// Asks it at the address that users and runners have, which may lead through a proxy.
async fn ask_public(config: &Config) -> Vec<Check> {
    let asked: Result<_, ClientError> =
        async { Client::new(&config.url, None)?.probe().await }.await;
    let check = match asked {
        Ok(_) => Check::ok(PUBLIC, format!("the server answers at {}", config.url)),
        Err(error) => Check::warning(
            PUBLIC,
            format!("from this machine, {error}"),
            "check the proxy and its certificate; notes/install.md shows their configuration",
        ),
    };
    vec![check]
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::*;

    #[test]
    fn notices_lock_of_another_process_without_taking_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK_FILE);
        assert!(!is_locked(&path));
        let file = fs_err::File::create(&path).unwrap().into_parts().0;
        assert!(!is_locked(&path));
        file.try_lock().unwrap();
        assert!(is_locked(&path));
        file.unlock().unwrap();
        file.try_lock().unwrap();
    }

    #[tokio::test]
    async fn names_server_that_does_not_answer() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let checks = ask(&url).await;
        assert_eq!(checks[0].status, Status::Failure);
        assert!(checks[0].repair.as_deref().unwrap().contains("journalctl"));
    }
}
