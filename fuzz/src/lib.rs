//! A server in this process, and a worker that has been given a build of it.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use buildbtw_server::cli::{Cli, Command};
use buildbtw_server::run::Server;
use clap::Parser as _;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// The server. It is asked without a socket; every answer is looked at.
pub struct Target {
    runtime: Runtime,
    router: Router,
    token: String,
    _server: Server,
    folder: tempfile::TempDir,
}

const SRCINFO: &str = "pkgbase = a\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = a\n";

impl Target {
    /// A server with one source repository, `a`.
    pub fn new() -> Self {
        // Where memory is, so that flushing to disk costs nothing.
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        }
        .unwrap();
        let sources = folder.path().join("sources");
        let repository = sources.join("a");
        std::fs::create_dir_all(&repository).unwrap();
        std::fs::write(repository.join(".SRCINFO"), SRCINFO).unwrap();
        for arguments in [
            vec!["init", "--quiet", "--initial-branch", "main"],
            vec!["add", "--all"],
            vec![
                "-c",
                "user.name=f",
                "-c",
                "user.email=f@localhost",
                "commit",
                "-qm",
                "f",
            ],
        ] {
            let git = std::process::Command::new("git")
                .args(arguments)
                .current_dir(&repository)
                .status();
            assert!(git.unwrap().success());
        }
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
            .block_on(Server::start(&arguments, CancellationToken::new()))
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

    /// A folder for whatever the target needs.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Asks, and panics at an answer that says the server failed.
    pub fn ask(&self, method: Method, path: &str, body: &[u8]) -> Vec<u8> {
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(Body::from(body.to_vec()))
            .unwrap();
        self.runtime.block_on(async {
            let answer = self.router.clone().oneshot(request).await.unwrap();
            let status = answer.status();
            let answer = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            assert!(
                !status.is_server_error(),
                "{method} {path}: {status} {}",
                String::from_utf8_lossy(&answer)
            );
            answer.to_vec()
        })
    }

    /// Makes a namespace with a build of `a`, and takes it; returns the attempt.
    pub fn attempt(&self) -> String {
        let made = br#"{"changesets": ["a/main"], "name": "fuzz"}"#;
        self.ask(Method::POST, "/api/v1/namespaces", made);
        let claim = br#"{"claim": "01890a5d-ac96-774b-bcce-b302099a8057", "worker": "w",
                         "architectures": ["x86_64"], "wait_s": 40}"#;
        loop {
            let claimed = self.ask(Method::POST, "/api/v1/attempts/claim", claim);
            // The sources may not have been looked at yet.
            if let Ok(claimed) = serde_json::from_slice::<serde_json::Value>(&claimed) {
                return claimed["attempt"].as_str().unwrap().to_owned();
            }
            self.ask(Method::POST, "/api/v1/namespaces", made);
        }
    }
}

/// The digest that announces an upload.
pub fn sha256(data: &[u8]) -> buildbtw_model::Sha256Digest {
    use sha2::Digest as _;
    buildbtw_model::Sha256Digest::from_bytes(&sha2::Sha256::digest(data).into())
}

impl Default for Target {
    fn default() -> Self {
        Self::new()
    }
}
