//! The command `doctor` of every program: a healthy installation, and each fault with what repairs it.

use std::fs::Permissions;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use buildbtw_model::TokenScope;
use buildbtw_model::api::CreateToken;
use buildbtw_tests::{Server, Sources, has_tool, is_root, printed, program, public_folder};
use serde_json::Value;

use crate::clock;

/// An address where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A report, and how the program ended.
struct Report {
    output: Output,
    json: Value,
}

impl Report {
    /// Runs a command with `--json`, after running it without: both must agree.
    fn of(command: &mut Command) -> Self {
        let text = command.output().unwrap();
        // The option of the client names fields.
        command.arg(match command.get_program() == program("buildbtw") {
            true => "--json=all",
            false => "--json",
        });
        let output = command.output().unwrap();
        assert_eq!(
            text.status.code(),
            output.status.code(),
            "{}",
            printed(&text)
        );
        let json: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", printed(&output)));
        let lines = String::from_utf8(text.stdout).unwrap();
        for check in json["checks"].as_array().unwrap() {
            let name = check["name"].as_str().unwrap();
            let status = check["status"].as_str().unwrap();
            let line = format!("{status:7}  {name}: ");
            assert!(lines.contains(&line), "no line `{line}` in\n{lines}");
        }
        Self { output, json }
    }

    fn code(&self) -> i32 {
        self.output.status.code().unwrap()
    }

    fn check(&self, name: &str) -> &Value {
        let mut checks = self.json["checks"].as_array().unwrap().iter();
        let check = checks.find(|check| check["name"] == name);
        check.unwrap_or_else(|| panic!("no check `{name}`: {}", printed(&self.output)))
    }

    /// Checks the status of a check and a part of its message; a problem must have a repair.
    #[track_caller]
    fn expect(&self, name: &str, status: &str, part: &str) {
        let check = self.check(name);
        assert_eq!(check["status"], status, "{}", printed(&self.output));
        let message = check["message"].as_str().unwrap();
        assert!(message.contains(part), "{message}");
        let is_problem = matches!(status, "warning" | "failure");
        assert_eq!(check.get("repair").is_some(), is_problem, "{check}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }

    /// Returns the value and origin of a setting.
    fn setting(&self, name: &str) -> (Option<&str>, &str) {
        let mut settings = self.json["settings"].as_array().unwrap().iter();
        let setting = settings.find(|setting| setting["name"] == name).unwrap();
        (
            setting["value"].as_str(),
            setting["origin"].as_str().unwrap(),
        )
    }
}

/// Returns a command without settings of this machine and its user.
fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command
        .arg("doctor")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("BUILDBTW_SERVER_CONFIG", "/dev/null")
        .env("BUILDBTW_WORKER_CONFIG", "/dev/null");
    command
}

fn server_command(data: &Path, sources: &Sources) -> Command {
    let mut command = command("buildbtw-server");
    command.arg("--data-dir").arg(data);
    command.arg("--sources-dir").arg(sources.folder());
    // The default port may be in use on this machine.
    command.args(["--listen", "127.0.0.1:0"]);
    command
}

fn token(server: &Server, scope: TokenScope) -> String {
    let token = CreateToken {
        name: "doctor".into(),
        scope,
        expires_in_s: None,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime
        .block_on(server.client().create_token(&token))
        .unwrap()
        .token
}

#[test]
fn server_doctor_checks_running_and_stopped_servers() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let mut server = Server::start(folder.path(), &sources);
    let data = server.data().to_owned();
    let report = || {
        let mut command = server_command(&data, &sources);
        Report::of(command.args(["--disk-reserve-mib", "0"]))
    };
    let running = report();
    assert_eq!(running.code(), 0, "{}", printed(&running.output));
    running.expect("running server", "ok", "answers at http://127.0.0.1:");
    running.expect("version", "ok", "as the server");
    running.expect("database", "ok", "not damaged");
    running.expect("data folder", "ok", "private");
    running.expect("GitLab", "skipped", "in a folder");
    server.stop();
    let stopped = report();
    assert_eq!(stopped.code(), 0, "{}", printed(&stopped.output));
    stopped.expect("running server", "skipped", "no server");
    stopped.expect("migrations", "ok", "are applied");
    // A server that was killed leaves its address.
    server.start_again();
    server.kill_hard();
    let killed = report();
    assert_eq!(killed.code(), 0, "{}", printed(&killed.output));
    killed.expect("database", "ok", "not damaged");
    // The doctor took nothing that the server needs.
    server.start_again();
}

#[test]
fn server_doctor_names_origin_of_settings_and_hides_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let config = folder.path().join("server.toml");
    std::fs::write(&config, "lease_seconds = 90\nplan_seconds = 30\n").unwrap();
    let mut command = server_command(&folder.path().join("data"), &sources);
    command
        .arg("--config")
        .arg(&config)
        .env("BUILDBTW_PLAN_SECONDS", "40")
        .env("BUILDBTW_GITLAB_PROXY", "http://user:s3cret@proxy")
        .args(["--url", "https://user:s3cret@build.example.org"])
        .args(["--sources-url", "https://user:s3cret@git.example.org"]);
    let report = Report::of(&mut command);
    let url = "https://(hidden)@build.example.org";
    assert_eq!(report.setting("url"), (Some(url), "command line"));
    report.expect("configuration", "failure", url);
    let file = format!("file: {}", config.display());
    assert_eq!(report.setting("lease-seconds"), (Some("90"), file.as_str()));
    let by_environment = (Some("40"), "environment: BUILDBTW_PLAN_SECONDS");
    assert_eq!(report.setting("plan-seconds"), by_environment);
    assert_eq!(report.setting("keep-iterations"), (Some("20"), "default"));
    assert_eq!(report.setting("data-dir").1, "command line");
    assert!(!printed(&report.output).contains("s3cret"));
}

