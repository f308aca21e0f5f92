//! Arguments of `buildbtw-server run`, which are checked together at start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use buildbtw_gitlab::{Gitlab, GitlabArgs};
use buildbtw_model::settings::{self, any_number, number};
use buildbtw_model::{
    Architecture, BuildTool, BuildToolName, BuildToolVersion, Explanation, Packager,
    hide_user_info, saturating,
};
use clap::Args;

use crate::address::{parse_url, reachable};
use crate::config::{Config, ReportKind, SharedSecrets, WebhookConfig};
use crate::sources::SourceConfig;

use super::connections::ConnectionArgs;
use super::data::DataArgs;
use super::metrics::MetricsArgs;
use super::network::NetworkArgs;
use super::pipelines::PipelineArgs;
use super::telemetry::TelemetryArgs;
use super::workers::WorkerArgs;

/// Options of `buildbtw-server run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The data folder.
    #[command(flatten)]
    pub data: DataArgs,
    /// Address and port to listen on
    ///
    /// Port 0 chooses a free port; the file `address` in the data folder names it.
    #[arg(
        long,
        env = "BUILDBTW_LISTEN",
        default_value = "127.0.0.1:8080",
        value_parser = settings::address,
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,
    /// Metrics.
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// How it can be observed.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// Public URL of the server
    ///
    /// Set it behind a proxy, or when the server listens on all interfaces. It may have a path, for
    /// example `https://example.org/buildbtw`: the server responds with and without that path, so
    /// the proxy may strip it or keep it. The default is the address of --listen; on all
    /// interfaces, the host that each request names.
    #[arg(long, env = "BUILDBTW_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Folder of git repositories, one per pkgbase
    #[arg(long, env = "BUILDBTW_SOURCES_DIR", value_name = "DIR")]
    pub sources_dir: Option<PathBuf>,
    /// Base URL of --sources-dir for workers
    ///
    /// Set it when workers run on machines that do not have the folder at the same path. [default:
    /// the folder]
    #[arg(long, env = "BUILDBTW_SOURCES_URL", value_name = "URL")]
    pub sources_url: Option<String>,
    /// Architectures to build for, separated by commas
    ///
    /// The first one builds packages of architecture `any` for all.
    #[arg(
        long,
        env = "BUILDBTW_ARCHITECTURES",
        default_value = "x86_64",
        value_delimiter = ',',
        value_name = "ARCH"
    )]
    pub architectures: Vec<Architecture>,
    /// TOML file of the base repositories
    ///
    /// Builds install their dependencies from them. The file is read again on SIGHUP.
    #[arg(long, env = "BUILDBTW_BASE_REPOSITORIES", value_name = "FILE")]
    pub base_repositories: Option<PathBuf>,
    /// Seconds without a heartbeat until a build is requeued
    ///
    /// Range: 1 to 86400.
    #[arg(
        long,
        env = "BUILDBTW_LEASE_SECONDS",
        default_value_t = 60,
        value_parser = number::<u32>(1..=86_400),
        value_name = "SECONDS"
    )]
    pub lease_seconds: u32,
    /// Time limit of one build, in seconds
    ///
    /// Range: 1 to 2592000.
    #[arg(
        long,
        env = "BUILDBTW_BUILD_TIMEOUT_SECONDS",
        default_value_t = 6 * 3600,
        value_parser = number::<u32>(1..=30 * 86_400),
        value_name = "SECONDS"
    )]
    pub build_timeout_seconds: u32,
    /// `PACKAGER` of all packages, as in makepkg.conf
    #[arg(
        long,
        env = "BUILDBTW_PACKAGER",
        default_value_t = Packager::default(),
        value_name = "NAME <MAIL>"
    )]
    pub packager: Packager,
    /// `BUILDTOOL` of all packages
    ///
    /// For repositories that only accept packages of certain tools.
    #[arg(
        long,
        env = "BUILDBTW_BUILDTOOL",
        default_value_t = BuildTool::default().name,
        value_name = "NAME"
    )]
    pub buildtool: BuildToolName,
    /// `BUILDTOOLVER` of all packages
    ///
    /// [default: this program's version if --buildtool is its name]
    #[arg(long, env = "BUILDBTW_BUILDTOOLVER", value_name = "VERSION")]
    pub buildtoolver: Option<BuildToolVersion>,
    /// Time limit of a plan per architecture, in seconds
    ///
    /// Range: 1 to 86400.
    #[arg(
        long,
        env = "BUILDBTW_PLAN_SECONDS",
        default_value_t = 60,
        value_parser = number::<u32>(1..=86_400),
        value_name = "SECONDS"
    )]
    pub plan_seconds: u32,
    /// Seconds between full resyncs of all sources
    ///
    /// A resync finds what polls and webhooks have missed. Range: 1 to 604800. [default: 600 for a
    /// folder, 21600 for GitLab]
    #[arg(
        long,
        env = "BUILDBTW_SWEEP_SECONDS",
        value_parser = number::<u32>(1..=7 * 86_400),
        value_name = "SECONDS"
    )]
    pub sweep_seconds: Option<u32>,
    /// Maximum size of an uploaded package, in MiB
    ///
    /// Range: 1 to 1073741824.
    #[arg(
        long,
        env = "BUILDBTW_MAX_PACKAGE_MIB",
        default_value_t = 4096,
        value_parser = number::<u32>(1..=1 << 30),
        value_name = "MIB"
    )]
    pub max_package_mib: u32,
    /// Maximum size of the log of an attempt, in MiB
    ///
    /// Range: 1 to 1048576.
    #[arg(
        long,
        env = "BUILDBTW_MAX_LOG_MIB",
        default_value_t = 256,
        value_parser = number::<u32>(1..=1 << 20),
        value_name = "MIB"
    )]
    pub max_log_mib: u32,
    /// Number of iterations to keep per namespace
    ///
    /// The newest complete iteration is kept in addition. Older iterations are removed with their
    /// packages and logs. 0 keeps all. Range: 0 to 1000000.
    #[arg(
        long,
        env = "BUILDBTW_KEEP_ITERATIONS",
        default_value_t = 20,
        value_parser = number::<u32>(0..=1_000_000),
        value_name = "COUNT"
    )]
    pub keep_iterations: u32,
    /// Free space to keep on the data folder's disk, in MiB
    ///
    /// With less, uploads, new namespaces and dispatch wait until there is more. 0 disables the
    /// reserve. [default: a twentieth of the disk, at most 5120]
    #[arg(
        long,
        env = "BUILDBTW_DISK_RESERVE_MIB",
        value_parser = any_number::<u32>,
        value_name = "MIB"
    )]
    pub disk_reserve_mib: Option<u32>,
    /// Limits of connections.
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// Network policies.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Which workers get which builds.
    #[command(flatten)]
    pub workers: WorkerArgs,
    /// The GitLab group that holds the sources.
    #[command(flatten)]
    pub gitlab: GitlabArgs,
    /// Builds as GitLab pipelines.
    #[command(flatten)]
    pub pipelines: PipelineArgs,
    /// Reports to GitLab, separated by commas
    ///
    /// The token needs the scope `api`.
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_REPORT",
        value_enum,
        value_delimiter = ',',
        value_name = "KIND"
    )]
    pub gitlab_report: Vec<ReportKind>,
}

