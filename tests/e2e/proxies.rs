//! The examples of packaging/proxy, with the real proxies and a certificate of a private authority: a rebuild passes
//! through them, uploads and event streams included, and every program trusts the authority.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};

use buildbtw_tests::{
    PreviousDistribution, Process, Server, Sources, is_root, printed, program, public_folder,
};

/// The name in the examples.
const EXAMPLE: &str = "build.example.org";
/// The authorities that pacman trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A running proxy with TLS on localhost.
struct Proxy {
    _process: Process,
    ca: PathBuf,
}

/// Returns a program of a proxy. Without one, prints that the test is skipped.
fn proxy(name: &str) -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/proxies/usr");
    let system = Path::new("/usr");
    let folders = [unpacked.as_path(), system];
    let paths = folders
        .iter()
        .flat_map(|folder| ["sbin", "bin"].map(|inner| folder.join(inner).join(name)));
    let found = paths.into_iter().find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: {name} is missing (scripts/proxies unpacks it)");
    }
    found
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/proxy");
    std::fs::read_to_string(path.join(name)).unwrap()
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the example lacks {from:?}: {text}");
    text.replace(from, to)
}

/// Returns a free port, for proxies that do not tell which one they chose. The kernel assigns no ports below 32,768 by
/// itself (ip(7), `ip_local_port_range`), so no other test gets it in the meantime.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 10_000).unwrap();
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut candidates = (0..1_000).map(|_| 20_000 + first + NEXT.fetch_add(1, Ordering::Relaxed));
    candidates.find(is_free).unwrap()
}

/// Creates an authority and a certificate for localhost, which it signed: `ca.pem`, `server.pem`, `server.key`.
fn certify(folder: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", printed(&output));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority"
    ));
    openssl(&format!(
        "req -x509 {key} -keyout server.key -out server.pem -subj /CN=localhost -CA ca.pem -CAkey ca.key \
         -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE"
    ));
}

impl Proxy {
    /// Starts nginx with the example, below a path.
    fn nginx(program: &Path, folder: &Path, port: u16, server: &str, path: &str) -> Self {
        certify(folder);
        let file = |name: &str| folder.join(name).display().to_string();
        let text = example("nginx.conf");
        let text = replaced(
            &text,
            "listen 443 ssl http2;",
            &format!("listen 127.0.0.1:{port} ssl http2;"),
        );
        let text = replaced(&text, "listen [::]:443 ssl http2;", "");
        let text = replaced(&text, EXAMPLE, "localhost");
        let text = replaced(&text, "/etc/ssl/localhost.pem", &file("server.pem"));
        let text = replaced(&text, "/etc/ssl/private/localhost.key", &file("server.key"));
        let text = replaced(&text, "location / {", &format!("location {path}/ {{"));
        let text = replaced(&text, "http://127.0.0.1:8080", server);
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {};\n", file(kind)))
            .collect();
        let user = if is_root() { "user root root;\n" } else { "" };
        let config = format!(
            "{user}daemon off;\npid {};\nerror_log stderr notice;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}{text}}}\n",
            file("nginx.pid")
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut command = Command::new(program);
        command.args(["-p", &file(""), "-c", &file("nginx.conf"), "-e", "stderr"]);
        let mut process = Process::start("nginx", &mut command);
        process.wait_for_line("start worker process ");
        Self {
            _process: process,
            ca: folder.join("ca.pem"),
        }
    }

    /// Starts Caddy with the example, below a path.
    fn caddy(program: &Path, folder: &Path, port: u16, server: &str, path: &str) -> Self {
        certify(folder);
        let file = |name: &str| folder.join(name).display().to_string();
        let text = example("Caddyfile");
        let site = format!(
            "https://localhost:{port} {{\n\tbind 127.0.0.1\n\ttls {} {}\n",
            file("server.pem"),
            file("server.key")
        );
        let text = replaced(&text, "\nbuild.example.org {\n", &format!("\n{site}"));
        let address = server.trim_start_matches("http://");
        let line = match path {
            "" => format!("\treverse_proxy {address} {{"),
            path => {
                let lines = [
                    "redir /buildbtw /buildbtw/ permanent",
                    "reverse_proxy /buildbtw/* 127.0.0.1:8080 {",
                ];
                assert!(
                    lines.iter().all(|line| text.contains(&format!("`{line}`"))),
                    "{text}"
                );
                let lines = lines.join("\n\t").replace("/buildbtw", path);
                format!("\t{}", lines.replace("127.0.0.1:8080", address))
            }
        };
        let text = replaced(&text, "\treverse_proxy 127.0.0.1:8080 {", &line);
        let options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n";
        std::fs::write(folder.join("Caddyfile"), format!("{options}{text}")).unwrap();
        let mut command = Command::new(program);
        command
            .args([
                "run",
                "--adapter",
                "caddyfile",
                "--config",
                &file("Caddyfile"),
            ])
            .env("XDG_DATA_HOME", folder)
            .env("XDG_CONFIG_HOME", folder);
        let mut process = Process::start("caddy", &mut command);
        process.wait_for_line("serving initial configuration");
        Self {
            _process: process,
            ca: folder.join("ca.pem"),
        }
    }
}

/// Runs the client with the saved login only.
fn client(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(program("buildbtw"))
        .args(arguments)
        .env("XDG_CONFIG_HOME", folder)
        .env_remove("BUILDBTW_SERVER")
        .env_remove("BUILDBTW_TOKEN")
        .env_remove("BUILDBTW_CA")
        .output()
        .unwrap()
}

/// Rebuilds through a proxy at a URL, with client and worker on its other side.
fn rebuild(folder: &Path, server: &Server, proxy: &Proxy, url: &str) {
    let ca = proxy.ca.display().to_string();
    let token = server.data().join("admin-token").display().to_string();
    // Without the authority, its certificate is not trusted.
    let login = ["login", "--server", url, "--token-file", &token];
    let refused = client(folder, &login);
    assert_eq!(refused.status.code(), Some(3), "{}", printed(&refused));
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("an unknown authority signed"), "{text}");
    assert!(text.contains("hint: name the PEM file"), "{text}");
    let accepted = client(folder, &[&login[..], &["--ca", &ca]].concat());
    assert!(accepted.status.success(), "{}", printed(&accepted));

