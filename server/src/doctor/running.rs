//! The server that uses the data folder, if one does.

use std::fs::TryLockError;
use std::io;
use std::path::Path;

use buildbtw_doctor::{Check, Report, server, version};
use buildbtw_model::api::ReadyResponse;
use buildbtw_model::client::{Client, ClientError};

use crate::cli::RunArgs;
use crate::config::Config;
use crate::run::{ADDRESS_FILE, LOCK_FILE};

const NAME: &str = "running server";
const PUBLIC: &str = "public URL";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What to do about a server that does not work.
const RESTART: &str =
    "read its log (`journalctl -u buildbtw-server`), then `systemctl restart buildbtw-server`";

/// Whether a server runs, and where.
pub(super) struct Running {
    /// Whether a process holds the lock of the data folder.
    pub(super) used: Use,
    /// The address that it wrote.
    pub(super) address: Option<String>,
}

/// Whether a server uses the data folder.
pub(super) enum Use {
    /// None does.
    Free,
    /// One does.
    Server,
    /// This user cannot tell, for this reason.
    Unknown(io::Error),
}

impl Running {
    /// Finds the server of a data folder.
    pub(super) fn find(data: &Path) -> Self {
        let address = fs_err::read_to_string(data.join(ADDRESS_FILE)).ok();
        Self {
            used: find_use(&data.join(LOCK_FILE)),
            address: address.map(|text| text.trim().to_owned()),
        }
    }

    /// Asks it whether it works. Without one, says so.
    pub(super) async fn check(&self, report: &mut Report, config: Option<&Config>, args: &RunArgs) {
        let address = match (&self.used, &self.address) {
            (Use::Free, _) => {
                report.add(Check::skipped(NAME, "no server uses the data folder"));
                return;
            }
            (Use::Unknown(error), _) => {
                report.add(unknown(error));
                return;
            }
            (Use::Server, None) => {
                report.add(not_served());
                return;
            }
            (Use::Server, Some(address)) => address,
        };
        let mut version = None;
        let asked = async {
            let answer = ask(&format!("http://{address}")).await;
            version = answer.version;
            answer.checks
        };
        report.run(NAME, asked).await;
        if let (Some(config), Some(_)) = (config, &args.url) {
            let version = version.as_deref().unwrap_or(VERSION);
            report.run(PUBLIC, ask_public(&config.url, version)).await;
        }
    }

    /// Returns whether a server uses the data folder, or may use it.
    pub(super) fn may_run(&self) -> bool {
        !matches!(self.used, Use::Free)
    }
}

/// Returns that this user cannot tell whether a server runs.
pub(super) fn unknown(error: &io::Error) -> Check {
    let message = format!("cannot tell: {error}; run this command as the server's user or as root");
    Check::skipped(NAME, message)
}

/// Returns the warning about a server that has no address yet.
pub(super) fn not_served() -> Check {
    Check::warning(
        NAME,
        "it has not served yet: it waits for its sources, or could not write its address",
        RESTART,
    )
}

/// Returns the failure of a server that does not answer.
pub(super) fn no_answer(error: &ClientError) -> Check {
    Check::failure(NAME, error.to_string(), RESTART)
}

/// Returns whether a process holds the exclusive lock of a file. The shared one that shows it is released at once.
fn find_use(path: &Path) -> Use {
    let file = match fs_err::File::open(path) {
        Ok(file) => file.into_parts().0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Use::Free,
        Err(error) => return Use::Unknown(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Use::Free,
        Err(TryLockError::WouldBlock) => Use::Server,
        Err(TryLockError::Error(error)) => Use::Unknown(error),
    }
}

/// What a server answered.
struct Answer {
    checks: Vec<Check>,
    version: Option<String>,
}

async fn ask(url: &str) -> Answer {
    let asked = async {
        let client = Client::new(url, None)?;
        client.probe().await?;
        client.readiness().await
    };
    match asked.await {
        Ok(ready) => {
            let mut checks = vec![
                Check::ok(NAME, format!("it answers at {url}")),
                version::check("version", VERSION, ready.version.as_deref()),
            ];
            checks.extend(server::readiness(&ready, repair));
            Answer {
                checks,
                version: ready.version,
            }
        }
        Err(error) => Answer {
            checks: vec![no_answer(&error)],
            version: None,
        },
    }
}

/// Returns what to do about a failed check of the server's readiness. A restart does not help where the server waits.
pub(super) fn repair(check: &str) -> &'static str {
    match check {
        "disk" => {
            "free space on the disk of the data folder, or lower --disk-reserve-mib; no restart is needed for space"
        }
        "sources" => "repair what it names; the server reads the sources again by itself",
        "shutdown" => "wait until it has stopped",
        _ => RESTART,
    }
}

