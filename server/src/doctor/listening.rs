//! The addresses that the server listens on: that no other program uses them.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use buildbtw_doctor::{Check, Report, systemd};
use buildbtw_model::Explanation;
use buildbtw_model::client::Client;
use buildbtw_telemetry::console::Console;

use crate::address::reachable;
use crate::cli::RunArgs;
use crate::listening::{ensure_distinct, listen};

use super::running::{Running, Use};

/// Listens in place of the server.
const SOCKET_UNIT: &str = "buildbtw-server.socket";
const LISTEN: &str = "--listen";
const METRICS: &str = "--metrics-listen";
const CONSOLE: &str = "--tokio-console";

/// Who uses an address that is in use.
pub(super) enum Holder {
    /// The server that uses the data folder.
    Server,
    /// systemd, for the server.
    Systemd,
    /// It cannot be told, for this reason.
    Unknown(&'static str),
    /// Another program.
    Other,
}

/// Checks every address of the settings as the start of the server does.
pub(super) async fn check(report: &mut Report, args: &RunArgs, running: &Running) {
    let main = async {
        let bound = listen(None, args.listen).await.map(drop);
        let holder = holder(args.listen, running).await;
        vec![judge(LISTEN, args.listen, bound, holder)]
    };
    report.run(LISTEN, main).await;
    if let Some(address) = args.metrics.metrics_listen {
        let metrics = async {
            // systemd's socket may be at another address than the setting.
            if let Err(refusal) = ensure_distinct(args.listen, address)
                && systemd::is_active(SOCKET_UNIT).await != Some(true)
            {
                return vec![judge(METRICS, address, Err(refusal.into()), None)];
            }
            let bound = buildbtw_metrics::listen(address, METRICS).await;
            let bound = bound
                .map(drop)
                .map_err(|error| Explanation::with_hint(error.to_string(), error.hint()).into());
            let holder = holder_of_metrics(address, running).await;
            vec![judge(METRICS, address, bound, holder)]
        };
        report.run(METRICS, metrics).await;
    }
    if let Some(address) = args.telemetry.tokio_console {
        let bound = Console::listen(address).map(drop).map_err(Into::into);
        let holder = match (is_in_use(address), &running.used) {
            (false, _) => None,
            (true, Use::Free) => Some(Holder::Other),
            (true, _) => Some(Holder::Unknown("probably by the running server")),
        };
        report.add(judge(CONSOLE, address, bound, holder));
    }
}

fn is_in_use(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

/// Returns who uses the server's address, if it is in use.
async fn holder(address: SocketAddr, running: &Running) -> Option<Holder> {
    if !is_in_use(address) {
        return None;
    }
    if systemd::is_active(SOCKET_UNIT).await == Some(true) {
        return Some(Holder::Systemd);
    }
    Some(match (&running.used, &running.address) {
        (Use::Free, _) => Holder::Other,
        (Use::Unknown(_), _) => Holder::Unknown("the running server cannot be identified"),
        (Use::Server, None) => Holder::Unknown("probably by the server, which has not served yet"),
        (Use::Server, Some(own)) if *own == reachable(address).to_string() => Holder::Server,
        (Use::Server, Some(_)) => Holder::Other,
    })
}

/// Returns who uses the address for metrics, if it is in use: a server answers there with its readiness.
async fn holder_of_metrics(address: SocketAddr, running: &Running) -> Option<Holder> {
    if !is_in_use(address) {
        return None;
    }
    let answers = async {
        let client = Client::new(&format!("http://{}", reachable(address)), None)?;
        client.readiness().await
    };
    Some(match &running.used {
        Use::Free => Holder::Other,
        Use::Unknown(_) => Holder::Unknown("the running server cannot be identified"),
        Use::Server if answers.await.is_ok() => Holder::Server,
        Use::Server => Holder::Other,
    })
}

/// Judges whether the server can listen at an address.
pub(super) fn judge(
    name: &str,
    address: SocketAddr,
    bound: anyhow::Result<()>,
    holder: Option<Holder>,
) -> Check {
    match (bound, holder) {
        (_, Some(Holder::Server)) => {
            Check::ok(name, format!("the running server listens at {address}"))
        }
        (_, Some(Holder::Systemd)) => {
            Check::ok(name, format!("{SOCKET_UNIT} listens for the server"))
        }
        (Err(_), Some(Holder::Unknown(why))) => {
            Check::skipped(name, format!("{address} is in use: {why}"))
        }
        (Ok(()), _) => Check::ok(name, format!("the server can listen at {address}")),
        (Err(error), _) => {
            let why = Explanation::of_error(error.as_ref());
            Check::failed(
                name,
                why,
                format!("set {name} to an address of this machine"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::*;

    fn running(used: Use, address: Option<SocketAddr>) -> Running {
        Running {
            used,
            address: address.map(|address| address.to_string()),
        }
    }

    async fn listens(address: SocketAddr, running: &Running) -> Check {
        let bound = listen(None, address).await.map(drop);
        judge(LISTEN, address, bound, holder(address, running).await)
    }

    #[tokio::test]
    async fn distinguishes_own_server_from_other_programs() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let used = listener.local_addr().unwrap();
        let other = listens(used, &running(Use::Free, None)).await;
        assert_eq!(other.status, Status::Failure);
        assert!(
            other.message.contains("in use by another program"),
            "{other:?}"
        );
        let own = listens(used, &running(Use::Server, Some(used))).await;
        assert_eq!(own.status, Status::Ok);
        let elsewhere = ([127, 0, 0, 1], 1).into();
        let other = listens(used, &running(Use::Server, Some(elsewhere))).await;
        assert_eq!(other.status, Status::Failure);
        let unknown = std::io::Error::from(ErrorKind::PermissionDenied);
        let unknown = listens(used, &running(Use::Unknown(unknown), None)).await;
        assert_eq!(unknown.status, Status::Skipped);
        drop(listener);
        let free = listens(used, &running(Use::Free, None)).await;
        assert_eq!(free.status, Status::Ok);
    }

    #[tokio::test]
    async fn names_program_at_the_address_for_metrics() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for used in [Use::Free, Use::Server] {
            // Ends the connection of the check, which the other program does not answer.
            let accepted = std::thread::spawn({
                let listener = listener.try_clone().unwrap();
                let asks = matches!(used, Use::Server);
                move || asks.then(|| drop(listener.accept()))
            });
            let holder = holder_of_metrics(address, &running(used, None)).await;
            assert!(matches!(holder, Some(Holder::Other)));
            accepted.join().unwrap();
        }
    }
}
