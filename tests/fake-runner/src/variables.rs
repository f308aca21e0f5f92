//! The variables of a job: those from GitLab, and those that the runner adds.

use std::path::{Path, PathBuf};

use crate::api::VERSION;
use crate::config::RunnerConfig;
use crate::job::{Job, Variable};

/// The feature flags that are on; jobs see all others as off.
const FLAGS_ON: [&str; 2] = ["FF_USE_DIRECT_DOWNLOAD", "FF_SCRIPT_SECTIONS"];
const FLAGS_OFF: [&str; 4] = [
    "FF_USE_JOB_ROUTER",
    "FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR",
    "FF_ENABLE_BASH_EXIT_CODE_CHECK",
    "FF_USE_POWERSHELL_PATH_RESOLVER",
];

/// All variables of a job; later ones win.
#[derive(Clone, Debug)]
pub(crate) struct Variables(Vec<Variable>);

fn own(key: &str, value: &str) -> Variable {
    Variable {
        key: key.to_owned(),
        value: value.to_owned(),
        public: true,
        file: false,
        masked: false,
        raw: true,
    }
}

/// The folders of a job.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    pub(crate) builds: PathBuf,
    pub(crate) project: PathBuf,
    /// Next to the project: files that are kept between stages.
    pub(crate) temporary: PathBuf,
}

impl Folders {
    /// Returns `<builds>/g/demo`, with a folder for the job in between if the builds folder is shared.
    pub(crate) fn new(
        builds: PathBuf,
        is_shared: bool,
        short_token: &str,
        slot: usize,
        job: &Job,
    ) -> Self {
        let mut project = builds.clone();
        if is_shared {
            project.push(short_token);
            project.push(slot.to_string());
        }
        project.push(repository_path(&job.git_info.repo_url));
        let mut temporary = project.clone().into_os_string();
        temporary.push(".tmp");
        Self {
            builds,
            project,
            temporary: temporary.into(),
        }
    }
}

/// Returns `g/demo` for `http://host/g/demo.git`.
fn repository_path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    path.strip_suffix(".git").unwrap_or(path)
}

impl Variables {
    pub(crate) fn new(
        config: &RunnerConfig,
        job: &Job,
        folders: Option<&Folders>,
        slot: usize,
    ) -> Self {
        let environment = config.environment.iter();
        let mut all: Vec<Variable> = environment
            .map(|(key, value)| Variable {
                raw: false,
                ..own(key, value)
            })
            .chain(job.variables.iter().cloned())
            .collect();
        let text = |path: &Path| path.to_string_lossy().into_owned();
        if let Some(folders) = folders {
            all.push(own("CI_BUILDS_DIR", &text(&folders.builds)));
            all.push(own("CI_PROJECT_DIR", &text(&folders.project)));
            all.push(own("RUNNER_TEMP_PROJECT_DIR", &text(&folders.temporary)));
        }
        let slot = slot.to_string();
        for (key, value) in [
            ("CI_CONCURRENT_ID", slot.as_str()),
            ("CI_CONCURRENT_PROJECT_ID", slot.as_str()),
            ("CI_SERVER", "yes"),
            ("CI_JOB_STATUS", "running"),
            ("CI_JOB_TIMEOUT", &job.timeout().to_string()),
            ("CI_RUNNER_DESCRIPTION", &config.description),
            ("CI_RUNNER_SHORT_TOKEN", short_token(&config.token)),
            ("CI_RUNNER_VERSION", VERSION),
            ("CI_RUNNER_REVISION", "00000000"),
            ("CI_RUNNER_EXECUTABLE_ARCH", "linux/amd64"),
        ] {
            all.push(own(key, value));
        }
        for flag in FLAGS_ON {
            all.insert(0, own(flag, "true"));
        }
        for flag in FLAGS_OFF {
            all.insert(0, own(flag, "false"));
        }
        Self(all)
    }

