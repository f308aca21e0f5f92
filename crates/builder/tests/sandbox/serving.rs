//! Servers of sources on the loopback interface.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// An HTTP request.
pub(crate) struct Request {
    /// Its path, without the query.
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

/// Reads the request of a connection and responds to it.
pub(crate) async fn respond(
    stream: TcpStream,
    response: impl FnOnce(&Request) -> Vec<u8>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let path = line.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
    let (mut header, mut length) = (String::new(), 0);
    while stream.read_line(&mut header).await? > 2 {
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        header.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let response = response(&Request { path, body });
    stream.write_all(&response).await?;
    stream.shutdown().await
}

/// Returns an HTTP response. Each of the headers ends with a line break.
pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Returns the response with a file below a folder.
pub(crate) fn file_response(folder: &Path, path: &str) -> Vec<u8> {
    match fs_err::read(folder.join(path.trim_start_matches('/'))) {
        Ok(body) => response("200 OK", "", &body),
        Err(_) => response("404 Not Found", "", b""),
    }
}

/// Listens on a free port, which is returned, too.
pub(crate) async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Responds to requests for as long as the test runs.
pub(crate) fn serve_responses(
    listener: TcpListener,
    response: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Clients may disconnect at any time.
            let _ = respond(stream, &response).await;
        }
    });
}

/// Serves a folder over HTTP for as long as the test runs, and returns the port.
pub(crate) async fn serve(folder: PathBuf) -> u16 {
    let (listener, port) = listen().await;
    serve_responses(listener, move |request: &Request| {
        file_response(&folder, &request.path)
    });
    port
}

/// Serves a port that ends every connection at once. Nothing needs to wait for it, unlike for a closed port: pasta of
/// Debian 12 does not report that a connection was refused, so that curl repeats it for two minutes.
pub(crate) async fn serve_nothing() -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    port
}

/// Responds to every request with a status, for as long as the test runs, and returns the port.
pub(crate) async fn serve_status(status: &'static str) -> u16 {
    let (listener, port) = listen().await;
    serve_responses(listener, move |_: &Request| response(status, "", b""));
    port
}
