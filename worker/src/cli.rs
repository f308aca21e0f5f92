//! The command line of `buildbtw-worker`, whose flags the configuration file can set, too (`buildbtw_settings`), and
//! its conversion to a [`Config`].

mod kinds;
mod token;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use buildbtw_agent::limits::LimitArgs;
use buildbtw_agent::machine;
use buildbtw_builder::{
    GitAccess, SandboxConfig, SimulatedConfig, SimulatedDuration, SourceNetwork,
};
use buildbtw_model::client::{Authorities, Client};
use buildbtw_model::settings::{address, any_number};
use buildbtw_model::{Architecture, Explanation, Packager, WorkerName, WorkerTag};
use buildbtw_settings::{Failure, Parsed, Program};
use buildbtw_telemetry::logging::{LogFormat, log_filter};
use clap::{Args, Parser, Subcommand};

use crate::config::{BuilderConfig, Config};

pub use kinds::{BuilderKind, ScratchDiskKind};
pub(crate) use token::TOKEN_HINT;
use token::read_token;

/// The configuration file.
const PROGRAM: Program<'_> = Program {
    command: "run",
    default_file: "/etc/buildbtw/worker.toml",
};

/// Parses the command line, whose first argument is the name of the program, with the configuration file.
///
/// # Errors
/// When an argument, a variable or a line of the file is invalid.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed<Cli>, Failure> {
    buildbtw_settings::parse(&PROGRAM, arguments)
}

/// Claim builds from a server and run them
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// Command to run.
    #[command(subcommand)]
    pub command: Command,
    /// File with settings
    ///
    /// Flags and environment variables override it. [default: /etc/buildbtw/worker.toml, if it
    /// exists]
    #[arg(
        long,
        value_name = "FILE",
        env = "BUILDBTW_WORKER_CONFIG",
        global = true
    )]
    pub config: Option<PathBuf>,
}

/// Commands of the worker.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Claim builds and run them until stopped
    ///
    /// SIGTERM or Ctrl-C: claims no more builds, lets running builds finish within the grace time
    /// and reports the others as infrastructure failures. A second signal stops them immediately.
    Run(Box<Run>),
    /// Check whether this machine can build for the server
    ///
    /// Takes the settings of `run`, and leaves nothing behind; the worker may be running. Prints a
    /// line for each check, with a command or instruction that repairs what it found. Exits with 1
    /// if a check failed; warnings do not count.
    Doctor(Box<Doctor>),
}

/// The options of `doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Do not build a package as a test
    #[arg(long)]
    pub no_build: bool,
    /// The settings of the worker that is checked.
    #[command(flatten)]
    pub run: Run,
}

