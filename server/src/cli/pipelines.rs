//! Arguments about builds as GitLab pipelines.

use std::time::Duration;

use buildbtw_model::settings::number;
use buildbtw_model::{Architecture, Explanation, saturating};
use clap::{ArgAction, Args};

use crate::config::pipelines::{ParameterKind, PipelineSettings};

/// Options of `buildbtw-server run` about builds on GitLab.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Builds as GitLab pipelines")]
pub struct PipelineArgs {
    /// Build as GitLab pipelines instead of on local workers
    ///
    /// Uses the GitLab instance that holds the sources. The token needs the scope `api`.
    #[arg(
        long,
        env = "RUN_BUILDS_ON_GITLAB",
        action = ArgAction::Set,
        num_args = 0..=1,
        default_value_t = false,
        default_missing_value = "true",
        value_name = "true|false"
    )]
    pub run_builds_on_gitlab: bool,
    /// Architectures to build on GitLab, separated by commas
    ///
    /// Local workers build for the others. [default: all of --architectures]
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_ARCHITECTURES",
        value_delimiter = ',',
        value_name = "ARCH"
    )]
    pub gitlab_architectures: Vec<Architecture>,
    /// Maximum number of unfinished pipelines
    ///
    /// Pending pipelines count. Range: 1 to 10000.
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_MAX_PIPELINES",
        default_value_t = 1_000,
        value_parser = number::<u32>(1..=10_000),
        value_name = "COUNT"
    )]
    pub gitlab_max_pipelines: u32,
    /// Maximum number of pipelines created per minute
    ///
    /// Range: 1 to 60000.
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_PIPELINES_PER_MINUTE",
        default_value_t = 300,
        value_parser = number::<u32>(1..=60_000),
        value_name = "COUNT"
    )]
    pub gitlab_pipelines_per_minute: u32,
    /// Seconds between polls of the pipelines' states
    ///
    /// Webhooks are faster. Range: 1 to 3600.
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_PIPELINE_SECONDS",
        default_value_t = 15,
        value_parser = number::<u32>(1..=3_600),
        value_name = "SECONDS"
    )]
    pub gitlab_pipeline_seconds: u32,
    /// Form of the pipelines' parameters
    ///
    /// Use variables for GitLab before 17.10.
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_PARAMETERS",
        value_enum,
        default_value_t = ParameterKind::Inputs,
        value_name = "KIND"
    )]
    pub gitlab_parameters: ParameterKind,
    /// Accept builds only from jobs on protected branches and tags
    ///
    /// Applies regardless of where a project's CI configuration is.
    #[arg(long, env = "BUILDBTW_GITLAB_PROTECTED_REFS_ONLY")]
    pub gitlab_protected_refs_only: bool,
    /// Issuer of GitLab's ID tokens
    ///
    /// [default: --gitlab-url]
    #[arg(long, env = "BUILDBTW_GITLAB_ID_TOKEN_ISSUER", value_name = "URL")]
    pub gitlab_id_token_issuer: Option<String>,
    /// Seconds until an unconfirmed pipeline counts as not created
    ///
    /// Applies when the reply to its creation was lost and GitLab does not list it. Range: 1 to
    /// 3600.
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_SETTLE_SECONDS",
        default_value_t = 90,
        value_parser = number::<u32>(1..=3_600),
        value_name = "SECONDS"
    )]
    pub gitlab_settle_seconds: u32,
    /// Time limit for a job to request its build, in seconds
    ///
    /// After that its runner counts as lost: the pipeline is cancelled and the build is dispatched
    /// again. Range: 1 to 86400.
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_EXCHANGE_SECONDS",
        default_value_t = 300,
        value_parser = number::<u32>(1..=86_400),
        value_name = "SECONDS"
    )]
    pub gitlab_exchange_seconds: u32,
    /// Seconds to wait for GitLab's reason why a job was stopped
    ///
    /// The runner of a stopped job may still run after_script and uploads. After that time the
    /// build is retried. Range: 1 to 3600.
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_JOB_END_SECONDS",
        default_value_t = 420,
        value_parser = number::<u32>(1..=3_600),
        value_name = "SECONDS"
    )]
    pub gitlab_job_end_seconds: u32,
}

impl PipelineArgs {
    /// Returns the settings, or `None` if GitLab builds nothing.
    ///
    /// # Errors
    /// When they contradict each other or the architectures of the server.
    pub fn settings(&self, all: &[Architecture]) -> anyhow::Result<Option<PipelineSettings>> {
        if !self.run_builds_on_gitlab {
            anyhow::ensure!(
                self.gitlab_architectures.is_empty(),
                Explanation::with_hint(
                    "--gitlab-architectures requires --run-builds-on-gitlab",
                    "set both, or neither",
                )
            );
            return Ok(None);
        }
        let mut architectures = self.gitlab_architectures.clone();
        if architectures.is_empty() {
            architectures = all.to_vec();
        }
        let unknown = architectures.iter().find(|known| !all.contains(known));
        if let Some(unknown) = unknown {
            anyhow::bail!(Explanation::with_hint(
                format!("--gitlab-architectures: `{unknown}` is not one of --architectures"),
                "add it to --architectures, or remove it here",
            ));
        }
        let creation_interval = Duration::from_secs(60)
            .checked_div(self.gitlab_pipelines_per_minute)
            .ok_or_else(|| {
                Explanation::with_hint(
                    "--gitlab-pipelines-per-minute must not be 0",
                    "leave out --run-builds-on-gitlab to create none",
                )
            })?;
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Ok(Some(PipelineSettings {
            architectures,
            max_pipelines: saturating(self.gitlab_max_pipelines),
            creation_interval,
            tick: seconds(self.gitlab_pipeline_seconds),
            parameters: self.gitlab_parameters,
            protected_refs_only: self.gitlab_protected_refs_only,
            issuer: self.gitlab_id_token_issuer.clone(),
            settle: seconds(self.gitlab_settle_seconds),
            exchange: seconds(self.gitlab_exchange_seconds),
            job_end: seconds(self.gitlab_job_end_seconds),
        }))
    }
}
