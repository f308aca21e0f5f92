//! What settings and sources require of each other. The start of the server and `doctor` check it.

use buildbtw_model::Explanation;

use crate::admission::Limits;
use crate::cli::RunArgs;
use crate::config::Config;
use crate::service::forge_report::Reporter;
use crate::sources::SourceConfig;
use crate::state::pipelines::Pipelines;
use crate::time::Clock;

/// What to do if a setting requires sources in GitLab.
const SOURCES_IN_GITLAB: &str = "set --gitlab-url, --gitlab-group and --gitlab-token-file";

/// Checks settings that were read as the start does, without starting anything.
///
/// # Errors
/// When a setting requires other sources, or the limit of open files is too low.
pub(crate) fn check(
    args: &RunArgs,
    config: &Config,
    sources: &SourceConfig,
    clock: &Clock,
) -> anyhow::Result<()> {
    Limits::new(&args.connections.settings())?;
    pipelines(config, sources, clock)?;
    reporter(args, sources)?;
    Ok(())
}

/// Returns the reporter to GitLab, if reports are configured.
pub(super) fn reporter(args: &RunArgs, sources: &SourceConfig) -> anyhow::Result<Option<Reporter>> {
    if args.gitlab_report.is_empty() {
        return Ok(None);
    }
    match sources {
        SourceConfig::Gitlab { gitlab, .. } => Ok(Some(Reporter::new(
            gitlab.clone(),
            args.gitlab_report.clone(),
        ))),
        SourceConfig::Directory { .. } => {
            anyhow::bail!(Explanation::with_hint(
                "--gitlab-report requires sources in GitLab",
                SOURCES_IN_GITLAB,
            ))
        }
    }
}

/// Returns the builds on GitLab, if they are configured.
pub(super) fn pipelines(
    config: &Config,
    sources: &SourceConfig,
    clock: &Clock,
) -> anyhow::Result<Option<Pipelines>> {
    let Some(settings) = config.pipelines.clone() else {
        return Ok(None);
    };
    let SourceConfig::Gitlab { gitlab, .. } = sources else {
        anyhow::bail!(Explanation::with_hint(
            "--run-builds-on-gitlab requires sources in GitLab",
            SOURCES_IN_GITLAB,
        ));
    };
    let pipelines = Pipelines::new(gitlab.clone(), settings, config.url.clone(), clock);
    Ok(Some(pipelines))
}
