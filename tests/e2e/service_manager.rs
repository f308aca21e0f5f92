//! The protocols of systemd: notifications, the watchdog, reload, and sockets that it opens.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use buildbtw_tests::{Forge, Notifications, Process, Server, Sources, program};

fn server(data: &Path, sources: &[String]) -> Command {
    server_at(SocketAddr::from(([127, 0, 0, 1], 0)), data, sources)
}

fn server_at(listen: SocketAddr, data: &Path, sources: &[String]) -> Command {
    let mut command = Command::new(program("buildbtw-server"));
    command
        .args(["run", "--listen", &listen.to_string(), "--data-dir"])
        .arg(data)
        .args(sources)
        .env("NO_COLOR", "1");
    command
}

fn in_folder(sources: &Sources) -> Vec<String> {
    let folder = sources.folder().display().to_string();
    vec!["--sources-dir".to_owned(), folder]
}

fn address(line: &str) -> SocketAddr {
    let (_, rest) = line.split_once("address=").unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn server_reports_start_life_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    let notifications = Notifications::new(folder.path());
    let mut command = server(&folder.path().join("data"), &in_folder(&sources));
    notifications.expected_from(&mut command);
    command.env("WATCHDOG_USEC", "200000");
    let mut process = Process::start("server", &mut command);
    let ready = notifications.wait_for("READY=1");
    let address = address(&process.wait_for_line("serving"));
    assert!(
        ready.contains(&format!("STATUS=serving at {address}")),
        "{ready}"
    );
    for _ in 0..3 {
        notifications.wait_for("WATCHDOG=1");
    }
    process.terminate();
    notifications.wait_for("STOPPING=1");
    let (code, log) = process.wait();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn server_does_not_notify_the_watchdog_unless_requested() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    let notifications = Notifications::new(folder.path());
    let mut command = server(&folder.path().join("data"), &in_folder(&sources));
    notifications.expected_from(&mut command);
    // Meant for another process.
    command
        .env("WATCHDOG_USEC", "1000")
        .env("WATCHDOG_PID", "1");
    let process = Process::start("server", &mut command);
    let first = notifications.next();
    assert!(first.starts_with("READY=1"), "{first}");
    process.terminate();
    let second = notifications.next();
    assert!(second.starts_with("STOPPING=1"), "{second}");
}

#[test]
fn worker_reports_start_life_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    let server = Server::start(folder.path(), &sources);
    let notifications = Notifications::new(folder.path());
    let mut command = Command::new(program("buildbtw-worker"));
    command
        .args(["run", "--builder=simulated", "--jobs=3", "--name=test"])
        .args(["--server", &server.url(), "--token", &server.admin_token()])
        .arg("--scratch-dir")
        .arg(folder.path().join("scratch"))
        .env("WATCHDOG_USEC", "200000");
    notifications.expected_from(&mut command);
    let process = Process::start("worker", &mut command);
    let ready = notifications.wait_for("READY=1");
    let status = format!("STATUS=claims up to 3 builds at {}", server.url());
    assert!(ready.lines().any(|line| line == status), "{ready}");
    // A worker survives outages of the server.
    drop(server);
    for _ in 0..3 {
        notifications.wait_for("WATCHDOG=1");
    }
    process.terminate();
    notifications.wait_for("STOPPING=1");
    let (code, log) = process.wait();
    assert_eq!(code, Some(0), "{log}");
}

