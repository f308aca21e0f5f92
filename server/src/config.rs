//! The checked settings of a server. Their flags and environment variables are in `cli/`.

pub mod build_tags;
pub mod pipelines;
mod webhook;

use std::net::SocketAddr;
use std::time::Duration;

use buildbtw_model::{Architecture, BuildTool, Packager};

use crate::address::BaseUrl;
use crate::network::NetworkSettings;

use build_tags::BuildTags;
use pipelines::PipelineSettings;
pub use webhook::{SharedSecrets, WebhookConfig};

/// A kind of report to GitLab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// A status on every origin commit.
    CommitStatus,
    /// A note on the merge requests of origin branches.
    MergeRequestNote,
}

/// The settings of a running server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's address for users and workers, without a trailing slash. Responses use [`BaseUrl`].
    pub url: String,
    /// The path of that address: empty, or beginning with a slash.
    pub prefix: String,
    /// Whether responses use the host of the request instead of `url`.
    pub url_by_host: bool,
    /// The architectures; the first one builds packages of architecture `any`.
    pub architectures: Vec<Architecture>,
    /// The address for metrics, if they have one of their own.
    pub metrics_listen: Option<SocketAddr>,
    /// How long a build may be ready while a worker is free.
    pub queue_objective: Duration,
    /// How long a lease lasts without a heartbeat.
    pub lease: Duration,
    /// Maximum duration of one build.
    pub build_timeout: Duration,
    /// `PACKAGER` of all packages.
    pub packager: Packager,
    /// `BUILDTOOL` and `BUILDTOOLVER` of all packages.
    pub build_tool: BuildTool,
    /// Maximum size of a package, in bytes.
    pub max_package_bytes: u64,
    /// Maximum size of a log, in bytes.
    pub max_log_bytes: u64,
    /// Which builds need workers with a tag.
    pub build_tags: BuildTags,
    /// Number of iterations that a namespace keeps; all if unset.
    pub keep_iterations: Option<usize>,
    /// Network policies.
    pub network: NetworkSettings,
    /// Builds as pipelines, if GitLab builds anything.
    pub pipelines: Option<PipelineSettings>,
    /// How webhooks of GitLab are verified; they are disabled if unset.
    pub webhook: Option<WebhookConfig>,
}

impl Config {
    /// Returns the address for what is not a response to a request.
    #[must_use]
    pub fn base_url(&self) -> BaseUrl {
        BaseUrl::new(self.url.clone())
    }
}