/// Asks it at the address that users and runners have, which may lead through a proxy.
async fn ask_public(url: &str, version: &str) -> Vec<Check> {
    let asked = async { Client::new(url, None)?.readiness().await }.await;
    vec![judge_public(url, version, asked)]
}

/// Judges the answer at that address. `version` is that of the running server.
pub(super) fn judge_public(
    url: &str,
    version: &str,
    asked: Result<ReadyResponse, ClientError>,
) -> Check {
    match asked {
        Ok(ready) if ready.version.as_deref() == Some(version) => {
            Check::ok(PUBLIC, format!("the server answers at {url}"))
        }
        Ok(ready) => {
            let other = ready.version.as_deref().unwrap_or("unknown");
            Check::warning(
                PUBLIC,
                format!(
                    "another server answers at {url}: its version is {other}, that of the running one {version}"
                ),
                "let the proxy pass requests to the running server, or correct --url",
            )
        }
        Err(error) => Check::warning(
            PUBLIC,
            format!("from this machine, {error}"),
            "check the proxy and its certificate; notes/install.md shows their configuration",
        ),
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::*;

    #[test]
    fn notices_lock_of_another_process_without_taking_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK_FILE);
        let is_free = || matches!(find_use(&path), Use::Free);
        assert!(is_free());
        let file = fs_err::File::create(&path).unwrap().into_parts().0;
        assert!(is_free());
        file.try_lock().unwrap();
        assert!(matches!(find_use(&path), Use::Server));
        file.unlock().unwrap();
        file.try_lock().unwrap();
        // Not even root can open a file below a file, as other users cannot below a private folder.
        let hidden = find_use(&path.join("lock"));
        assert!(matches!(hidden, Use::Unknown(_)));
    }

    #[tokio::test]
    async fn names_server_that_does_not_answer() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let checks = ask(&url).await.checks;
        assert_eq!(checks[0].status, Status::Failure);
        assert!(checks[0].repair.as_deref().unwrap().contains("journalctl"));
    }

    #[tokio::test]
    async fn says_that_it_cannot_tell() {
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        let running = Running {
            used: Use::Unknown(error),
            address: None,
        };
        assert!(running.may_run());
        let mut report = Report::new("buildbtw-server", "1");
        let cli =
            crate::cli::parse(["buildbtw-server", "doctor", "--config=/dev/null"].map(Into::into));
        let crate::cli::Command::Doctor(args) = cli.unwrap().cli.command else {
            panic!("another command");
        };
        running.check(&mut report, None, &args.run).await;
        let [check] = &report.checks[..] else {
            panic!("{report:?}");
        };
        assert_eq!(check.status, Status::Skipped);
        assert!(
            check.message.contains("cannot tell: permission denied"),
            "{check:?}"
        );
        assert!(check.message.contains("or as root"), "{check:?}");
    }

    #[test]
    fn names_no_restart_for_what_the_server_waits_for() {
        for check in ["disk", "sources", "shutdown"] {
            assert!(!repair(check).contains("systemctl"), "{check}");
        }
        assert!(repair("disk").contains("--disk-reserve-mib"));
        assert_eq!(repair("writer"), RESTART);
    }

    /// Answers one request with this body, and returns the URL.
    fn answer(body: &'static str) -> String {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            stream.write_all((head + body).as_bytes()).unwrap();
        });
        url
    }

    #[tokio::test]
    async fn public_url_must_lead_to_the_running_server() {
        for (body, status, part) in [
            (
                r#"{"ready":true,"version":"1.2.3","checks":[]}"#,
                Status::Ok,
                "the server answers",
            ),
            (
                r#"{"ready":true,"version":"9.9.9","checks":[]}"#,
                Status::Warning,
                "9.9.9",
            ),
            ("ok", Status::Warning, "cannot parse"),
        ] {
            let check = ask_public(&answer(body), "1.2.3").await.remove(0);
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.message.contains(part), "{check:?}");
        }
    }
}