/// Time between full resyncs of a folder, which are cheap.
const RESYNC_FOLDER: Duration = Duration::from_secs(600);
/// Time between full resyncs of a group, which take more than a hundred requests each.
const RESYNC_GITLAB: Duration = Duration::from_secs(6 * 3600);

impl RunArgs {
    /// Returns where the sources are, and how their webhooks are verified.
    ///
    /// # Errors
    /// When settings are missing, contradict each other or cannot be used.
    pub fn sources(&self) -> anyhow::Result<(SourceConfig, Option<WebhookConfig>)> {
        let given = self.sweep_seconds.map(|s| Duration::from_secs(s.into()));
        let clone_base = self.sources_url.as_deref().map(clone_base).transpose()?;
        anyhow::ensure!(
            clone_base.is_none() || self.sources_dir.is_some(),
            Explanation::with_hint(
                "--sources-url requires --sources-dir",
                "set --sources-dir to the folder that this URL serves",
            )
        );
        match (&self.sources_dir, self.gitlab.settings()?) {
            (Some(_), Some(_)) => anyhow::bail!(Explanation::with_hint(
                "--sources-dir cannot be used with --gitlab-url: sources come from one place",
                "unset one of them; BUILDBTW_SOURCES_DIR and BUILDBTW_GITLAB_URL count too",
            )),
            (None, None) => anyhow::bail!(Explanation::with_hint(
                "no sources are configured",
                "set --sources-dir, or --gitlab-url, --gitlab-group and --gitlab-token-file",
            )),
            (Some(folder), None) => {
                let folder = sources_folder(folder)?;
                let resync_interval = given.unwrap_or(RESYNC_FOLDER);
                Ok((
                    SourceConfig::Directory {
                        folder,
                        clone_base,
                        resync_interval,
                    },
                    None,
                ))
            }
            (None, Some(mut settings)) => {
                settings.writes =
                    self.pipelines.run_builds_on_gitlab || !self.gitlab_report.is_empty();
                let secrets = settings.webhook.clone();
                let group = settings.group.clone();
                let webhook = (!secrets.is_empty()).then(|| WebhookConfig {
                    group,
                    secrets: SharedSecrets::new(secrets),
                });
                let gitlab = Gitlab::new(settings)?;
                let resync_interval = given.unwrap_or(RESYNC_GITLAB);
                Ok((
                    SourceConfig::Gitlab {
                        gitlab,
                        resync_interval,
                    },
                    webhook,
                ))
            }
        }
    }

