use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};

use super::*;

mod errors;

#[derive(Debug, Parser)]
#[command(name = "program")]
struct Cli {
    #[command(subcommand)]
    command: Commands,
    #[arg(long, env = "SETTINGS_TEST_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[arg(long, env = "SETTINGS_TEST_LOG", default_value = "info", global = true)]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Commands {
    Run(Box<Run>),
    Check(Check),
}

fn ratio(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "expected seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    data: Data,
    #[arg(long, env = "SETTINGS_TEST_JOBS", default_value_t = 1,
        value_parser = buildbtw_model::settings::number::<u32>(1..=8))]
    jobs: u32,
    #[arg(long, env = "SETTINGS_TEST_GRACE", default_value = "30", value_parser = ratio)]
    grace: Duration,
    #[arg(
        long,
        env = "SETTINGS_TEST_ARCHITECTURES",
        default_value = "x86_64",
        value_delimiter = ','
    )]
    architectures: Vec<String>,
    #[arg(
        long = "trusted-proxy",
        env = "SETTINGS_TEST_PROXY",
        value_delimiter = ','
    )]
    proxies: Vec<String>,
    #[arg(long, env = "SETTINGS_TEST_CGROUPS")]
    no_cgroups: bool,
    #[arg(long, env = "SETTINGS_TEST_PIPELINES", action = ArgAction::Set, num_args = 0..=1,
        default_value_t = false, default_missing_value = "true")]
    pipelines: bool,
    #[arg(
        long,
        env = "SETTINGS_TEST_TOKEN",
        hide_env_values = true,
        conflicts_with = "token_file"
    )]
    token: Option<String>,
    #[arg(long, env = "SETTINGS_TEST_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    #[arg(long, env = "SETTINGS_TEST_KEY", requires = "known_hosts")]
    ssh_key: Option<PathBuf>,
    #[arg(long, env = "SETTINGS_TEST_HOSTS")]
    known_hosts: Option<PathBuf>,
    #[arg(long, env = "SETTINGS_TEST_URL", hide_env_values = true)]
    proxy_url: Option<String>,
    #[arg(long, value_enum, env = "SETTINGS_TEST_DISK", default_value = "auto")]
    disk: Disk,
    #[arg(long, env = "SETTINGS_TEST_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Not a setting: it has no variable.
    #[arg(long)]
    dry: bool,
}

#[derive(Debug, Args)]
struct Data {
    // cargo sets this variable for tests.
    #[arg(long, env = "CARGO_PKG_NAME")]
    name: Option<String>,
    #[arg(long, env = "SETTINGS_TEST_DATA", default_value = "data")]
    data_dir: PathBuf,
}

#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    data: Data,
    #[arg(long)]
    repair: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Disk {
    Auto,
    Image,
}

/// Parses arguments with a file, whose path is `FILE` in messages.
fn parse_with(text: &str, arguments: &[&str]) -> Result<Parsed<Cli>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program.toml");
    fs_err::write(&path, text).unwrap();
    let program = Program {
        command: "run",
        default_file: path.to_str().unwrap(),
    };
    let arguments = ["program"].iter().chain(arguments).map(OsString::from);
    parse(&program, arguments).map_err(|failure| {
        let text = match failure {
            Failure::Usage(error) => error.to_string(),
            Failure::File(explanation) => explanation.to_string(),
        };
        text.replace(path.to_str().unwrap(), "FILE")
    })
}

fn run(text: &str, arguments: &[&str]) -> Run {
    match parse_with(text, arguments).unwrap().cli.command {
        Commands::Run(run) => *run,
        Commands::Check(_) => panic!("another command was given"),
    }
}

fn error(text: &str, arguments: &[&str]) -> String {
    parse_with(text, arguments).unwrap_err()
}

#[test]
fn takes_settings_of_every_type_from_the_file() {
    let run = run(
        "jobs = 0x4\ngrace = 0.5\narchitectures = ['aarch64', 'riscv64']\ntrusted_proxy = []\n\
         no_cgroups = true\npipelines = true\ndisk = 'image'\ndata_dir = '/srv/a b'\nproxy_url = ''",
        &["run"],
    );
    assert_eq!(run.jobs, 4);
    assert_eq!(run.grace, Duration::from_millis(500));
    assert_eq!(run.architectures, ["aarch64", "riscv64"]);
    assert!(run.proxies.is_empty());
    assert!(run.no_cgroups && run.pipelines);
    assert_eq!(run.disk, Disk::Image);
    assert_eq!(run.data.data_dir, PathBuf::from("/srv/a b"));
    assert_eq!(run.proxy_url.as_deref(), Some(""));
    let default = self::run("", &["run"]);
    assert_eq!((default.jobs, default.no_cgroups), (1, false));
}

