//! No client blocks others with many requests over few connections.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{PATIENCE, ServerOptions, Srcinfo, TestServer, eventually};

/// Types and flags of frames (RFC 9113, section 6).
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 5;

/// An HTTP/2 connection that sends many requests and reads only the headers of responses.
struct Http2(TcpStream);

impl Http2 {
    async fn open(server: &TestServer, from: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let address = server.url().strip_prefix("http://").unwrap();
        let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
        // The preface (RFC 9113, section 3.4).
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let mut this = Self(stream);
        this.send(SETTINGS, 0, 0, &[]).await;
        this
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await.unwrap();
    }

    async fn get(&mut self, stream: u32, path: &str) {
        // :method GET and :scheme http of the static table, :path and :authority (RFC 7541, appendix A).
        let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
        block.extend(path.as_bytes());
        block.extend(b"\x01\x01x");
        self.send(HEADERS, END_STREAM_AND_HEADERS, stream, &block)
            .await;
    }

    /// Reads the next frame, with its header. Responds to frames that require it.
    async fn frame(&mut self) -> std::io::Result<([u8; 9], Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await?;
        match (head[3], head[4]) {
            (SETTINGS, 0) => self.send(SETTINGS, ACK, 0, &[]).await,
            (PING, 0) => self.send(PING, ACK, 0, &payload).await,
            _ => {}
        }
        Ok((head, payload))
    }

    /// Waits for this many response headers; returns how many of them are a success.
    async fn successes(&mut self, responses: usize) -> usize {
        /// :status 200 of the static table.
        const OK: u8 = 0x88;
        let (mut heads, mut successes) = (0, 0);
        while heads < responses {
            let (head, payload) = self.frame().await.unwrap();
            if head[3] == HEADERS {
                // Dynamic table size updates may precede it.
                let status = payload.iter().find(|byte| **byte >> 5 != 1);
                heads += 1;
                successes += usize::from(status == Some(&OK));
            }
        }
        successes
    }

    /// Waits until the server ends the connection.
    async fn end(&mut self) {
        while self.frame().await.is_ok() {}
    }
}

async fn server(flags: &[&str]) -> TestServer {
    server_with(ServerOptions {
        extra: flags.iter().map(|&flag| flag.to_owned()).collect(),
        ..ServerOptions::default()
    })
    .await
}

async fn server_with(options: ServerOptions) -> TestServer {
    let server = TestServer::start_with(options, |sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    server
}

/// An HTTP/2 client announces how many bytes it accepts: here, none.
#[tokio::test(flavor = "multi_thread")]
async fn disconnects_client_that_does_not_read() {
    const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
    let server = server_with(ServerOptions {
        longest_stall: Some(Duration::from_secs(3)),
        ..ServerOptions::default()
    })
    .await;
    let mut reader = Http2::open(&server, "127.0.0.2").await;
    reader.send(SETTINGS, 0, 0, &NO_WINDOW).await;
    reader.get(1, "/api/v1/namespaces").await;
    assert_eq!(reader.successes(1).await, 1);
    // Waiting for events that do not come is allowed.
    let mut waiting = Http2::open(&server, "127.0.0.3").await;
    waiting.get(1, "/api/v1/namespaces/bump/events").await;
    assert_eq!(waiting.successes(1).await, 1);
    tokio::select! {
        () = reader.end() => {}
        () = waiting.end() => panic!("a waiting connection was closed"),
        () = tokio::time::sleep(PATIENCE) => panic!("no connection was closed"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_requests_of_a_connection_for_its_address() {
    let server = server(&["--max-connections-per-address", "4"]).await;
    let events = "/api/v1/namespaces/bump/events";
    let mut many = Http2::open(&server, "127.0.0.2").await;
    for stream in 0..6 {
        many.get(2 * stream + 1, events).await;
    }
    assert_eq!(many.successes(6).await, 4);
    let mut other = Http2::open(&server, "127.0.0.3").await;
    other.get(1, events).await;
    assert_eq!(other.successes(1).await, 1);
    drop(many);
    eventually("room for requests", async || {
        let mut again = Http2::open(&server, "127.0.0.2").await;
        again.get(1, events).await;
        (again.successes(1).await == 1).then_some(())
    })
    .await;
}

/// Readers queue for database connections, and do not occupy the one that workers need.
#[tokio::test(flavor = "multi_thread")]
async fn many_readers_do_not_block_workers_from_the_database() {
    let server = server(&[]).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    let mut readers = Vec::new();
    // Also from the worker's own address: its anonymous requests count as anonymous.
    for from in ["127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2"] {
        let mut reader = Http2::open(&server, from).await;
        for stream in 0..30 {
            reader
                .get(2 * stream + 1, "/api/v1/namespaces/bump/iterations/1")
                .await;
        }
        readers.push(reader);
    }
    for _ in 0..10 {
        job.heartbeat().await.unwrap();
    }
    for reader in &mut readers {
        assert_eq!(reader.successes(30).await, 30);
    }
}