/// Sends a webhook with a secret token, and returns the status of the response.
fn deliver(address: SocketAddr, secret: &str) -> String {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        ])
        .args(["--header", &format!("X-Gitlab-Token: {secret}")])
        .args(["--header", "X-Gitlab-Event-UUID: 1", "--json"])
        .arg(r#"{"object_kind": "wiki_page"}"#)
        .arg(format!("http://{address}/api/v1/webhooks/gitlab"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn server_reads_secrets_and_base_repositories_again() {
    let folder = tempfile::tempdir().unwrap();
    let forge = Forge::new(folder.path());
    let base = folder.path().join("base-repositories.toml");
    let secret = folder.path().join("webhook-secret");
    let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    write(&base, "");
    write(&secret, "old");
    let mut arguments = forge.server_arguments();
    let mut add = |name: &str, path: &Path| arguments.push(format!("{name}={}", path.display()));
    add("--base-repositories", &base);
    add("--gitlab-webhook-secret-file", &secret);
    let notifications = Notifications::new(folder.path());
    let mut command = server(&folder.path().join("data"), &arguments);
    notifications.expected_from(&mut command);
    let mut process = Process::start("server", &mut command);
    notifications.wait_for("READY=1");
    let address = address(&process.wait_for_line("serving"));
    assert_eq!(deliver(address, "old"), "204");
    assert_eq!(deliver(address, "new"), "401");

    // One invalid file keeps all of the earlier settings.
    write(&secret, "new");
    write(&base, "repository = 1");
    process.hang_up();
    notifications.wait_for("RELOADING=1");
    let failed = notifications.wait_for("READY=1");
    assert!(failed.contains("base-repositories.toml"), "{failed}");
    process.wait_for_line("the earlier ones stay in use");
    assert_eq!(deliver(address, "old"), "204");

    write(&base, "");
    process.hang_up();
    let reloading = notifications.wait_for("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    let reloaded = notifications.wait_for("READY=1");
    assert!(reloaded.contains("STATUS=serving\n"), "{reloaded}");
    process.wait_for_line("read the settings again");
    assert_eq!(deliver(address, "new"), "204");
    assert_eq!(deliver(address, "old"), "401");
}

#[test]
fn server_reads_token_of_gitlab_again() {
    let folder = tempfile::tempdir().unwrap();
    let forge = Forge::new(folder.path());
    let mut arguments = forge.server_arguments();
    let interval = arguments.iter_mut().find(|argument| *argument == "3600");
    "1".clone_into(interval.unwrap());
    let mut process = Process::start(
        "server",
        &mut server(&folder.path().join("data"), &arguments),
    );
    process.wait_for_line("serving");
    // GitLab still accepts the earlier one, so nothing but the signal makes the server read the file.
    let token = folder.path().join("forge/token");
    std::fs::write(&token, "\n").unwrap();
    process.hang_up();
    let kept = process.wait_for_line("the earlier ones stay in use");
    assert!(kept.contains("forge/token"), "{kept}");
    std::fs::write(&token, "glpat-unknown\n").unwrap();
    process.hang_up();
    process.wait_for_line("read the settings again");
    process.wait_for_line("token rejected");
}

/// Starts a program with listening sockets, as systemd does, and prints the address of the first.
const PASS_SOCKETS: &str = r#"
import os, socket, sys
count = int(sys.argv[1])
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
print("passed address=%s:%d" % sockets[0].getsockname(), file=sys.stderr, flush=True)
numbers = [os.dup(found.fileno()) for found in sockets]
for number, found in enumerate(numbers):
    os.dup2(found, 100 + number)
for number in range(count):
    os.dup2(100 + number, 3 + number)
    os.close(100 + number)
os.environ.update(LISTEN_FDS=str(count), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"#;

fn with_sockets(count: u32, command: &Command) -> Command {
    let mut python = Command::new("python3");
    python.args(["-c", PASS_SOCKETS, &count.to_string()]);
    python.arg(command.get_program()).args(command.get_args());
    python.env("NO_COLOR", "1");
    python
}

#[test]
fn server_listens_on_passed_socket() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    // No other process can listen there.
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let occupied = occupied.local_addr().unwrap();
    let command = server_at(occupied, &folder.path().join("data"), &in_folder(&sources));
    let mut process = Process::start("server", &mut with_sockets(1, &command));
    let passed = address(&process.wait_for_line("passed"));
    assert_eq!(address(&process.wait_for_line("serving")), passed);
    process.terminate();
    let (code, log) = process.wait();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn server_refuses_several_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    let command = server(&folder.path().join("data"), &in_folder(&sources));
    let process = Process::start("server", &mut with_sockets(2, &command));
    let (code, log) = process.wait();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("passed 2 sockets"), "{log}");
    assert!(log.contains("ListenStream="), "{log}");
}
