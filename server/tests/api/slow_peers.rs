//! Peers that are slow, disconnect, or send more than allowed.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{PATIENCE, TestServer};

async fn connect(server: &TestServer) -> TcpStream {
    let address = server.url().strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// Returns the response until the server closes the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    // A reset is an end, too.
    let _ = tokio::time::timeout(PATIENCE, read)
        .await
        .expect("the connection is still open");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn rejects_endless_headers() {
    let server = TestServer::start(|_| {}).await;
    let mut stream = connect(&server).await;
    let sent = async {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await?;
        for number in 0..10_000 {
            let line = format!("X-{number}: {}\r\n", "a".repeat(100));
            stream.write_all(line.as_bytes()).await?;
        }
        std::io::Result::Ok(())
    };
    // It may close the connection before all is sent.
    let _ = sent.await;
    let response = rest(stream).await;
    assert!(
        response.is_empty() || response.starts_with("HTTP/1.1 431"),
        "{response}"
    );
    assert!(server.public().namespaces().await.is_ok());
}

#[tokio::test]
async fn rejects_non_http_input() {
    let server = TestServer::start(|_| {}).await;
    for bytes in [&b"\0\0\0\0\0"[..], b"SSH-2.0-x\r\n\r\n", b"GET\r\n\r\n"] {
        let mut stream = connect(&server).await;
        stream.write_all(bytes).await.unwrap();
        // The response may have arrived before, and with it the end.
        let _ = stream.shutdown().await;
        let response = rest(stream).await;
        assert!(
            response.is_empty() || response.starts_with("HTTP/1.1 400"),
            "{response}"
        );
    }
}

#[tokio::test]
async fn idle_connections_do_not_delay_shutdown() {
    let mut server = TestServer::start(|_| {}).await;
    let idle = connect(&server).await;
    let mut half = connect(&server).await;
    half.write_all(b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\n")
        .await
        .unwrap();
    // Otherwise they are disconnected after 30 s, and the grace time is 10 s.
    tokio::time::timeout(Duration::from_secs(28), server.stop())
        .await
        .expect("the server waits for silent peers");
    drop((idle, half));
}