#[test]
fn server_doctor_names_every_fault() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let mut server = Server::start(folder.path(), &sources);
    server.stop();
    let data = server.data();
    let mut command = server_command(data, &sources);
    let short = Report::of(command.args(["--disk-reserve-mib", "4294967295"]));
    assert_eq!(short.code(), 1);
    short.expect("disk", "failure", "smaller");
    std::fs::set_permissions(data, Permissions::from_mode(0o755)).unwrap();
    let public = Report::of(&mut server_command(data, &sources));
    public.expect("data folder", "failure", "other users");
    assert_eq!(
        public.check("data folder")["repair"]
            .as_str()
            .unwrap()
            .find("chmod 700"),
        Some(0)
    );
    std::fs::write(
        data.join("buildbtw.sqlite3"),
        "this is not a database, as anyone can read here",
    )
    .unwrap();
    let damaged = Report::of(&mut server_command(data, &sources));
    damaged.expect("database", "failure", "buildbtw.sqlite3");
    for (name, text) in [
        ("missing", None),
        ("broken", Some("lease_seconds = [")),
        ("unknown", Some("leas_seconds = 1")),
        ("log", Some("\nlog = 'foo=bar=baz'")),
    ] {
        let config = folder.path().join(format!("{name}.toml"));
        if let Some(text) = text {
            std::fs::write(&config, text).unwrap();
        }
        let mut command = server_command(data, &sources);
        let report = Report::of(command.arg("--config").arg(&config));
        assert_eq!(report.code(), 1);
        report.expect("configuration", "failure", &format!("{name}.toml"));
    }
}

#[test]
fn server_doctor_fails_where_the_server_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let data = folder.path().join("data");
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let used = other.local_addr().unwrap().to_string();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = closed.local_addr().unwrap().to_string();
    drop(closed);
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let disabled = ("OTEL_SDK_DISABLED", "maybe");
    for (arguments, variable, check, part) in [
        (
            &["--listen", &used][..],
            None,
            "--listen",
            "in use by another program",
        ),
        (
            &["--metrics-listen", &used],
            None,
            "--metrics-listen",
            "in use by another program",
        ),
        (
            &["--listen", &free, "--metrics-listen", &free],
            None,
            "--metrics-listen",
            "is the address of the server itself",
        ),
        (
            &["--tokio-console"],
            None,
            "--tokio-console",
            "compiled without",
        ),
        (&["--otlp"], Some(grpc), "traces", "grpc"),
        (&["--otlp"], Some(disabled), "traces", "maybe"),
        (
            &["--gitlab-report", "commit-status"],
            None,
            "configuration",
            "requires sources in GitLab",
        ),
    ] {
        // The default port may be in use on this machine.
        let address = match arguments.contains(&"--listen") {
            true => &[][..],
            false => &["--listen", "127.0.0.1:0"],
        };
        let with = |operation: &str| {
            let mut command = Command::new(program("buildbtw-server"));
            command
                .arg(operation)
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap())
                .env("BUILDBTW_SERVER_CONFIG", "/dev/null")
                .envs(variable)
                .arg("--data-dir")
                .arg(&data)
                .arg("--sources-dir")
                .arg(sources.folder())
                .args(address)
                .args(arguments);
            command
        };
        let report = Report::of(&mut with("doctor"));
        assert_eq!(
            report.code(),
            1,
            "{arguments:?}: {}",
            printed(&report.output)
        );
        report.expect(check, "failure", part);
        let started = with("run").output().unwrap();
        assert!(!started.status.success());
        assert!(printed(&started).contains(part), "{}", printed(&started));
    }
}