    let mut worker = Command::new(program("buildbtw-worker"));
    worker
        .args(["run", "--builder=simulated", "--simulated-seconds=0.5"])
        // More than nginx passes by default.
        .args(["--simulated-bytes=3000000"])
        .args(["--name=test", "--architectures=x86_64", "--server", url])
        .args(["--token-file", &token, "--ca", &ca, "--scratch-dir"])
        .arg(folder.join("scratch"));
    let _worker = Process::start("worker", &mut worker);
    // Events come while the stream is open: it ends only when the client has seen the last one.
    let follow = ["new", "libfoo/main", "--name=foo", "--follow"];
    let output = client(folder, &follow);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("4 of 4 built"), "{text}");
    // The server answers with the proxy's address, on pages, too.
    assert!(text.contains(&format!("{url}/namespaces/foo")), "{text}");
    // Below a path, also without the slash at its end.
    let home = fetch(&ca, url);
    assert!(home.contains("/namespaces/foo"), "{home}");
    let page = fetch(&ca, &format!("{url}/namespaces/foo"));
    let line = format!("Server = {url}/repo/foo/latest/$arch");
    assert!(page.contains(&line), "{page}");
    let database = fetch(&ca, &format!("{url}/repo/foo/latest/x86_64/foo.db"));
    assert!(!database.is_empty());
}

/// Upgrades through a proxy with a pacman that trusts its authority.
fn upgrades(folder: &Path, sources: &Sources, proxy: &Proxy, url: &str) {
    if !Path::new(AUTHORITIES).exists() {
        eprintln!("SKIPPED: pacman upgrades nothing, because {AUTHORITIES} is missing");
        return;
    }
    let Some(old) = PreviousDistribution::of(folder, sources, &[("libfoo", "0-1")]) else {
        return;
    };
    let script = format!("mount --bind \"$0\" {AUTHORITIES}; exec pacman \"$@\"");
    let pacman = || {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private"])
            .args(["sh", "-ec", &script])
            .arg(&proxy.ca);
        command
    };
    let members = ["libfoo", "left", "right", "top"];
    old.upgrades_from(url, "foo", &members, &pacman);
}

/// Fetches a URL as browsers do, with HTTP/2.
fn fetch(ca: &str, url: &str) -> String {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--http2",
            "--location",
        ])
        .args(["--cacert", ca, "--write-out", "\nHTTP/%{http_version}", url])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, version) = text.rsplit_once('\n').unwrap();
    assert_eq!(version, "HTTP/2");
    body.to_owned()
}

/// Checks that the executor trusts the authority if it is told to.
fn executor_reaches(folder: &Path, url: &str, ca: &str) {
    let settings = folder.join("executor.toml");
    let check = |more: &str| {
        let state = folder.join("executor");
        let text = format!(
            "server = '{url}'\nstate_dir = '{}'\nname = 'builder-1'\narchitectures = ['x86_64']\nsudo = ''\n\
             gitlab_runner = '/usr/bin/true'\nbuilder.simulated = {{ seconds = 0 }}\n{more}",
            state.display()
        );
        std::fs::write(&settings, text).unwrap();
        let mut command = Command::new(program("buildbtw-executor"));
        command.arg("--config").arg(&settings).arg("check");
        command.output().unwrap()
    };
    let trusting = check(&format!("ca = '{ca}'\n"));
    assert!(trusting.status.success(), "{}", printed(&trusting));
    let refused = check("");
    assert_eq!(refused.status.code(), Some(2), "{}", printed(&refused));
    assert!(
        printed(&refused).contains("certificate"),
        "{}",
        printed(&refused)
    );
}

#[test]
fn nginx_passes_uploads_and_streams() {
    let Some(nginx) = proxy("nginx") else {
        return;
    };
    for path in ["", "/buildbtw"] {
        let folder = public_folder();
        let sources = Sources::with_a_library(folder.path());
        let port = free_port();
        let url = format!("https://localhost:{port}{path}");
        let more = ["--url", &url, "--trusted-proxy=127.0.0.1"];
        let server = Server::start_and(folder.path(), &sources, &more);
        let proxy = Proxy::nginx(&nginx, folder.path(), port, &server.url(), path);
        rebuild(folder.path(), &server, &proxy, &url);
        upgrades(folder.path(), &sources, &proxy, &url);
        if path.is_empty() && is_root() {
            executor_reaches(folder.path(), &url, &proxy.ca.display().to_string());
        }
    }
}

#[test]
fn caddy_passes_uploads_and_streams() {
    let Some(caddy) = proxy("caddy") else {
        return;
    };
    for path in ["", "/buildbtw"] {
        let folder = public_folder();
        let sources = Sources::with_a_library(folder.path());
        let port = free_port();
        let url = format!("https://localhost:{port}{path}");
        let more = ["--url", &url, "--trusted-proxy=127.0.0.1"];
        let server = Server::start_and(folder.path(), &sources, &more);
        let proxy = Proxy::caddy(&caddy, folder.path(), port, &server.url(), path);
        rebuild(folder.path(), &server, &proxy, &url);
        upgrades(folder.path(), &sources, &proxy, &url);
    }
}
