//! The content of a configuration after its inputs were replaced.

use serde_json::{Map, Value};

use super::rules::first_rule;
use super::values::{texts, variables};
use super::{
    ArtifactsConfig, Config, ConfigError, IdTokenConfig, JobConfig, Known, When, duration, expand,
};

/// Global keywords of GitLab that are not supported here.
const NOT_JOBS: [&str; 7] = [
    "include",
    "image",
    "services",
    "cache",
    "pages",
    "before_script",
    "after_script",
];

/// Job keywords of GitLab that are not supported here.
const UNKNOWN_HERE: [&str; 17] = [
    "needs",
    "dependencies",
    "extends",
    "image",
    "services",
    "cache",
    "environment",
    "release",
    "retry",
    "parallel",
    "trigger",
    "only",
    "except",
    "resource_group",
    "secrets",
    "inherit",
    "run",
];

/// The supported job keywords.
const JOB_KEYS: [&str; 14] = [
    "stage",
    "tags",
    "timeout",
    "when",
    "allow_failure",
    "interruptible",
    "variables",
    "id_tokens",
    "before_script",
    "script",
    "after_script",
    "artifacts",
    "rules",
    "coverage",
];

const DEFAULT_STAGES: [&str; 3] = ["build", "test", "deploy"];

/// GitLab's maximum for timeouts.
const MAX_TIMEOUT: i64 = 31 * 86_400;

pub(super) fn interpret(content: &Value, known: &Known) -> Result<Config, ConfigError> {
    let Value::Object(content) = content else {
        return Err(ConfigError::invalid("Invalid configuration format"));
    };
    if let Some(key) = content.keys().find(|key| NOT_JOBS.contains(&key.as_str())) {
        return Err(ConfigError::unsupported(key.as_str()));
    }
    let global = variables("variables", content.get("variables"))?;
    let mut known = known.clone();
    for (key, value) in &global {
        // Variables of the pipeline take precedence.
        known.entry(key.clone()).or_insert_with(|| value.clone());
    }
    let name = workflow(content.get("workflow"), &known)?;
    let stages = stages(content.get("stages"))?;
    let default = defaults(content.get("default"))?;
    let mut jobs = Vec::new();
    for (key, value) in content {
        if matches!(
            key.as_str(),
            "workflow" | "stages" | "variables" | "default"
        ) || key.starts_with('.')
        {
            continue;
        }
        let Value::Object(job) = value else {
            return Err(ConfigError::invalid(format!(
                "jobs:{key} config should implement the script:, run:, or trigger: keyword"
            )));
        };
        let mut merged = default.clone();
        merged.extend(job.clone());
        if let Some(job) = JobReader::new(key, &merged, &global, &known).read(&stages)? {
            jobs.push(job);
        }
    }
    if jobs.is_empty() {
        return Err(ConfigError::Empty);
    }
    Ok(Config { name, stages, jobs })
}

fn stages(value: Option<&Value>) -> Result<Vec<String>, ConfigError> {
    let named = match texts("stages", value)? {
        named if named.is_empty() => DEFAULT_STAGES.map(str::to_owned).to_vec(),
        named => named,
    };
    let mut all = vec![".pre".to_owned()];
    all.extend(
        named
            .into_iter()
            .filter(|name| name != ".pre" && name != ".post"),
    );
    all.push(".post".to_owned());
    Ok(all)
}

fn defaults(value: Option<&Value>) -> Result<Map<String, Value>, ConfigError> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(defaults)) => {
            let known = [
                "tags",
                "timeout",
                "interruptible",
                "before_script",
                "after_script",
                "id_tokens",
                "artifacts",
            ];
            match defaults.keys().find(|key| !known.contains(&key.as_str())) {
                Some(other) => Err(ConfigError::unsupported(format!("default:{other}"))),
                None => Ok(defaults.clone()),
            }
        }
        Some(_) => Err(ConfigError::invalid("default config should be a hash")),
    }
}

