//! The address for metrics: that no other program uses it.

use std::fs::TryLockError;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use buildbtw_doctor::{Check, Report};
use buildbtw_metrics::ListenError;
use buildbtw_model::Explanation;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The setting, and the name of the check.
const NAME: &str = "--metrics-listen";
/// A metric that only workers have.
const OF_WORKERS: &str = "buildbtw_worker_build";
/// How long a program at the address may take to answer: less than the whole check.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than the metrics of a worker.
const MAX_ANSWER: u64 = 1024 * 1024;

/// Who uses an address that is in use.
enum Holder {
    /// The worker that uses the scratch folder.
    Worker,
    /// Another program.
    Other,
    /// It cannot be told, for this reason.
    Unknown(io::Error),
}

/// Checks that the worker of a scratch folder can serve metrics at an address, or does so.
pub(super) async fn check(report: &mut Report, address: SocketAddr, scratch: &Path) {
    let checks = async {
        let refusal = buildbtw_metrics::listen(address, NAME).await.err();
        let holder = match &refusal {
            Some(error) if error.is_in_use() => find_holder(address, scratch).await,
            _ => Holder::Other,
        };
        vec![judge(address, refusal.as_ref(), &holder)]
    };
    report.run(NAME, checks).await;
}

/// Judges whether the worker can serve metrics at an address.
fn judge(address: SocketAddr, refusal: Option<&ListenError>, holder: &Holder) -> Check {
    match (refusal, holder) {
        (None, _) => Check::ok(NAME, format!("the worker can serve metrics at {address}")),
        (Some(_), Holder::Worker) => Check::ok(
            NAME,
            format!("the running worker serves metrics at {address}"),
        ),
        (Some(_), Holder::Unknown(error)) => Check::skipped(
            NAME,
            format!("{address} is in use, and the running worker cannot be identified: {error}"),
        ),
        (Some(error), Holder::Other) => {
            let why = Explanation::with_hint(error.to_string(), error.hint());
            Check::failed(NAME, why, "choose another address")
        }
    }
}

/// Returns who uses an address. Workers on one machine may have been given the same address, so only the one that uses
/// the scratch folder counts.
async fn find_holder(address: SocketAddr, scratch: &Path) -> Holder {
    match is_locked(&scratch.join("lock")) {
        Ok(true) if is_worker(address).await => Holder::Worker,
        Ok(_) => Holder::Other,
        Err(error) => Holder::Unknown(error),
    }
}

/// Returns whether a process holds the exclusive lock of a file. The shared one that shows it is released at once.
fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match fs_err::File::open(path) {
        Ok(file) => file.into_parts().0,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Returns whether a worker answers at an address.
async fn is_worker(address: SocketAddr) -> bool {
    let asked = tokio::time::timeout(PATIENCE, ask(address)).await;
    asked.is_ok_and(|answer| answer.is_ok_and(|text| text.contains(OF_WORKERS)))
}

/// Asks for metrics. The server ends the connection of a request of this version, so the answer ends with it.
async fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use buildbtw_doctor::Status;
    use buildbtw_telemetry::spawn_named;

    use super::*;

    async fn checked(address: SocketAddr, scratch: &Path) -> Check {
        let mut report = Report::new("buildbtw-worker", "1");
        check(&mut report, address, scratch).await;
        report.checks.remove(0)
    }

    #[tokio::test]
    async fn distinguishes_own_worker_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = buildbtw_metrics::listen(any, NAME).await.unwrap();
        let address = listener.local_addr().unwrap();
        let registry = buildbtw_metrics::registry("buildbtw_worker", "1", |_| {});
        let router = buildbtw_metrics::router(Arc::new(registry), || {});
        let service = spawn_named("metrics service", buildbtw_metrics::serve(listener, router));
        // That of another scratch folder.
        let other = checked(address, folder.path()).await;
        assert_eq!(other.status, Status::Failure);
        assert!(
            other.message.contains("in use by another program"),
            "{other:?}"
        );
        assert!(other.repair.unwrap().contains(NAME));
        let lock = fs_err::File::create(folder.path().join("lock")).unwrap();
        let lock = lock.into_parts().0;
        lock.try_lock().unwrap();
        let own = checked(address, folder.path()).await;
        assert_eq!(own.status, Status::Ok, "{own:?}");
        // Not even root can open a file below a file, as other users cannot below a private folder.
        let hidden = checked(address, &folder.path().join("lock")).await;
        assert_eq!(hidden.status, Status::Skipped, "{hidden:?}");
        service.abort();
        assert!(service.await.unwrap_err().is_cancelled());
        let free = checked(any, folder.path()).await;
        assert_eq!(free.status, Status::Ok, "{free:?}");
    }

    #[tokio::test]
    async fn asks_the_program_at_the_address() {
        let folder = tempfile::tempdir().unwrap();
        let lock = fs_err::File::create(folder.path().join("lock")).unwrap();
        let lock = lock.into_parts().0;
        lock.try_lock().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // The other program does not answer, and ends the connection.
        let accepted = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            drop(stream);
            listener
        });
        let other = checked(address, folder.path()).await;
        assert_eq!(other.status, Status::Failure, "{other:?}");
        drop(accepted.join().unwrap());
    }
}
