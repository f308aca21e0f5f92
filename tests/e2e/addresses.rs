//! Servers below a path, and on all interfaces of a machine.

use std::path::Path;
use std::process::{Command, Output};

use buildbtw_tests::{
    PreviousDistribution, Process, Server, Sources, Worker, cli, has_tool, is_root,
    pacman_installs, pacman_upgrades, printed, program,
};

#[test]
fn serves_everything_below_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let mut server = Server::start(folder.path(), &sources);
    server.move_below("/tools/buildbtw");
    let _worker = Worker::simulated(&server, &folder.path().join("scratch"), 2, "0");
    let new = ["new", "libfoo/main", "--name", "foo", "--follow"];
    let output = cli(&server, &new);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let shown = cli(&server, &["show", "foo", "--all"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let url = server.url();
    assert!(url.ends_with("/tools/buildbtw"));
    for line in [
        format!("Server = {url}/repo/foo/latest/$arch"),
        format!("{url}/namespaces/foo"),
    ] {
        assert!(shown.contains(&line), "{shown}");
    }
    let log = cli(&server, &["logs", "foo", "libfoo"]);
    assert_eq!(log.status.code(), Some(0), "{}", printed(&log));
    pacman_upgrades(folder.path(), &server, "foo");
    if has_tool("pacman") && is_root() {
        let installed = pacman_installs(folder.path(), &server, "foo", &["libfoo", "left"]);
        assert_eq!(installed, ["left 1-1.1", "libfoo 1-1"]);
    }
}

/// A server on all interfaces of a separate network, unreachable for other programs.
struct ServerOnAllInterfaces {
    process: Process,
    started: String,
}

impl ServerOnAllInterfaces {
    fn start(folder: &Path, sources: &Sources, listen: &str) -> Self {
        let mut command = Command::new("unshare");
        command
            .args(["--net", "sh", "-ec", "ip link set lo up; exec \"$@\"", "sh"])
            .arg(program("buildbtw-server"))
            .args(["run", "--listen", listen, "--data-dir"])
            .arg(folder.join("data"))
            .arg("--sources-dir")
            .arg(sources.folder())
            .env("NO_COLOR", "1");
        let mut process = Process::start("server", &mut command);
        let started = process.wait_for_line("serving");
        Self { process, started }
    }

    /// Returns a command in the same network.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.process.id()))
            .arg(program);
        command
    }
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", printed(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn uses_host_of_request_on_all_interfaces() {
    let tools = ["unshare", "nsenter", "ip", "curl"];
    if !is_root() || !tools.iter().all(|tool| has_tool(tool)) {
        return;
    }
    for (listen, hosts, other) in [
        ("0.0.0.0:8080", ["127.0.0.1", "localhost"], "0.0.0.0"),
        ("[::]:8080", ["[::1]", "127.0.0.1"], "[::]"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources::with_a_library(folder.path());
        let server = ServerOnAllInterfaces::start(folder.path(), &sources, listen);
        let unusable = format!("http://{other}:8080");
        assert!(!server.started.contains(&unusable), "{}", server.started);
        let address = std::fs::read_to_string(folder.path().join("data/address")).unwrap();
        assert_eq!(address, format!("{}:8080\n", hosts[0]));
        let token = std::fs::read_to_string(folder.path().join("data/admin-token")).unwrap();
        let cli = |host: &str, args: &[&str]| {
            let mut command = server.command(program("buildbtw"));
            command
                .args(["--server", &format!("http://{host}:8080")])
                .args(args)
                .env("BUILDBTW_TOKEN", token.trim())
                .env("XDG_CONFIG_HOME", folder.path());
            text(&command.output().unwrap())
        };
        let mut worker = server.command(program("buildbtw-worker"));
        let server_url = format!("http://{}:8080", hosts[0]);
        worker
            .args(["run", "--server", &server_url, "--token", token.trim()])
            .args(["--name", "test", "--architectures", "x86_64"])
            .args(["--builder", "simulated", "--simulated-seconds", "0"])
            .arg("--scratch-dir")
            .arg(folder.path().join("scratch"));
        let _worker = Process::start("worker", &mut worker);
        cli(
            hosts[0],
            &["new", "libfoo/main", "--name", "foo", "--follow"],
        );
        if let Some(old) = PreviousDistribution::of(folder.path(), &sources, &[("libfoo", "0-1")]) {
            let members = ["libfoo", "left", "right", "top"];
            let pacman = || server.command("pacman");
            old.upgrades_from(&server_url, "foo", &members, &pacman);
        }
        for host in hosts {
            let shown = cli(host, &["show", "foo", "--all"]);
            let expected = format!("Server = http://{host}:8080/repo/foo/latest/$arch");
            assert!(shown.contains(&expected), "{shown}");
            let web = format!("http://{host}:8080/namespaces/foo");
            assert!(shown.contains(&web), "{shown}");
        }
        // A request with an invalid host gets the address at which it arrived.
        assert!(!cli(other, &["show", "foo"]).contains(&unusable));
        let page = |host: &str| {
            let url = format!("http://{}:8080/namespaces/foo", hosts[0]);
            let mut curl = server.command("curl");
            curl.args(["--silent", "--show-error", "--fail", "--header"])
                .arg(format!("Host: {host}"))
                .arg(url);
            text(&curl.output().unwrap())
        };
        assert!(page("build.example.org").contains("Server = http://build.example.org/repo/"));
        for hostile in [
            "evil/path",
            "a b",
            "x\"><script>",
            "[::]:8080",
            "0.0.0.0:8080",
            "u@x",
        ] {
            let html = page(hostile);
            let expected = format!("Server = http://{}:8080/repo/foo/latest/", hosts[0]);
            assert!(html.contains(&expected), "{hostile}: {html}");
        }
    }
}