#[test]
fn command_line_and_environment_override_the_file() {
    let text =
        "jobs = 2\narchitectures = ['aarch64']\nname = 'file'\npipelines = true\nlog = 'debug'";
    let found = run(text, &["run", "--jobs", "3", "--pipelines=false"]);
    assert_eq!(found.jobs, 3);
    assert!(!found.pipelines);
    assert_eq!(found.architectures, ["aarch64"]);
    let of_cargo = std::env::var("CARGO_PKG_NAME").unwrap();
    assert_eq!(found.data.name, Some(of_cargo));
    let found = run(text, &["run", "--name=flag", "--architectures=x86_64"]);
    assert_eq!(found.data.name.as_deref(), Some("flag"));
    assert_eq!(found.architectures, ["x86_64"]);
    for (arguments, log) in [
        (&["run"][..], "debug"),
        (&["--log", "run", "run"][..], "run"),
        (&["run", "--log=warn"], "warn"),
        (&["check"], "debug"),
    ] {
        let parsed = parse_with(text, arguments).unwrap();
        assert_eq!(parsed.cli.log, log, "{arguments:?}");
    }
}

#[test]
fn other_commands_use_the_settings_that_they_have() {
    let parsed = parse_with("data_dir = '/srv'\njobs = 2", &["check", "--repair"]).unwrap();
    let Commands::Check(check) = parsed.cli.command else {
        panic!("another command was given");
    };
    assert!(check.repair);
    assert_eq!(check.data.data_dir, PathBuf::from("/srv"));
    let message = error("joobs = 2", &["check"]);
    assert!(message.contains("did you mean `jobs`?"), "{message}");
}

#[test]
fn flags_from_the_file_need_and_exclude_each_other() {
    let by_flags = error("", &["run", "--ssh-key=key"]);
    assert_eq!(error("ssh_key = 'key'", &["run"]), by_flags);
    run("ssh_key = 'key'\nknown_hosts = 'hosts'", &["run"]);
    run("ssh_key = 'key'", &["run", "--known-hosts=hosts"]);
    run("known_hosts = 'hosts'", &["run", "--ssh-key=key"]);
    let message = error("token_file = 'token'", &["run", "--token=secret"]);
    assert!(message.contains("cannot be used with"), "{message}");
}

#[test]
fn help_needs_no_valid_file() {
    let message = error("joobs = 2", &["run", "--help"]);
    assert!(message.contains("Usage: program run"), "{message}");
}

#[test]
fn lists_settings_with_their_origins() {
    let text = "jobs = 2\nno_cgroups = false\nproxy_url = 'http://user:password@proxy'";
    let arguments = [
        "run",
        "--token=secret",
        "--trusted-proxy=a",
        "--trusted-proxy=b,c",
    ];
    let parsed = parse_with(text, &arguments).unwrap();
    let file = parsed.file.as_ref().unwrap();
    let settings = settings(&parsed.command, &parsed.matches, Some(file));
    let lines: Vec<String> = settings
        .iter()
        .map(|setting| {
            let value = setting.value.as_deref().unwrap_or("-");
            let origin = setting.origin.to_string();
            let origin = origin.replace(file.path().to_str().unwrap(), "FILE");
            format!("{} | {value} | {origin}", setting.name)
        })
        .collect();
    assert_eq!(
        lines,
        [
            &format!(
                "name | {} | environment: CARGO_PKG_NAME",
                std::env::var("CARGO_PKG_NAME").unwrap()
            ),
            "data-dir | data | default",
            "jobs | 2 | file: FILE",
            "grace | 30 | default",
            "architectures | x86_64 | default",
            "trusted-proxy | a,b,c | command line",
            "no-cgroups | false | file: FILE",
            "pipelines | false | default",
            "token | (hidden) | command line",
            "token-file | - | default",
            "ssh-key | - | default",
            "known-hosts | - | default",
            "proxy-url | (hidden) | file: FILE",
            "disk | auto | default",
            "listen | 127.0.0.1:8080 | default",
            "log | info | default",
        ]
    );
    let secrets = settings.iter().filter(|setting| setting.secret);
    let secrets: Vec<&str> = secrets.map(|setting| setting.name.as_str()).collect();
    assert_eq!(secrets, ["token", "proxy-url"]);
}
