//! GitLab's description of a job. A wrong type anywhere fails the whole job, as in the real runner.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The response to a request for a job.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) token: String,
    #[serde(default)]
    pub(crate) allow_git_fetch: bool,
    pub(crate) job_info: JobInfo,
    pub(crate) git_info: GitInfo,
    pub(crate) runner_info: RunnerInfo,
    #[serde(default)]
    pub(crate) inputs: Vec<Value>,
    #[serde(default)]
    pub(crate) variables: Vec<Variable>,
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    pub(crate) image: Value,
    #[serde(default)]
    pub(crate) services: Vec<Value>,
    #[serde(default)]
    pub(crate) artifacts: Vec<Artifacts>,
    #[serde(default)]
    pub(crate) cache: Vec<Value>,
    #[serde(default)]
    pub(crate) credentials: Vec<Value>,
    #[serde(default)]
    pub(crate) dependencies: Vec<Dependency>,
    #[serde(default)]
    pub(crate) features: Features,
    /// A text that contains JSON. `null` fails the job, as in the real runner.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "json_in_text"
    )]
    pub(crate) run: Option<String>,
}

fn json_in_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    serde_json::from_str::<Value>(&text).map_err(serde::de::Error::custom)?;
    Ok(Some(text))
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct JobInfo {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) stage: String,
    pub(crate) project_id: u64,
    pub(crate) project_name: String,
    #[serde(default)]
    pub(crate) project_full_path: String,
    #[serde(default)]
    pub(crate) pipeline_id: u64,
    #[serde(default)]
    pub(crate) time_in_queue_seconds: f64,
    #[serde(default)]
    pub(crate) project_jobs_running_on_instance_runners_count: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct GitInfo {
    pub(crate) repo_url: String,
    #[serde(rename = "ref")]
    pub(crate) git_ref: String,
    pub(crate) sha: String,
    #[serde(default)]
    pub(crate) before_sha: String,
    #[serde(default)]
    pub(crate) ref_type: String,
    #[serde(default)]
    pub(crate) refspecs: Vec<String>,
    #[serde(default)]
    pub(crate) depth: i64,
    #[serde(default)]
    pub(crate) repo_object_format: String,
    #[serde(default)]
    pub(crate) protected: Option<bool>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct RunnerInfo {
    #[serde(default)]
    pub(crate) timeout: i64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Variable {
    pub(crate) key: String,
    pub(crate) value: String,
    #[serde(default)]
    pub(crate) public: bool,
    #[serde(default)]
    pub(crate) file: bool,
    #[serde(default)]
    pub(crate) masked: bool,
    #[serde(default)]
    pub(crate) raw: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) script: Vec<String>,
    #[serde(default)]
    pub(crate) timeout: i64,
    #[serde(default)]
    pub(crate) when: String,
    #[serde(default)]
    pub(crate) allow_failure: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Artifacts {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) untracked: bool,
    #[serde(default)]
    pub(crate) paths: Vec<String>,
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
    #[serde(default)]
    pub(crate) when: String,
    #[serde(default)]
    pub(crate) artifact_type: String,
    #[serde(default)]
    pub(crate) artifact_format: String,
    #[serde(default)]
    pub(crate) expire_in: String,
}

impl Artifacts {
    pub(crate) fn is_for(&self, success: bool) -> bool {
        match self.when.as_str() {
            "always" => true,
            "on_failure" => !success,
            _ => success,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Dependency {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) token: String,
    #[serde(default)]
    pub(crate) artifacts_file: ArtifactsFile,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct ArtifactsFile {
    #[serde(default)]
    pub(crate) filename: String,
    #[serde(default)]
    pub(crate) size: u64,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Features {
    #[serde(default)]
    pub(crate) trace_sections: bool,
    #[serde(default)]
    pub(crate) token_mask_prefixes: Vec<String>,
    #[serde(default)]
    pub(crate) failure_reasons: Vec<String>,
}

/// The default timeout in seconds.
const DEFAULT_TIMEOUT: u64 = 7_200;

impl Job {
    pub(crate) fn timeout(&self) -> u64 {
        match u64::try_from(self.runner_info.timeout) {
            Ok(seconds) if seconds > 0 => seconds,
            _ => DEFAULT_TIMEOUT,
        }
    }
}
