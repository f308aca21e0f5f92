//! The job, from the file with GitLab's response to the runner. Values that are missing or of an unexpected type
//! are treated as absent.

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::explanations;

/// The size limit of the file: usually a few kilobytes, more with large variables.
const MAX_BYTES: u64 = 32 << 20;
/// GitLab's default, for a job without a timeout.
const DEFAULT_TIMEOUT_S: u64 = 7200;

/// The id of a job, unique within its GitLab instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct JobId(u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for JobId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A job of GitLab.
#[derive(Debug)]
pub(crate) struct Job {
    /// The job's id.
    pub(crate) id: JobId,
    /// The job's timeout, in seconds.
    pub(crate) timeout_s: u64,
    /// Whether GitLab can fold sections of the log.
    pub(crate) has_sections: bool,
    /// Whether the job has a cache with files.
    pub(crate) has_cache: bool,
    variables: HashMap<String, String>,
    project: Option<PathBuf>,
}

impl Job {
    /// Reads the job from the runner's file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let mut text = Vec::new();
        let file = std::fs::OpenOptions::new().read(true).open(path);
        let file = file.with_context(|| format!("cannot read the job in `{}`", path.display()))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut text)?;
        anyhow::ensure!(
            text.len() as u64 <= MAX_BYTES,
            explanations::large_job(path, MAX_BYTES)
        );
        Self::parse(&text).with_context(|| format!("cannot read the job in `{}`", path.display()))
    }

    fn parse(text: &[u8]) -> anyhow::Result<Self> {
        let job: Value = serde_json::from_slice(text)?;
        let id = [job.get("id"), job.pointer("/job_info/id")]
            .into_iter()
            .flatten()
            .find_map(Value::as_u64)
            .filter(|id| *id > 0)
            .ok_or_else(explanations::no_job_id)?;
        let variables = job.get("variables").and_then(Value::as_array);
        let variables = variables
            .into_iter()
            .flatten()
            .filter_map(|variable| {
                let text = |name| variable.get(name).and_then(Value::as_str);
                Some((text("key")?.to_owned(), text("value")?.to_owned()))
            })
            .collect();
        Ok(Self {
            id: JobId(id),
            timeout_s: job
                .pointer("/runner_info/timeout")
                .and_then(Value::as_u64)
                .filter(|seconds| *seconds > 0)
                .unwrap_or(DEFAULT_TIMEOUT_S),
            has_sections: job
                .pointer("/features/trace_sections")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            has_cache: job
                .get("cache")
                .and_then(Value::as_array)
                .is_some_and(|caches| caches.iter().any(keeps_files)),
            project: job
                .pointer("/git_info/repo_url")
                .and_then(Value::as_str)
                .and_then(project_path),
            variables,
        })
    }

    /// Returns the value of a variable unless it is empty. The last one counts, as for the runner.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns the project's folder below the folder of builds, which the runner derives from the repository's URL.
    pub(crate) fn project(&self) -> Option<&Path> {
        self.project.as_deref()
    }
}

/// Returns whether a cache has files: runners skip those without.
fn keeps_files(cache: &Value) -> bool {
    let paths = cache.get("paths").and_then(Value::as_array);
    let untracked = cache.get("untracked").and_then(Value::as_bool);
    paths.is_some_and(|paths| !paths.is_empty()) || untracked == Some(true)
}

fn project_path(url: &str) -> Option<PathBuf> {
    let (_, rest) = url.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    Some(PathBuf::from(path.strip_suffix(".git").unwrap_or(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_present_values() {
        let job = Job::parse(
            br#"{"id": 7, "runner_info": {"timeout": 60}, "features": {"trace_sections": true},
                 "git_info": {"repo_url": "https://gitlab.example/g/demo.git"}, "new": {},
                 "variables": [{"key": "A", "value": "1"}, {"key": "A", "value": "2"}, {"key": 3}, 4]}"#,
        )
        .unwrap();
        assert_eq!((job.id, job.timeout_s), (JobId(7), 60));
        assert!(job.has_sections && !job.has_cache);
        assert_eq!(job.variable("A"), Some("2"));
        assert_eq!(job.project(), Some(Path::new("g/demo")));
    }

    #[test]
    fn treats_values_of_another_type_as_missing() {
        let job = Job::parse(
            br#"{"id": "x", "job_info": {"id": 9}, "runner_info": [], "features": 1,
                 "git_info": {"repo_url": {}}, "variables": {"A": "1"}}"#,
        )
        .unwrap();
        assert_eq!((job.id, job.timeout_s), (JobId(9), DEFAULT_TIMEOUT_S));
        assert_eq!(job.variable("A"), None);
        assert_eq!(job.project(), None);
    }

    #[test]
    fn ignores_cache_without_files() {
        for (cache, has_cache) in [
            ("[]", false),
            ("null", false),
            (
                r#"[null, {"key": "a", "policy": "pull", "paths": []}]"#,
                false,
            ),
            (r#"[{"key": "a"}, {"key": "b", "paths": ["x"]}]"#, true),
            (r#"[{"untracked": true}]"#, true),
        ] {
            let job = Job::parse(format!(r#"{{"id": 7, "cache": {cache}}}"#).as_bytes());
            assert_eq!(job.unwrap().has_cache, has_cache, "{cache}");
        }
    }

    #[test]
    fn rejects_job_without_id() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"id": 0}"#,
            r#"{"id": -1}"#,
            r#"{"id": "../1"}"#,
        ] {
            assert!(Job::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
