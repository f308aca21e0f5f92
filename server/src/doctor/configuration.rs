//! Whether the settings can be used together, as at the start of the server.

use buildbtw_doctor::Check;
use buildbtw_model::Explanation;

use crate::cli::RunArgs;
use crate::config::Config;
use crate::sources::SourceConfig;

/// What the other checks need of the settings.
pub(super) struct Configuration {
    pub(super) checks: Vec<Check>,
    pub(super) sources: Option<SourceConfig>,
    /// Nothing if the settings cannot be used together.
    pub(super) config: Option<Config>,
}

/// What to do about settings without a hint of their own.
const CORRECT: &str = "correct the setting; `buildbtw-server run --help` describes it";

/// Checks the settings, and returns those that can be used.
pub(super) fn read(args: &RunArgs) -> Configuration {
    let mut checks = Vec::new();
    let (sources, webhook) = match args.sources() {
        Ok((sources, webhook)) => {
            checks.push(Check::ok("sources", describe(&sources)));
            (Some(sources), webhook)
        }
        Err(error) => {
            checks.push(failed("sources", &error));
            (None, None)
        }
    };
    let config = match args.config(args.listen, webhook) {
        Ok(config) => {
            let message = format!(
                "the settings can be used; the server's URL is {}",
                config.url
            );
            checks.push(Check::ok("configuration", message));
            Some(config)
        }
        Err(error) => {
            checks.push(failed("configuration", &error));
            None
        }
    };
    Configuration {
        checks,
        sources,
        config,
    }
}

fn failed(name: &str, error: &anyhow::Error) -> Check {
    Check::failed(name, Explanation::of_error(error.as_ref()), CORRECT)
}

fn describe(sources: &SourceConfig) -> String {
    match sources {
        SourceConfig::Directory { folder, .. } => {
            format!("repositories in the folder `{}`", folder.display())
        }
        SourceConfig::Gitlab { gitlab, .. } => {
            let settings = gitlab.settings();
            format!(
                "projects of the group `{}` at {}",
                settings.group, settings.url
            )
        }
    }
}
