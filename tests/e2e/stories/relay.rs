//! A proxy on the way to a server, which counts requests and bytes and can change requests.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The end of the first line of a request.
const REQUEST: &[u8] = b" HTTP/1.1\r\n";

/// A running proxy. It ends with the process of the tests.
pub(super) struct Relay {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    received: AtomicUsize,
}

impl Relay {
    /// Starts a proxy that changes parts of requests into others of the same length.
    pub(super) fn start(server: SocketAddr, change: Option<(&'static str, &'static str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, counts) = (client.unwrap(), Arc::clone(&shared));
                let server = TcpStream::connect(server).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let requests = Arc::clone(&shared);
                std::thread::spawn(move || {
                    pass(from, to, |bytes| {
                        if let Some((from, to)) = change {
                            replace(bytes, from.as_bytes(), to.as_bytes());
                        }
                        let lines = bytes.windows(REQUEST.len());
                        let lines = lines.filter(|bytes| *bytes == REQUEST).count();
                        requests.requests.fetch_add(lines, Ordering::Relaxed);
                    });
                });
                std::thread::spawn(move || {
                    pass(server, client, |bytes| {
                        counts.received.fetch_add(bytes.len(), Ordering::Relaxed);
                    });
                });
            }
        });
        Self { address, counts }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns how many requests were sent, and how many bytes the server sent, since the last call.
    pub(super) fn take_counts(&self) -> (usize, usize) {
        let take = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed);
        (take(&self.counts.requests), take(&self.counts.received))
    }
}

/// Passes on what arrives until one side closes the connection.
fn pass(mut from: TcpStream, mut to: TcpStream, mut on: impl FnMut(&mut [u8])) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count) = from.read(&mut buffer) {
        let bytes = &mut buffer[..count];
        on(bytes);
        if count == 0 || to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let found = bytes.windows(from.len()).position(|part| part == from);
    if let Some(start) = found {
        bytes[start..start + to.len()].copy_from_slice(to);
    }
}