    /// Returns the unexpanded value of a variable.
    pub(crate) fn raw(&self, key: &str) -> Option<&Variable> {
        self.0.iter().rev().find(|variable| variable.key == key)
    }

    /// Returns the expanded value of a variable.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.raw(key).map(|variable| self.value(variable))
    }

    fn value(&self, variable: &Variable) -> String {
        match variable.raw {
            true => variable.value.clone(),
            false => self.expand(&variable.value),
        }
    }

    /// Expands variables once; unknown ones are empty.
    pub(crate) fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
                continue;
            }
            let braced = rest
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'));
            let (name, after) = braced.unwrap_or_else(|| {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                rest.split_at(end)
            });
            if name.is_empty() {
                out.push('$');
                continue;
            }
            out.push_str(self.raw(name).map_or("", |variable| &variable.value));
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// Returns each variable once, in the order of assignment.
    pub(crate) fn all(&self) -> Vec<(Variable, String)> {
        let mut seen = std::collections::HashSet::new();
        let mut all: Vec<(Variable, String)> = Vec::new();
        for variable in self.0.iter().rev() {
            if seen.insert(variable.key.as_str()) {
                all.push((variable.clone(), self.value(variable)));
            }
        }
        all.reverse();
        all
    }

    /// Returns whether scripts print their commands.
    pub(crate) fn are_debugged(&self) -> bool {
        let value = self.get("CI_DEBUG_TRACE");
        value.is_some_and(|value| ["true", "1", "yes"].contains(&value.as_str()))
    }

    /// Returns whether a flag that is on by default is off. Runners parse such values like Go.
    pub(crate) fn is_disabled(&self, name: &str) -> bool {
        let value = self.get(name);
        value.is_some_and(|value| {
            ["0", "f", "F", "false", "FALSE", "False"].contains(&value.as_str())
        })
    }

    /// Returns the values to mask.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let masked = self.0.iter().filter(|variable| variable.masked);
        masked.map(|variable| self.value(variable)).collect()
    }
}

/// Returns the beginning of the secret part of a token.
pub(crate) fn short_token(token: &str) -> &str {
    let secret = token.strip_prefix("glrt-").unwrap_or(token);
    secret.get(..9.min(secret.len())).unwrap_or(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str, bool)]) -> Variables {
        let all = pairs.iter().map(|(key, value, raw)| Variable {
            raw: *raw,
            ..own(key, value)
        });
        Variables(all.collect())
    }

    #[test]
    fn later_variables_override_and_expand_once() {
        let all = variables(&[
            ("A", "1", false),
            ("B", "$A-${C}-$$A-$N", false),
            ("C", "$A", true),
            ("A", "2", false),
        ]);
        assert_eq!(all.get("B").as_deref(), Some("2-$A-$A-"));
        assert_eq!(all.get("C").as_deref(), Some("$A"));
        assert_eq!(all.get("N"), None);
        let keys: Vec<String> = all.all().into_iter().map(|(one, _)| one.key).collect();
        assert_eq!(keys, ["B", "C", "A"]);
    }

    #[test]
    fn parses_false_values_like_go() {
        for (value, is_disabled) in [
            ("0", true),
            ("f", true),
            ("F", true),
            ("false", true),
            ("FALSE", true),
            ("False", true),
            ("1", false),
            ("true", false),
            ("T", false),
        ] {
            let all = variables(&[("FF_TIMESTAMPS", value, true)]);
            assert_eq!(all.is_disabled("FF_TIMESTAMPS"), is_disabled, "{value}");
        }
        assert!(!variables(&[]).is_disabled("FF_TIMESTAMPS"));
    }

    #[test]
    fn derives_project_folder_from_url() {
        assert_eq!(
            repository_path("http://127.0.0.1:1/g/s/demo.git"),
            "g/s/demo"
        );
        assert_eq!(short_token("glrt-abcdefghijkl"), "abcdefghi");
    }
}
