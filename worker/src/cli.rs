//! The command line of `buildbtw-worker`, and how it becomes a [`Config`].

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use buildbtw_agent::limits::LimitArgs;
use buildbtw_agent::machine;
use buildbtw_builder::{
    GitAccess, SandboxConfig, ScratchDisk, SimulatedConfig, SimulatedDuration, SourceNetwork,
};
use buildbtw_model::client::Client;
use buildbtw_model::{Architecture, Packager, WorkerName};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{BuilderConfig, Config};

/// Pulls builds from a buildbtw server and runs them.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the worker can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Claim builds and run them until stopped.
    ///
    /// SIGTERM or Ctrl-C: claims no more, lets running builds end within the grace time and reports
    /// the others as failed for no fault of theirs. A second one stops them at once.
    Run(Box<Run>),
}

/// The settings of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// The server's address.
    #[arg(
        long,
        value_name = "URL",
        env = "BUILDBTW_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    pub server: String,
    /// File with a token of scope `worker`.
    #[arg(long, value_name = "FILE", env = "BUILDBTW_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// The token itself, when there is no file; on the command line others on this machine see it.
    #[arg(long, env = "BUILDBTW_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// What the worker calls itself [default: this machine's name].
    #[arg(long, env = "BUILDBTW_WORKER_NAME")]
    pub name: Option<WorkerName>,
    /// How many builds run at the same time.
    #[arg(long, value_name = "N", env = "BUILDBTW_JOBS", default_value = "1")]
    pub jobs: NonZeroUsize,
    /// What it builds for, separated by commas [default: this machine's architecture].
    #[arg(
        long,
        value_name = "LIST",
        env = "BUILDBTW_ARCHITECTURES",
        value_delimiter = ','
    )]
    pub architectures: Vec<Architecture>,
    /// How it builds.
    #[arg(long, value_enum, env = "BUILDBTW_BUILDER", default_value = "sandbox")]
    pub builder: BuilderKind,
    /// Folder for what must survive a restart; each worker needs its own.
    #[arg(
        long,
        value_name = "DIR",
        env = "BUILDBTW_SCRATCH_DIR",
        default_value = "/var/lib/buildbtw-worker"
    )]
    pub scratch_dir: PathBuf,
    /// Where the files of builds lie until they end.
    #[arg(
        long,
        value_enum,
        env = "BUILDBTW_SCRATCH_DISK",
        default_value = "auto"
    )]
    pub scratch_disk: ScratchDiskKind,
    /// A pacstrapped system to build on [default: this machine's /usr].
    #[arg(long, value_name = "DIR", env = "BUILDBTW_BASE_ROOT")]
    pub base_root: Option<PathBuf>,
    /// File with a line `https://name:token@host` for each host of sources that asks for one, as
    /// git-credential-store(1) keeps them; mode 0600.
    #[arg(long, value_name = "FILE", env = "BUILDBTW_GIT_CREDENTIALS")]
    pub git_credentials: Option<PathBuf>,
    /// Private key for sources that are fetched over SSH; mode 0600.
    #[arg(
        long,
        value_name = "FILE",
        env = "BUILDBTW_GIT_SSH_KEY",
        requires = "git_known_hosts"
    )]
    pub git_ssh_key: Option<PathBuf>,
    /// The keys of SSH hosts, as ssh-keyscan(1) prints them; no others are talked to.
    #[arg(long, value_name = "FILE", env = "BUILDBTW_GIT_KNOWN_HOSTS")]
    pub git_known_hosts: Option<PathBuf>,
    /// PEM file of certificate authorities for sources, in place of the machine's.
    #[arg(long, value_name = "FILE", env = "BUILDBTW_GIT_CA")]
    pub git_ca: Option<PathBuf>,
    /// Network that sources are fetched from although it is refused otherwise; repeatable, or with commas
    ///
    /// Refused are this machine's addresses and on-link networks, private, link-local, multicast and
    /// reserved networks, and the server. Checking out, and downloads of dependencies, are not restricted.
    #[arg(
        long = "allow-source-network",
        value_name = "CIDR",
        env = "BUILDBTW_ALLOW_SOURCE_NETWORK",
        value_delimiter = ','
    )]
    pub allow_source_networks: Vec<SourceNetwork>,
    /// `PACKAGER` of the packages built here [default: what the server says].
    #[arg(long, value_name = "NAME <MAIL>", env = "BUILDBTW_PACKAGER")]
    pub packager: Option<Packager>,
    /// How long a simulated build takes.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "BUILDBTW_SIMULATED_SECONDS",
        default_value = "2",
        value_parser = seconds
    )]
    pub simulated_seconds: Duration,
    /// How long running builds may go on when the worker is stopped.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "BUILDBTW_GRACE_SECONDS",
        default_value = "30",
        value_parser = seconds
    )]
    pub grace_seconds: Duration,
    /// What is logged: a level, or directives such as `info,buildbtw_worker=debug`.
    #[arg(
        long,
        value_name = "FILTER",
        env = "BUILDBTW_LOG",
        default_value = "info"
    )]
    pub log: String,
    /// What one build may use.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// How builds are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BuilderKind {
    /// For real, in a sandbox; needs root.
    Sandbox,
    /// Tiny packages in a given time; needs nothing.
    Simulated,
}