#[test]
fn server_doctor_names_a_read_only_disk() {
    if !is_root() || !has_tool("unshare") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let data = folder.path().join("data");
    let mut private = std::fs::DirBuilder::new();
    private.mode(0o700).create(&data).unwrap();
    for data in [data.clone(), data.join("new")] {
        let with = |operation: &str| {
            let mut command = Command::new("unshare");
            // In a namespace of mounts of its own.
            let script =
                "mount --bind \"$1\" \"$1\"; mount -o remount,bind,ro \"$1\"; shift; exec \"$@\"";
            command
                .args([
                    "--mount",
                    "--propagation",
                    "private",
                    "sh",
                    "-ec",
                    script,
                    "sh",
                ])
                .arg(folder.path().join("data"))
                .arg(program("buildbtw-server"))
                .arg(operation)
                .arg("--data-dir")
                .arg(&data)
                .arg("--sources-dir")
                .arg(sources.folder())
                .args(["--listen", "127.0.0.1:0", "--config", "/dev/null"]);
            command
        };
        let report = Report::of(&mut with("doctor"));
        assert_eq!(report.code(), 1, "{}", printed(&report.output));
        report.expect("data folder", "failure", "Read-only file system");
        let started = printed(&with("run").output().unwrap());
        assert!(started.contains("Read-only file system"), "{started}");
        assert!(
            started.contains("hint: ") && started.contains("--data-dir"),
            "{started}"
        );
    }
}

#[test]
fn server_doctor_accepts_a_fresh_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let sources = folder.path().join("sources");
    std::fs::create_dir(&sources).unwrap();
    let data = folder.path().join("data");
    let mut private = std::fs::DirBuilder::new();
    private.mode(0o700).create(&data).unwrap();
    let mut command = command("buildbtw-server");
    command.arg("--data-dir").arg(&data);
    command.arg("--sources-dir").arg(&sources);
    let report = Report::of(command.args(["--listen", "127.0.0.1:0", "--disk-reserve-mib", "0"]));
    assert_eq!(report.code(), 0, "{}", printed(&report.output));
    report.expect("folder repos", "skipped", "creates it");
    report.expect("folder logs", "skipped", "creates it");
    report.expect("source repositories", "warning", "no git repositories");
}