/// The settings of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// URL of the server
    #[arg(
        long,
        value_name = "URL",
        env = "BUILDBTW_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    pub server: String,
    /// PEM file of additional certificate authorities
    ///
    /// They verify the server's certificate.
    #[arg(long, value_name = "FILE", env = "BUILDBTW_CA")]
    pub ca: Option<PathBuf>,
    /// File with a token of scope `worker`
    #[arg(long, value_name = "FILE", env = "BUILDBTW_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Token, if there is no --token-file
    ///
    /// Other users of this machine see it on the command line.
    #[arg(long, env = "BUILDBTW_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Name of the worker
    ///
    /// [default: this machine's host name]
    #[arg(long, env = "BUILDBTW_WORKER_NAME")]
    pub name: Option<WorkerName>,
    /// Number of concurrent builds
    ///
    /// At least 1.
    #[arg(
        long,
        value_name = "N",
        env = "BUILDBTW_JOBS",
        default_value = "1",
        value_parser = jobs
    )]
    pub jobs: NonZeroUsize,
    /// Architectures to build for, separated by commas
    ///
    /// [default: this machine's architecture]
    #[arg(
        long,
        value_name = "LIST",
        env = "BUILDBTW_ARCHITECTURES",
        value_delimiter = ','
    )]
    pub architectures: Vec<Architecture>,
    /// Tags of this worker, separated by commas
    ///
    /// The server's `--build-tag` says which builds need a tag; only workers with it get them.
    /// 1 to 32 of a-z, 0-9 and . _ - each. Repeatable.
    #[arg(
        long = "tag",
        value_name = "TAG",
        env = "BUILDBTW_WORKER_TAGS",
        value_delimiter = ','
    )]
    pub tags: Vec<WorkerTag>,
    /// Builder to use
    #[arg(long, value_enum, env = "BUILDBTW_BUILDER", default_value = "sandbox")]
    pub builder: BuilderKind,
    /// Scratch folder: running builds and packages not yet uploaded
    ///
    /// Each worker needs its own.
    #[arg(
        long,
        value_name = "DIR",
        env = "BUILDBTW_SCRATCH_DIR",
        default_value = "/var/lib/buildbtw-worker"
    )]
    pub scratch_dir: PathBuf,
    /// Storage for the files of running builds
    #[arg(
        long,
        value_enum,
        value_name = "STORAGE",
        env = "BUILDBTW_SCRATCH_DISK",
        default_value = "auto"
    )]
    pub scratch_disk: ScratchDiskKind,
    /// Root of a pacstrapped system to build on
    ///
    /// [default: this machine's /usr]
    #[arg(long, value_name = "DIR", env = "BUILDBTW_BASE_ROOT")]
    pub base_root: Option<PathBuf>,
    /// File of credentials for git over HTTPS, mode 0600
    ///
    /// One line `https://name:token@host` per host, as in git-credential-store(1).
    #[arg(long, value_name = "FILE", env = "BUILDBTW_GIT_CREDENTIALS")]
    pub git_credentials: Option<PathBuf>,
    /// Private key for git over SSH, mode 0600
    #[arg(
        long,
        value_name = "FILE",
        env = "BUILDBTW_GIT_SSH_KEY",
        requires = "git_known_hosts"
    )]
    pub git_ssh_key: Option<PathBuf>,
    /// File of known SSH host keys
    ///
    /// In the format of ssh-keyscan(1). Other hosts are not contacted.
    #[arg(long, value_name = "FILE", env = "BUILDBTW_GIT_KNOWN_HOSTS")]
    pub git_known_hosts: Option<PathBuf>,
    /// PEM file of certificate authorities for sources
    ///
    /// Replaces those of the machine.
    #[arg(long, value_name = "FILE", env = "BUILDBTW_GIT_CA")]
    pub git_ca: Option<PathBuf>,
    /// Additional network to fetch sources from
    ///
    /// By default this machine's addresses and on-link networks, private, link-local, multicast and
    /// reserved networks, and the server are refused. The checkout of package repositories and
    /// downloads of dependencies are not restricted. Repeatable, or separated by commas.
    #[arg(
        long = "allow-source-network",
        value_name = "CIDR",
        env = "BUILDBTW_ALLOW_SOURCE_NETWORK",
        value_delimiter = ','
    )]
    pub allow_source_networks: Vec<SourceNetwork>,
    /// `PACKAGER` of the packages built here
    ///
    /// [default: set by the server]
    #[arg(long, value_name = "NAME <MAIL>", env = "BUILDBTW_PACKAGER")]
    pub packager: Option<Packager>,
    /// Duration of a simulated build, in seconds
    ///
    /// At least 0, with fractions.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "BUILDBTW_SIMULATED_SECONDS",
        default_value = "2",
        value_parser = seconds
    )]
    pub simulated_seconds: Duration,
    /// Bytes of content in each simulated package
    #[arg(
        long,
        value_name = "BYTES",
        env = "BUILDBTW_SIMULATED_BYTES",
        default_value_t = 0,
        value_parser = any_number::<usize>
    )]
    pub simulated_bytes: usize,
    /// Seconds for running builds to finish after SIGTERM
    ///
    /// At least 0, with fractions.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "BUILDBTW_GRACE_SECONDS",
        default_value = "30",
        value_parser = seconds
    )]
    pub grace_seconds: Duration,
    /// Address and port for metrics, at `/metrics`
    ///
    /// Without it, metrics are not served.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "BUILDBTW_WORKER_METRICS_LISTEN",
        value_parser = address
    )]
    pub metrics_listen: Option<SocketAddr>,
    /// Log filter: a level, or directives
    ///
    /// For example `info`, or `info,buildbtw_worker=debug`.
    #[arg(
        long,
        value_name = "FILTER",
        env = "BUILDBTW_LOG",
        default_value = "info",
        value_parser = log_filter
    )]
    pub log: String,
    /// Format of the log
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        env = "BUILDBTW_LOG_FORMAT",
        default_value_t = LogFormat::Text
    )]
    pub log_format: LogFormat,
    /// Resource limits of one build.
    #[command(flatten)]
    pub limits: LimitArgs,
}

