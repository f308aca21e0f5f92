//! A server in this process, and a worker with an attempt of it.

use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use buildbtw_server::cli::{Cli, Command};
use buildbtw_server::run::Server;
use buildbtw_server::time::Clock;
use clap::Parser as _;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// A server that is called without a socket, and checks every response.
pub struct Target {
    runtime: Runtime,
    router: Router,
    token: String,
    _server: Server,
    folder: tempfile::TempDir,
}

const SRCINFO: &str = "pkgbase = a\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = a\n";

impl Target {
    /// Starts a server with one source repository, `a`.
    pub fn new() -> Self {
        // In memory, so that flushing to disk costs nothing.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        }
        .unwrap();
        let sources = folder.path().join("sources");
        create_repository(&sources.join("a"));
        let arguments = [
            "buildbtw-server",
            "run",
            "--listen",
            "127.0.0.1:0",
            "--lease-seconds",
            "86400",
            "--max-package-mib",
            "1",
            "--data-dir",
            folder.path().join("data").to_str().unwrap(),
            "--sources-dir",
            sources.to_str().unwrap(),
        ]
        .map(str::to_owned);
        let Command::Run(arguments) = Cli::parse_from(arguments).command else {
            unreachable!()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let server = runtime
            .block_on(Server::start(
                &arguments,
                Clock::default(),
                CancellationToken::new(),
            ))
            .unwrap();
        let token = std::fs::read_to_string(folder.path().join("data/admin-token")).unwrap();
        Self {
            router: server.router(),
            token: token.trim().to_owned(),
            runtime,
            _server: server,
            folder,
        }
    }

    /// Returns a folder for files of the target.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends a request and returns the body of the response. Panics if the server failed.
    pub fn request(&self, method: Method, path: &str, body: &[u8]) -> Vec<u8> {
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(Body::from(body.to_vec()))
            .unwrap();
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            assert!(
                !status.is_server_error(),
                "{method} {path}: {status} {}",
                String::from_utf8_lossy(&body)
            );
            body.to_vec()
        })
    }

    /// Creates a namespace with a build of `a`, and claims it. Returns the attempt.
    pub fn claim_attempt(&self) -> String {
        let create = br#"{"changesets": ["a/main"], "name": "fuzz"}"#;
        self.request(Method::POST, "/api/v1/namespaces", create);
        let claim = br#"{"claim": "01890a5d-ac96-774b-bcce-b302099a8057", "worker": "w",
                         "architectures": ["x86_64"], "wait_s": 40}"#;
        loop {
            let claimed = self.request(Method::POST, "/api/v1/attempts/claim", claim);
            // The initial sync of the sources might not have ended.
            if let Ok(claimed) = serde_json::from_slice::<serde_json::Value>(&claimed) {
                return claimed["attempt"].as_str().unwrap().to_owned();
            }
            self.request(Method::POST, "/api/v1/namespaces", create);
        }
    }
}

/// Creates a source repository of the package `a`.
fn create_repository(repository: &Path) {
    std::fs::create_dir_all(repository).unwrap();
    std::fs::write(repository.join(".SRCINFO"), SRCINFO).unwrap();
    let commit = "-c user.name=f -c user.email=f@localhost commit -qm f";
    for arguments in ["init --quiet --initial-branch main", "add --all", commit] {
        let git = std::process::Command::new("git")
            .args(arguments.split(' '))
            .current_dir(repository)
            .status();
        assert!(git.unwrap().success());
    }
}

/// Returns the digest of an upload.
pub fn sha256(data: &[u8]) -> buildbtw_model::Sha256Digest {
    use sha2::Digest as _;
    buildbtw_model::Sha256Digest::from_bytes(&sha2::Sha256::digest(data).into())
}

impl Default for Target {
    fn default() -> Self {
        Self::new()
    }
}
