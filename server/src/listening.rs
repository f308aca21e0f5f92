//! The socket that the server accepts connections on: one that the service manager opened (sd_listen_fds(3)), or its
//! own.

use std::net::SocketAddr;

use buildbtw_model::Explanation;
use listenfd::ListenFd;
use tokio::net::TcpListener;

/// Takes the socket that the service manager passed, if it passed one. Call it while the process has a single thread,
/// because it changes the environment.
///
/// # Errors
/// When there are several sockets, or the one is not a listening TCP socket.
pub fn passed_socket() -> anyhow::Result<Option<std::net::TcpListener>> {
    let mut sockets = ListenFd::from_env();
    let count = sockets.len();
    anyhow::ensure!(count < 2, several_sockets(count));
    if count == 0 {
        return Ok(None);
    }
    let socket = sockets.take_tcp_listener(0);
    Ok(socket.map_err(|error| unusable_socket(&error))?)
}

fn unusable_socket(error: &std::io::Error) -> Explanation {
    Explanation::with_hint(
        format!("cannot use the socket that the service manager passed: {error}"),
        "set ListenStream= of the socket unit to an IP address and a port, such as `127.0.0.1:8080`",
    )
}

fn several_sockets(count: usize) -> Explanation {
    Explanation::with_hint(
        format!("the service manager passed {count} sockets, and the server listens on one"),
        "remove all but one ListenStream= from the socket unit",
    )
}

/// Listens on the passed socket, or else at an address.
pub(crate) async fn listen(
    passed: Option<std::net::TcpListener>,
    address: SocketAddr,
) -> anyhow::Result<TcpListener> {
    if let Some(socket) = passed {
        socket.set_nonblocking(true)?;
        return Ok(TcpListener::from_std(socket)?);
    }
    let bound = TcpListener::bind(address).await;
    Ok(bound.map_err(|error| not_bound(address, &error))?)
}

/// Checks that the address for metrics is not the server's own, which would look like another program's.
///
/// # Errors
/// When both cannot be used at the same time.
pub(crate) fn ensure_distinct(own: SocketAddr, metrics: SocketAddr) -> Result<(), Explanation> {
    if !overlaps(own, metrics) {
        return Ok(());
    }
    Err(Explanation::with_hint(
        format!("--metrics-listen {metrics} is the address of the server itself"),
        "choose another --metrics-listen, or leave it out: then the server's address has /metrics",
    ))
}

/// Returns whether two sockets cannot listen at these addresses at the same time.
fn overlaps(one: SocketAddr, other: SocketAddr) -> bool {
    // One of all interfaces includes those of its kind, and one of IPv6 both kinds.
    let includes = |all: SocketAddr, address: SocketAddr| {
        all.ip().is_unspecified() && (all.is_ipv6() || address.is_ipv4())
    };
    // Port 0 is a free one.
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || includes(one, other) || includes(other, one))
}

/// Explains why the server cannot listen at an address.
fn not_bound(address: SocketAddr, error: &std::io::Error) -> Explanation {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => Explanation::with_hint(
            format!("{address} is in use by another program"),
            "stop it, or choose another --listen",
        ),
        std::io::ErrorKind::PermissionDenied => Explanation::with_hint(
            format!("cannot listen at {address}: ports below 1024 need privileges"),
            "choose another --listen",
        ),
        _ => Explanation::with_hint(
            format!("cannot listen at {address}: {error}"),
            "set --listen to an address of this machine",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn names_metrics_at_the_servers_own_address() {
        let refusal = |own: &str, metrics: &str| {
            ensure_distinct(own.parse().unwrap(), metrics.parse().unwrap()).err()
        };
        for (own, metrics) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("127.0.0.1:8080", "0.0.0.0:8080"),
            ("[::]:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "[::]:8080"),
        ] {
            let refused = refusal(own, metrics).unwrap();
            let expected =
                format!("--metrics-listen {metrics} is the address of the server itself");
            assert_eq!(refused.message, expected);
            assert!(refused.hint.unwrap().contains("leave it out"));
        }
        for (own, metrics) in [
            ("127.0.0.1:8080", "127.0.0.1:9464"),
            ("127.0.0.1:8080", "192.0.2.1:8080"),
            ("0.0.0.0:8080", "[::1]:8080"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ] {
            assert_eq!(refusal(own, metrics), None, "{own}, {metrics}");
        }
    }

    #[test]
    fn errors_match_snapshot() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let kinds = [
            ErrorKind::AddrInUse,
            ErrorKind::PermissionDenied,
            ErrorKind::AddrNotAvailable,
        ];
        let errors = kinds.map(|kind| not_bound(address, &Error::from(kind)).to_string());
        let passed = [
            several_sockets(2),
            unusable_socket(&Error::other("fd 3 is not a valid tcp socket")),
        ];
        let passed = passed.map(|error| error.to_string());
        let text = format!("{}\n\n{}", passed.join("\n\n"), errors.join("\n\n"));
        insta::assert_snapshot!(text);
    }
}
