//! Whether the settings can be used together, as at the start of the server.

use buildbtw_doctor::Check;
use buildbtw_model::Explanation;
use buildbtw_telemetry::otlp::OtlpSettings;

use crate::cli::{RunArgs, TelemetryArgs};
use crate::config::Config;
use crate::run::requirements;
use crate::sources::SourceConfig;
use crate::time::Clock;

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
pub(super) fn read(args: &RunArgs, clock: &Clock) -> Configuration {
    let mut checks = Vec::new();
    let (sources, webhook) = match args.sources() {
        Ok((sources, webhook)) => {
            checks.push(usable_sources(&sources));
            (Some(sources), webhook)
        }
        Err(error) => {
            checks.push(failed("sources", &error));
            (None, None)
        }
    };
    let config = args.config(args.listen, webhook).and_then(|config| {
        if let Some(sources) = &sources {
            requirements::check(args, &config, sources, clock)?;
        }
        Ok(config)
    });
    let config = match config {
        Ok(config) => {
            checks.push(usable(&config.url));
            Some(config)
        }
        Err(error) => {
            checks.push(failed("configuration", &error));
            None
        }
    };
    let otlp = || OtlpSettings::from_env().map(|settings| settings.is_some());
    checks.extend(traces(&args.telemetry, otlp));
    Configuration {
        checks,
        sources,
        config,
    }
}

/// Checks the variables of OpenTelemetry, if traces are exported.
pub(super) fn traces(
    args: &TelemetryArgs,
    is_enabled: impl FnOnce() -> Result<bool, Explanation>,
) -> Option<Check> {
    const NAME: &str = "traces";
    args.otlp.then(|| match is_enabled() {
        Ok(true) => Check::ok(NAME, "the OTEL_… variables can be used"),
        Ok(false) => Check::warning(
            NAME,
            "they are not exported: the OTEL_… variables disable it",
            "unset OTEL_SDK_DISABLED and OTEL_TRACES_EXPORTER, or --otlp",
        ),
        Err(why) => Check::failed(NAME, why, "correct the variable, or unset --otlp"),
    })
}

/// Returns the failure of settings that cannot be used.
pub(super) fn failed(name: &str, error: &anyhow::Error) -> Check {
    Check::failed(name, Explanation::of_error(error.as_ref()), CORRECT)
}

/// Returns the check of settings that can be used together.
pub(super) fn usable(url: &str) -> Check {
    let message = format!("the settings can be used; the server's URL is {url}");
    Check::ok("configuration", message)
}

/// Returns the check of settings that name sources.
pub(super) fn usable_sources(sources: &SourceConfig) -> Check {
    let message = match sources {
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
    };
    Check::ok("sources", message)
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::*;

    #[test]
    fn checks_variables_of_exported_traces_only() {
        let mut args = TelemetryArgs {
            otlp: false,
            tokio_console: None,
        };
        let wrong = || {
            Err(Explanation::with_hint(
                "OTEL_X: `y` is not supported",
                "unset it",
            ))
        };
        assert_eq!(traces(&args, wrong), None);
        args.otlp = true;
        let status = |enabled| traces(&args, || enabled).unwrap().status;
        assert_eq!(status(wrong()), Status::Failure);
        assert_eq!(status(Ok(true)), Status::Ok);
        assert_eq!(status(Ok(false)), Status::Warning);
    }
}
