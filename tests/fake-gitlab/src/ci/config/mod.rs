//! Reads CI configurations as far as buildbtw's templates use the syntax. Anything else is an error that names it:
//! nothing is silently ignored.

mod document;
mod duration;
mod expression;
mod inputs;
mod jobs;
mod rules;
mod values;
mod variables;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(crate) use document::{Parsed, parse};
pub(crate) use variables::expand;

/// Variables by name.
pub(crate) type Known = BTreeMap<String, String>;

/// Why a configuration leads to no pipeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// GitLab would reject it, too.
    #[error("{0}")]
    Invalid(String),
    /// GitLab supports it, the stand-in does not.
    #[error("this stand-in does not support {0}")]
    Unsupported(String),
    /// The rules of the workflow prevent a pipeline.
    #[error("Pipeline filtered out by workflow rules.")]
    FilteredByWorkflow,
    /// No job remains.
    #[error(
        "The resulting pipeline would have been empty. Review the rules configuration for the \
         relevant jobs."
    )]
    Empty,
}

impl ConfigError {
    fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }
}

/// When a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    OnSuccess,
    OnFailure,
    Always,
    Manual,
}

/// An ID token of a job.
#[derive(Clone, Debug)]
pub(crate) struct IdTokenConfig {
    pub(crate) name: String,
    /// A text or a list of texts.
    pub(crate) audience: Value,
}

/// The artifacts of a job.
#[derive(Clone, Debug)]
pub(crate) struct ArtifactsConfig {
    pub(crate) name: Option<String>,
    pub(crate) untracked: bool,
    pub(crate) paths: Vec<String>,
    pub(crate) exclude: Vec<String>,
    /// `on_success`, `on_failure` or `always`.
    pub(crate) when: String,
    pub(crate) expire_in: Option<String>,
}

/// The configuration of a job.
#[derive(Clone, Debug)]
pub(crate) struct JobConfig {
    pub(crate) name: String,
    pub(crate) stage: String,
    pub(crate) tags: Vec<String>,
    /// In seconds.
    pub(crate) timeout: Option<i64>,
    pub(crate) when: When,
    pub(crate) allow_failure: bool,
    /// Global variables first.
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) id_tokens: Vec<IdTokenConfig>,
    pub(crate) script: Vec<String>,
    pub(crate) after_script: Vec<String>,
    pub(crate) artifacts: Option<ArtifactsConfig>,
}

/// A complete configuration.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) name: Option<String>,
    pub(crate) stages: Vec<String>,
    pub(crate) jobs: Vec<JobConfig>,
}

/// Reads a configuration with these inputs and the variables that exist when the pipeline is created.
pub(crate) fn read(
    parsed: &Parsed,
    given: &Map<String, Value>,
    known: &Known,
) -> Result<Config, ConfigError> {
    match &parsed.header {
        Some(header) => {
            let content = inputs::fill_in(header, parsed.content.clone(), given)?;
            jobs::interpret(&content, known)
        }
        None if given.is_empty() => jobs::interpret(&parsed.content, known),
        None => Err(ConfigError::invalid(
            "Given inputs not defined in the `spec` section of the included configuration file",
        )),
    }
}

#[cfg(test)]
mod tests;
