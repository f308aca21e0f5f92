//! What open event streams cost: memory of the server, and the time from the report of a dependency until a worker has
//! its dependent, without and with thousands of followers of all events. Prints figures; asserts nothing about time.
//!
//! The server is a process of its own; workers and followers share another one. `just bench` compiles the server first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "panics abort the benchmark; it prints its figures"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use buildbtw_tests::Server;
use buildbtw_tests::paced::{Paced, spread};
use buildbtw_tests::worker_pool::create;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const STREAMS: usize = 2000;
const PACED: Paced = Paced {
    chains: 100,
    length: 20,
    workers: 300,
};

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        measure("no streams", 0, "").await;
        measure("idle", STREAMS, "?namespace=quiet").await;
        measure("of all events", STREAMS, "").await;
    });
}

async fn measure(title: &str, count: usize, query: &str) {
    let folder = tempfile::tempdir().unwrap();
    let sources = PACED.sources(folder.path());
    let server = Server::start_for_many_clients(folder.path(), &sources, 60);
    let client = server.client();
    // A namespace with one build, whose events no other stream waits for.
    let last = PACED.chains * PACED.length;
    create(&client, &format!("p{last}/main"), "quiet").await;
    let before = server.resident_kib();
    let followers = Followers::start(&server, count, query).await;
    let opened = server.resident_kib();
    let latencies = PACED.dispatches(&client, folder.path(), "paced").await;
    println!(
        "{count} streams, {title}: outcome -> dependent  {}",
        spread(latencies)
    );
    println!(
        "    memory of the server {} MiB, {} KiB more per stream, {} MiB at most; {} MiB received",
        opened >> 10,
        (opened.saturating_sub(before))
            .checked_div(count as u64)
            .unwrap_or(0),
        server.memory_kib() >> 10,
        followers.received.load(Ordering::Relaxed) >> 20,
    );
}

/// Open event streams, whose events are read and dropped.
struct Followers {
    received: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Followers {
    /// Opens streams, and waits until each has sent the head of its response.
    async fn start(server: &Server, count: usize, query: &str) -> Self {
        let received = Arc::new(AtomicU64::new(0));
        let address = server.address();
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET /api/v1/events{query} HTTP/1.1\r\nHost: {address}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut buffer = vec![0; 4096];
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(buffer[..length].starts_with(b"HTTP/1.1 200"));
            let received = Arc::clone(&received);
            tasks.spawn(async move {
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    received.fetch_add(length as u64, Ordering::Relaxed);
                }
            });
        }
        Self {
            received,
            _tasks: tasks,
        }
    }
}