    fn build_tool(&self) -> anyhow::Result<BuildTool> {
        let tool = BuildTool::named(self.buildtool.clone(), self.buildtoolver.clone());
        tool.ok_or_else(|| {
            let message = format!("--buildtool {} requires --buildtoolver", self.buildtool);
            Explanation::with_hint(message, "set --buildtoolver to the version of that tool").into()
        })
    }

    fn machine_architectures(&self) -> anyhow::Result<Vec<Architecture>> {
        let mut architectures: Vec<Architecture> = Vec::new();
        for architecture in &self.architectures {
            if architecture.is_any() {
                anyhow::bail!(Explanation::with_hint(
                    "--architectures must not contain `any`",
                    "name a machine architecture, such as x86_64, which also builds packages of `any`",
                ));
            }
            if architectures.contains(architecture) {
                anyhow::bail!(Explanation::with_hint(
                    format!("--architectures contains `{architecture}` twice"),
                    "name every architecture once",
                ));
            }
            architectures.push(architecture.clone());
        }
        if architectures.is_empty() {
            anyhow::bail!(Explanation::with_hint(
                "--architectures is empty",
                "name at least one architecture, such as x86_64",
            ));
        }
        Ok(architectures)
    }

    /// Returns the settings of a server that listens at `address`.
    ///
    /// # Errors
    /// When settings contradict each other.
    pub fn config(
        &self,
        address: SocketAddr,
        webhook: Option<WebhookConfig>,
    ) -> anyhow::Result<Config> {
        let architectures = self.machine_architectures()?;
        let (url, prefix) = match &self.url {
            Some(url) => parse_url(url)?,
            None => (format!("http://{}", reachable(address)), String::new()),
        };
        let url_by_host = self.url.is_none() && address.ip().is_unspecified();
        let pipelines = self.pipelines.settings(&architectures)?;
        if url_by_host && (pipelines.is_some() || !self.gitlab_report.is_empty()) {
            anyhow::bail!(Explanation::with_hint(
                format!(
                    "GitLab needs the server's address, which --listen {} does not determine",
                    self.listen
                ),
                "set --url",
            ));
        }
        Ok(Config {
            network: self.network.settings()?,
            pipelines,
            url,
            prefix,
            url_by_host,
            architectures,
            metrics_listen: self.metrics.metrics_listen,
            queue_objective: self.metrics.queue_objective(),
            lease: Duration::from_secs(self.lease_seconds.into()),
            build_timeout: Duration::from_secs(self.build_timeout_seconds.into()),
            packager: self.packager.clone(),
            build_tool: self.build_tool()?,
            max_package_bytes: u64::from(self.max_package_mib) << 20,
            max_log_bytes: u64::from(self.max_log_mib) << 20,
            keep_iterations: Some(saturating(self.keep_iterations))
                .filter(|keep: &usize| *keep > 0),
            webhook,
            build_tags: self.workers.build_tags(),
        })
    }
}

/// Returns the absolute path of the folder of source repositories.
fn sources_folder(folder: &Path) -> Result<PathBuf, Explanation> {
    const HINT: &str = "name a folder with one git repository per package";
    let unusable = |why: &dyn std::fmt::Display| {
        let message = format!("cannot use --sources-dir `{}`: {why}", folder.display());
        Explanation::with_hint(message, HINT)
    };
    // Not with fs_err, whose error names the path a second time.
    let path = folder.canonicalize().map_err(|error| unusable(&error))?;
    match path.is_dir() {
        true => Ok(path),
        false => Err(unusable(&"it is not a folder")),
    }
}

/// Checks an address below which git fetches repositories, and returns it without a trailing slash.
fn clone_base(text: &str) -> anyhow::Result<String> {
    let url = reqwest::Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "git" | "http" | "https" | "ssh") && url.has_host());
    let url = url.filter(|url| url.password().is_none() && url.query().is_none());
    anyhow::ensure!(
        url.is_some(),
        Explanation::with_hint(
            format!(
                "--sources-url: `{}` is not the URL of repositories",
                hide_user_info(text)
            ),
            "use a URL like `https://git.example.org/packaging`, without password and query",
        )
    );
    Ok(text.trim_end_matches('/').to_owned())
}