#[test]
fn worker_doctor_checks_server_token_and_clock() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let server = Server::start(folder.path(), &sources);
    let scratch = folder.path().join("scratch");
    let worker = |token: &str| {
        let mut command = command("buildbtw-worker");
        command.args(["--builder", "simulated", "--server", &server.url()]);
        command.args(["--name", "test", "--token", token]);
        command.arg("--scratch-dir").arg(&scratch);
        command
    };
    let own = token(&server, TokenScope::Worker);
    let healthy = Report::of(&mut worker(&own));
    assert_eq!(healthy.code(), 0, "{}", printed(&healthy.output));
    for name in ["server", "clock", "version", "readiness", "token"] {
        assert_eq!(healthy.check(name)["status"], "ok", "{name}");
    }
    assert!(!printed(&healthy.output).contains(&own));
    let foreign = Report::of(&mut worker(&token(&server, TokenScope::Client)));
    assert_eq!(foreign.code(), 1);
    foreign.expect("token", "failure", "`worker` is needed");
    Report::of(&mut worker("bbtw_unknown")).expect("token", "failure", "rejected");
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let used = other.local_addr().unwrap().to_string();
    let refused = Report::of(worker(&own).args(["--metrics-listen", &used]));
    assert_eq!(refused.code(), 1);
    refused.expect("--metrics-listen", "failure", "in use by another program");
    let unreachable = Report::of(worker(&own).env("BUILDBTW_SERVER", NOWHERE));
    // The flag overrides the variable.
    assert_eq!(unreachable.code(), 0);
    let mut command = command("buildbtw-worker");
    command.args(["--builder", "simulated", "--server", NOWHERE]);
    let unreachable = Report::of(command.arg("--scratch-dir").arg(&scratch));
    assert_eq!(unreachable.code(), 1);
    unreachable.expect("server", "failure", "cannot reach");
    unreachable.expect("clock", "skipped", "cannot be reached");
    if has_tool("cc") {
        let shim = clock::compile(folder.path());
        for (shift, status, part) in [("20", "warning", "ahead of"), ("-300", "failure", "behind")]
        {
            let mut command = worker(&own);
            command.env("LD_PRELOAD", &shim).env("CLOCK_SHIFT", shift);
            Report::of(&mut command).expect("clock", status, part);
        }
    }
}

#[test]
fn worker_doctor_builds_a_package_in_the_sandbox() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("scratch");
    let worker = |more: &[&str]| {
        let mut command = command("buildbtw-worker");
        command
            .args(["--builder", "sandbox", "--server", NOWHERE])
            .args(more);
        command.arg("--scratch-dir").arg(&scratch);
        command
    };
    let built = Report::of(&mut worker(&[]));
    built.expect(
        "build of a package",
        "ok",
        "buildbtw-doctor-1-1-any.pkg.tar",
    );
    built.expect("program bwrap", "ok", "/bwrap");
    assert!(!scratch.exists(), "the build left files");
    let omitted = Report::of(&mut worker(&["--no-build"]));
    omitted.expect("build of a package", "skipped", "--no-build");
    let missing = Report::of(&mut worker(&["--no-build", "--base-root", "/nowhere"]));
    assert_eq!(missing.code(), 1);
    missing.expect("base system", "failure", "/nowhere");
}

#[test]
fn client_doctor_checks_login_server_and_token() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let server = Server::start(folder.path(), &sources);
    let config = folder.path().join("config/buildbtw");
    std::fs::create_dir_all(&config).unwrap();
    let file = config.join("config.toml");
    let client = || {
        let mut command = command("buildbtw");
        command.env("XDG_CONFIG_HOME", folder.path().join("config"));
        command
    };
    let text = format!(
        "server = {:?}\ntoken = {:?}\n",
        server.url(),
        server.admin_token()
    );
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let healthy = Report::of(&mut client());
    assert_eq!(healthy.code(), 0, "{}", printed(&healthy.output));
    healthy.expect("token", "ok", "admin");
    healthy.expect("login file", "ok", "private");
    let (value, origin) = healthy.setting("token");
    assert_eq!(
        (value, origin),
        (
            Some("(hidden)"),
            format!("file: {}", file.display()).as_str()
        )
    );
    assert!(!printed(&healthy.output).contains(&server.admin_token()));
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    Report::of(&mut client()).expect("login file", "failure", "other users");
    let rejected = Report::of(client().env("BUILDBTW_TOKEN", "bbtw_unknown"));
    assert_eq!(rejected.code(), 1);
    rejected.expect("token", "failure", "rejected");
    let nowhere = Report::of(client().env("BUILDBTW_SERVER", NOWHERE));
    nowhere.expect("server", "failure", "cannot reach");
    let with_password = NOWHERE.replace("//", "//user:s3cret@");
    let hidden = Report::of(client().env("BUILDBTW_SERVER", with_password));
    hidden.expect(
        "server",
        "failure",
        "cannot reach the server at http://(hidden)@127.0.0.1:9",
    );
    assert!(!printed(&hidden.output).contains("s3cret"));
    std::fs::write(&file, "server = [").unwrap();
    Report::of(&mut client()).expect("configuration", "failure", "config.toml");
    std::fs::remove_file(&file).unwrap();
    let anonymous = Report::of(client().env("BUILDBTW_SERVER", server.url()));
    assert_eq!(anonymous.code(), 0);
    anonymous.expect("token", "warning", "no token");
}

