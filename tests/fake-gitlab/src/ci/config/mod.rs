//! Reads the configuration of pipelines, as far as buildbtw's templates go. What is not understood
//! is an error that names it: nothing is ignored in silence.

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

/// What variables are known by, and their values.
pub(crate) type Known = BTreeMap<String, String>;

/// Why there is no pipeline of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// GitLab would not take it either.
    #[error("{0}")]
    Invalid(String),
    /// GitLab knows it, this does not.
    #[error("this stand-in does not interpret {0}")]
    NotInterpreted(String),
    /// The rules of the workflow say that there is to be no pipeline.
    #[error("Pipeline filtered out by workflow rules.")]
    FilteredByWorkflow,
    /// No job is left.
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

    fn not_interpreted(what: impl Into<String>) -> Self {
        Self::NotInterpreted(what.into())
    }
}

/// When a job is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    OnSuccess,
    OnFailure,
    Always,
    Manual,
}

/// A token that a job gets to show who it is.
#[derive(Clone, Debug)]
pub(crate) struct IdTokenConfig {
    pub(crate) name: String,
    /// A text or a list of texts.
    pub(crate) audience: Value,
}

/// The files that a job leaves.
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

/// A job as it is configured.
#[derive(Clone, Debug)]
pub(crate) struct JobConfig {
    pub(crate) name: String,
    pub(crate) stage: String,
    pub(crate) tags: Vec<String>,
    /// In seconds.
    pub(crate) timeout: Option<i64>,
    pub(crate) when: When,
    pub(crate) allow_failure: bool,
    /// Those of the whole configuration first.
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) id_tokens: Vec<IdTokenConfig>,
    pub(crate) script: Vec<String>,
    pub(crate) after_script: Vec<String>,
    pub(crate) artifacts: Option<ArtifactsConfig>,
}

/// A whole configuration.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) name: Option<String>,
    pub(crate) stages: Vec<String>,
    pub(crate) jobs: Vec<JobConfig>,
}

/// Reads a configuration: with what it was given as inputs, and the variables that there are when a
/// pipeline is made.
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
