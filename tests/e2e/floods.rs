//! Anonymous requests use little memory of the server, however much they send.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use buildbtw_tests::{Forge, Server};

const CONNECTIONS: usize = 100;
/// The memory that the server may need for all of them, in KiB.
const MAX_KIB: u64 = 64 * 1024;
/// Longer than any timeout of the server.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sends a request as far as the server reads it, and returns the status of the response.
fn send(address: SocketAddr, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // It may respond, and close the connection, before all is sent.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8_lossy(&response);
    response.split(' ').nth(1).unwrap_or("none").to_owned()
}

fn flood(address: SocketAddr, head: &str, body: &[u8]) -> Vec<String> {
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(|| send(address, head, body)))
            .collect();
        let senders = senders.into_iter();
        senders.map(|sender| sender.join().unwrap()).collect()
    })
}

#[test]
fn anonymous_bodies_take_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let forge = Forge::new(folder.path());
    let server = Server::start_with_gitlab(folder.path(), &forge);
    let url = server.url();
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    let before = server.memory_kib();
    let body = vec![b'['; 8 << 20];
    let head = |path: &str, more: &str| {
        let length = body.len();
        format!(
            "POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n{more}\r\n"
        )
    };
    let digest = format!("{}=", "A".repeat(43));
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let signed =
        format!("webhook-id: a\r\nwebhook-timestamp: {now}\r\nwebhook-signature: v1,{digest}\r\n");
    let responses = flood(address, &head("webhooks/gitlab", &signed), &body);
    let expected = ["401", "408", "429", "503", "none"];
    for response in &responses {
        assert!(expected.contains(&response.as_str()), "{responses:?}");
    }
    assert!(
        responses.iter().any(|response| response == "401"),
        "{responses:?}"
    );
    let responses = flood(address, &head("plans", ""), &body);
    let expected = ["413", "503", "none"];
    for response in &responses {
        assert!(expected.contains(&response.as_str()), "{responses:?}");
    }
    let taken = server.memory_kib() - before;
    assert!(taken < MAX_KIB, "{taken} KiB");
}