/// Writes the settings of an executor, and the configuration of its runner.
fn configure(folder: &Path, server: &str, builder: &str) {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    };
    let executor = program("buildbtw-executor");
    let state = folder.join("state");
    write(
        "executor.toml",
        &format!(
            "server = {server:?}\nstate_dir = {state:?}\nprogram = {executor:?}\nsudo = ''\n\
             gitlab_runner = '/bin/sh'\n{builder}"
        ),
    );
    let stages = ["config", "prepare", "run", "cleanup"]
        .map(|stage| format!("{stage}_exec = {executor:?}\n{stage}_args = [{stage:?}]\n"));
    write(
        "config.toml",
        &format!(
            "[[runners]]\nname = 'one'\ntoken = 'glrt-x'\nexecutor = 'custom'\n[runners.custom]\n\
             graceful_kill_timeout = 20\n{}",
            stages.concat()
        ),
    );
}

fn executor_command(folder: &Path) -> Command {
    let mut command = command("buildbtw-executor");
    command.arg("--config").arg(folder.join("executor.toml"));
    command
        .arg("--runner-config")
        .arg(folder.join("config.toml"));
    command
}

#[test]
fn executor_doctor_checks_host_runner_and_server() {
    let folder = public_folder();
    let folder = folder.path();
    let sources = Sources::with_a_library(folder);
    let server = Server::start(folder, &sources);
    configure(folder, &server.url(), "builder = { simulated = {} }\n");
    let healthy = Report::of(&mut executor_command(folder));
    assert_eq!(healthy.code(), 0, "{}", printed(&healthy.output));
    for name in [
        "server",
        "clock",
        "version",
        "root side",
        "runner one",
        "configuration file",
    ] {
        assert_eq!(healthy.check(name)["status"], "ok", "{name}");
    }
    healthy.expect("sandbox", "skipped", "simulated");
    let file = format!("file: {}", folder.join("executor.toml").display());
    assert_eq!(
        healthy.setting("server"),
        (Some(server.url().as_str()), file.as_str())
    );
    assert_eq!(healthy.setting("script_user"), (Some("nobody"), "default"));
    let other = std::fs::read_to_string(folder.join("config.toml")).unwrap();
    std::fs::write(
        folder.join("config.toml"),
        other.replace("'custom'", "'shell'"),
    )
    .unwrap();
    let foreign = Report::of(&mut executor_command(folder));
    assert_eq!(foreign.code(), 1);
    foreign.expect("runner", "failure", "no runner in its");
    configure(folder, NOWHERE, "builder = { simulated = {} }\n");
    Report::of(&mut executor_command(folder)).expect("server", "failure", "cannot reach");
    let settings = format!(
        "ca = {:?}\nbuilder = {{ simulated = {{}} }}\n",
        folder.join("none.pem")
    );
    configure(folder, NOWHERE, &settings);
    let untrusted = Report::of(&mut executor_command(folder));
    untrusted.expect("server", "failure", "none.pem");
    let repair = untrusted.check("server")["repair"].as_str().unwrap();
    assert!(
        repair.contains("`ca` in executor.toml") && !repair.contains("--ca"),
        "{repair}"
    );
    configure(folder, NOWHERE, "bulder = 1\n");
    let broken = Report::of(&mut executor_command(folder));
    assert_eq!(broken.code(), 1);
    broken.expect("configuration", "failure", "bulder");
    broken.expect("host and server", "skipped", "cannot be used");
    let settings = folder.join("executor.toml");
    std::fs::set_permissions(settings, Permissions::from_mode(0o666)).unwrap();
    Report::of(&mut executor_command(folder)).expect("configuration file", "failure", "writable");
}

#[test]
fn executor_doctor_builds_a_package_in_the_sandbox() {
    if !is_root() {
        return;
    }
    let folder = public_folder();
    let folder = folder.path();
    configure(folder, NOWHERE, "");
    let built = Report::of(&mut executor_command(folder));
    built.expect(
        "build of a package",
        "ok",
        "buildbtw-doctor-1-1-any.pkg.tar",
    );
    built.expect("overlay file system", "ok", "available");
    let omitted = Report::of(executor_command(folder).arg("--no-build"));
    omitted.expect("build of a package", "skipped", "--no-build");
}