/// Returns the name of pipelines, if the workflow allows one.
fn workflow(value: Option<&Value>, known: &Known) -> Result<Option<String>, ConfigError> {
    let workflow = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(workflow)) => workflow,
        Some(_) => return Err(ConfigError::invalid("workflow config should be a hash")),
    };
    for key in workflow.keys() {
        match key.as_str() {
            "name" | "rules" => {}
            // The stand-in never cancels pipelines by itself, so only this value is supported.
            "auto_cancel" => {
                let wanted = workflow
                    .get("auto_cancel")
                    .and_then(|value| value.get("on_new_commit"));
                if wanted.and_then(Value::as_str) != Some("none") {
                    return Err(ConfigError::unsupported("workflow:auto_cancel"));
                }
            }
            _ => {
                return Err(ConfigError::invalid(format!(
                    "workflow config contains unknown keys: {key}"
                )));
            }
        }
    }
    if let Some(rules) = workflow.get("rules") {
        let rule = first_rule("workflow", rules, known)?;
        if rule.is_none_or(|rule| rule.when == Some("never")) {
            return Err(ConfigError::FilteredByWorkflow);
        }
    }
    let name = workflow.get("name").and_then(Value::as_str);
    Ok(name
        .map(|name| expand(name, known))
        .filter(|name| !name.is_empty()))
}

/// Parses one job.
struct JobReader<'a> {
    name: &'a str,
    job: &'a Map<String, Value>,
    global: &'a [(String, String)],
    known: &'a Known,
}

impl<'a> JobReader<'a> {
    fn new(
        name: &'a str,
        job: &'a Map<String, Value>,
        global: &'a [(String, String)],
        known: &'a Known,
    ) -> Self {
        Self {
            name,
            job,
            global,
            known,
        }
    }

    fn at(&self, key: &str) -> String {
        format!("jobs:{}:{key}", self.name)
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        texts(&self.at(key), self.job.get(key))
    }

    fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.job.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(ConfigError::invalid(format!(
                "{} config should be a string",
                self.at(key)
            ))),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        match self.job.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(ConfigError::invalid(format!(
                "{} config should be a boolean value",
                self.at(key)
            ))),
        }
    }

    /// Returns the job, unless its rules exclude it.
    fn read(&self, stages: &[String]) -> Result<Option<JobConfig>, ConfigError> {
        self.check_keys()?;
        // The stand-in interrupts nothing, but the value must be valid.
        self.flag("interruptible", false)?;
        let mut script = self.texts("before_script")?;
        let own = self.texts("script")?;
        if own.is_empty() {
            return Err(ConfigError::invalid(format!(
                "jobs:{} config should implement the script:, run:, or trigger: keyword",
                self.name
            )));
        }
        script.extend(own);
        let stage = self.text("stage")?.unwrap_or_else(|| "test".to_owned());
        if !stages.contains(&stage) {
            return Err(ConfigError::invalid(format!(
                "{} job: chosen stage {stage} does not exist; available stages are {}",
                self.name,
                stages.join(", ")
            )));
        }
        let own_variables = variables(&self.at("variables"), self.job.get("variables"))?;
        let mut known = self.known.clone();
        for (key, value) in &own_variables {
            known.entry(key.clone()).or_insert_with(|| value.clone());
        }
        let mut all_variables: Vec<(String, String)> = self.global.to_vec();
        all_variables.retain(|(key, _)| !own_variables.iter().any(|(own, _)| own == key));
        all_variables.extend(own_variables);
        let Some((when, allow_failure)) = self.when(&known)? else {
            return Ok(None);
        };
        Ok(Some(JobConfig {
            name: self.name.to_owned(),
            stage,
            tags: self
                .texts("tags")?
                .iter()
                .map(|tag| expand(tag, &known))
                .collect(),
            timeout: self.timeout()?,
            when,
            allow_failure,
            variables: all_variables,
            id_tokens: self.id_tokens(&known)?,
            script,
            after_script: self.texts("after_script")?,
            artifacts: self.artifacts()?,
        }))
    }

    fn check_keys(&self) -> Result<(), ConfigError> {
        for key in self.job.keys() {
            if UNKNOWN_HERE.contains(&key.as_str()) {
                return Err(ConfigError::unsupported(self.at(key)));
            }
            if !JOB_KEYS.contains(&key.as_str()) {
                return Err(ConfigError::invalid(format!(
                    "jobs:{} config contains unknown keys: {key}",
                    self.name
                )));
            }
        }
        Ok(())
    }

    fn when(&self, known: &Known) -> Result<Option<(When, bool)>, ConfigError> {
        let own = self.text("when")?;
        let (when, allowed, by_rule) = match self.job.get("rules") {
            None => (own, None, false),
            Some(rules) => {
                let Some(rule) = first_rule(&format!("jobs:{}", self.name), rules, known)? else {
                    return Ok(None);
                };
                let when = rule.when.map(str::to_owned).or(own);
                (when, rule.allow_failure, true)
            }
        };
        let when = match when.as_deref() {
            None | Some("on_success") => When::OnSuccess,
            Some("on_failure") => When::OnFailure,
            Some("always") => When::Always,
            Some("manual") => When::Manual,
            Some("never") if by_rule => return Ok(None),
            Some("delayed") => return Err(ConfigError::unsupported("when: delayed")),
            Some(other) => {
                return Err(ConfigError::invalid(format!(
                    "jobs:{} when should be one of: on_success, on_failure, always, manual, \
                     delayed (not {other})",
                    self.name
                )));
            }
        };
        // A manual job blocks the pipeline only if a rule made it manual.
        let default = when == When::Manual && !by_rule;
        let allow_failure = match allowed {
            Some(allowed) => allowed,
            None => self.flag("allow_failure", default)?,
        };
        Ok(Some((when, allow_failure)))
    }

    fn timeout(&self) -> Result<Option<i64>, ConfigError> {
        let Some(value) = self.job.get("timeout") else {
            return Ok(None);
        };
        let seconds = match value {
            Value::String(text) => duration::seconds(text),
            Value::Number(number) => number.as_i64().filter(|seconds| *seconds > 0),
            _ => None,
        };
        let at = self.at("timeout");
        match seconds {
            None => Err(ConfigError::invalid(format!(
                "{at} config should be a duration"
            ))),
            Some(seconds) if seconds > MAX_TIMEOUT => Err(ConfigError::invalid(format!(
                "{at} config should not exceed the limit"
            ))),
            Some(seconds) => Ok(Some(seconds)),
        }
    }

    fn id_tokens(&self, known: &Known) -> Result<Vec<IdTokenConfig>, ConfigError> {
        let at = self.at("id_tokens");
        let bad = |text: &str| ConfigError::invalid(format!("{at}{text}"));
        let tokens = match self.job.get("id_tokens") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Object(tokens)) => tokens,
            Some(_) => return Err(bad(" config should be a hash")),
        };
        let mut out = Vec::new();
        for (name, token) in tokens {
            let Value::Object(token) = token else {
                return Err(bad(&format!(":{name} config should be a hash")));
            };
            if let Some(other) = token.keys().find(|key| *key != "aud") {
                return Err(bad(&format!(
                    ":{name} config contains unknown keys: {other}"
                )));
            }
            let audience = match token.get("aud") {
                Some(Value::String(text)) => Value::String(expand(text, known)),
                Some(Value::Array(values)) => {
                    let texts = texts(&at, Some(&Value::Array(values.clone())))?;
                    texts
                        .iter()
                        .map(|text| Value::String(expand(text, known)))
                        .collect()
                }
                _ => {
                    return Err(bad(&format!(
                        ":{name}:aud config should be a string or an array of strings"
                    )));
                }
            };
            out.push(IdTokenConfig {
                name: name.clone(),
                audience,
            });
        }
        Ok(out)
    }

    fn artifacts(&self) -> Result<Option<ArtifactsConfig>, ConfigError> {
        let at = self.at("artifacts");
        let artifacts = match self.job.get("artifacts") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(artifacts)) => artifacts,
            Some(_) => {
                return Err(ConfigError::invalid(format!(
                    "{at} config should be a hash"
                )));
            }
        };
        for key in artifacts.keys() {
            match key.as_str() {
                "name" | "untracked" | "paths" | "exclude" | "when" | "expire_in" | "expose_as"
                | "access" | "public" => {}
                "reports" => return Err(ConfigError::unsupported(format!("{at}:reports"))),
                _ => {
                    return Err(ConfigError::invalid(format!(
                        "{at} config contains unknown keys: {key}"
                    )));
                }
            }
        }
        let text = |key: &str| {
            artifacts
                .get(key)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let when = text("when").unwrap_or_else(|| "on_success".to_owned());
        if !["on_success", "on_failure", "always"].contains(&when.as_str()) {
            return Err(ConfigError::invalid(format!(
                "{at} when should be one of: on_success, on_failure, always"
            )));
        }
        Ok(Some(ArtifactsConfig {
            name: text("name"),
            untracked: artifacts
                .get("untracked")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
            paths: texts(&format!("{at}:paths"), artifacts.get("paths"))?,
            exclude: texts(&format!("{at}:exclude"), artifacts.get("exclude"))?,
            when,
            expire_in: text("expire_in"),
        }))
    }
}