/// Where the files of builds lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScratchDiskKind {
    /// In images, or in memory where this machine lacks loop devices or mkfs.ext4.
    Auto,
    /// In sparse images below the scratch folder, or nowhere.
    Image,
    /// In memory (tmpfs), where they count towards the limit of memory.
    Memory,
}

impl From<ScratchDiskKind> for ScratchDisk {
    fn from(kind: ScratchDiskKind) -> Self {
        match kind {
            ScratchDiskKind::Auto => Self::Auto,
            ScratchDiskKind::Image => Self::Image,
            ScratchDiskKind::Memory => Self::Memory,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Git runs in a folder of its own.
fn absolute(path: Option<PathBuf>) -> anyhow::Result<Option<PathBuf>> {
    Ok(path.map(std::path::absolute).transpose()?)
}

/// The token of the file, or the one that was given. The file wins: `BUILDBTW_TOKEN` is often set for the client
/// of the same shell.
fn read_token(file: Option<&Path>, given: Option<String>) -> anyhow::Result<Option<String>> {
    let token = match file {
        Some(file) => Some(fs_err::read_to_string(file)?),
        None => given,
    };
    let token = token.map(|token| token.trim().to_owned());
    if token.as_deref() == Some("") {
        match file {
            Some(file) => anyhow::bail!("{} is empty", file.display()),
            None => anyhow::bail!("the token is empty"),
        }
    }
    Ok(token)
}

impl Run {
    /// Reads the token and makes a connection to the server out of its address.
    ///
    /// # Errors
    /// When the address is none, the token file cannot be read or the machine has no usable name.
    pub fn into_config(self) -> anyhow::Result<Config> {
        let token = read_token(self.token_file.as_deref(), self.token)?;
        let name = self
            .name
            .or_else(machine::worker_name)
            .context("this machine has no usable name; give the worker one with --name")?;
        let architectures = if self.architectures.is_empty() {
            machine::architectures()
        } else {
            self.architectures
        };
        if architectures.iter().any(Architecture::is_any) {
            anyhow::bail!(
                "packages for `any` are built for an architecture: name that one instead"
            );
        }
        let builder = match self.builder {
            BuilderKind::Sandbox => {
                // The scratch folder is the worker's to choose.
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
                ..SimulatedConfig::default()
            }),
        };
        Ok(Config {
            client: Client::new(&self.server, token)?,
            name,
            jobs: self.jobs,
            architectures,
            builder,
            scratch_dir: self.scratch_dir,
            packager: self.packager,
            limits: self.limits.limits(),
            grace: self.grace_seconds,
            last_reports: Config::LAST_REPORTS,
            claim_wait: Config::CLAIM_WAIT,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Config, String> {
        let args = ["buildbtw-worker", "run", "--name", "w"].iter().chain(args);
        let cli = Cli::try_parse_from(args).map_err(|error| error.to_string())?;
        let Command::Run(run) = cli.command;
        run.into_config().map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_becomes_a_configuration() {
        let config = parse(&[
            "--token=secret",
            "--jobs=3",
            "--builder=simulated",
            "--simulated-seconds=0.25",
            "--architectures=x86_64,aarch64",
        ])
        .unwrap();
        assert_eq!(config.jobs.get(), 3);
        assert_eq!(config.architectures.len(), 2);
        let BuilderConfig::Simulated(simulated) = &config.builder else {
            panic!("{config:?}");
        };
        let quarter = SimulatedDuration::Fixed(Duration::from_millis(250));
        assert_eq!(simulated.duration, quarter);
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn the_scratch_disk_is_a_setting() {
        for (args, kind) in [
            (&[][..], ScratchDisk::Auto),
            (&["--scratch-disk=image"], ScratchDisk::Image),
            (&["--scratch-disk=memory"], ScratchDisk::Memory),
        ] {
            let config = parse(args).unwrap();
            let BuilderConfig::Sandboxed(sandbox) = &config.builder else {
                panic!("{config:?}");
            };
            assert_eq!(sandbox.scratch_disk, kind);
            assert_eq!(config.limits.disk_bytes, 40 << 30);
        }
    }

    #[test]
    fn bad_settings_say_what_is_wrong() {
        for (args, part) in [
            (&["--jobs=0"][..], "zero"),
            (&["--simulated-seconds=-1"], "negative"),
            (&["--server=localhost"], "server address"),
            (&["--architectures=x86-64"], "architecture"),
            (&["--packager=Unknown Packager"], "jane@example.org"),
            (&["--scratch-disk=tape"], "image"),
            (&["--token-file=/nonexistent"], "/nonexistent"),
        ] {
            let error = parse(args).unwrap_err();
            assert!(error.contains(part), "{args:?}: {error}");
        }
    }
}