fn jobs(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "expected a number of at least 1")
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected a number of seconds of at least 0, such as 0.5".to_owned())
}

/// Makes a path absolute: git runs in another working directory.
fn absolute(path: Option<PathBuf>) -> anyhow::Result<Option<PathBuf>> {
    Ok(path.map(std::path::absolute).transpose()?)
}

/// Explains that the worker has no name of its own.
pub(crate) fn no_name() -> Explanation {
    let message = "the host name cannot be used as a worker name";
    Explanation::with_hint(message, "set --name")
}

impl Run {
    /// Reads the token, fills in defaults and checks the settings.
    ///
    /// # Errors
    /// When the address is invalid, the token file cannot be read, or the host name cannot be used as a worker name.
    pub fn into_config(self) -> anyhow::Result<Config> {
        let authorities =
            Authorities::read(self.ca.as_deref()).map_err(|error| error.explanation())?;
        let token = read_token(self.token_file.as_deref(), self.token)?;
        let name = self
            .name
            .or_else(machine::worker_name)
            .ok_or_else(no_name)?;
        let architectures = if self.architectures.is_empty() {
            machine::architectures()
        } else {
            self.architectures
        };
        if architectures.iter().any(Architecture::is_any) {
            anyhow::bail!(Explanation::with_hint(
                "--architectures must not contain `any`",
                "name a machine architecture, such as x86_64, which also builds packages of `any`",
            ));
        }
        let builder = match self.builder {
            BuilderKind::Sandbox => {
                // `Context::prepare` sets the real scratch folder.
                let mut sandbox = SandboxConfig::new(self.scratch_dir.join("sandbox"));
                sandbox.base_root = self.base_root;
                sandbox.scratch_disk = self.scratch_disk.into();
                sandbox.cgroups = !self.limits.no_cgroups;
                sandbox.git = GitAccess {
                    credentials: absolute(self.git_credentials)?,
                    ssh_key: absolute(self.git_ssh_key)?,
                    ssh_known_hosts: absolute(self.git_known_hosts)?,
                    ca: absolute(self.git_ca)?,
                };
                sandbox.git.check()?;
                sandbox.allow_source_networks = self.allow_source_networks;
                sandbox.server = Some(self.server.clone());
                BuilderConfig::Sandboxed(sandbox)
            }
            BuilderKind::Simulated => BuilderConfig::Simulated(SimulatedConfig {
                duration: SimulatedDuration::Fixed(self.simulated_seconds),
                payload_bytes: self.simulated_bytes,
                ..SimulatedConfig::default()
            }),
        };
        Ok(Config {
            client: Client::trusting(&self.server, token, &authorities)
                .map_err(|error| error.explanation())?,
            name,
            jobs: self.jobs,
            architectures,
            tags: self.tags,
            builder,
            scratch_dir: self.scratch_dir,
            packager: self.packager,
            limits: self.limits.limits(),
            grace: self.grace_seconds,
            metrics_listen: self.metrics_listen,
            report_timeout: Config::REPORT_TIMEOUT,
            claim_wait: Config::CLAIM_WAIT,
        })
    }
}

#[cfg(test)]
mod tests;
