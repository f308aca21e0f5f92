//! The settings of this host.

mod fields;
mod limits;
mod simulated;
pub(crate) mod trust;

use std::path::{Path, PathBuf};

use buildbtw_agent::machine;
use buildbtw_builder::{Builder, GitAccess, SandboxConfig, ScratchDisk, SourceNetwork};
use buildbtw_model::client::{Authorities, Client};
use buildbtw_model::{Architecture, Explanation, Packager, WorkerName};
use buildbtw_settings::fields_of;
use serde::Deserialize;

use self::limits::LimitSettings;
use self::simulated::SimulatedSettings;

use crate::explanations;

/// The default path of the settings. With sudo it is the only one.
pub(crate) const DEFAULT_PATH: &str = "/etc/buildbtw/executor.toml";
/// Paths where packages install gitlab-runner.
const DEFAULT_RUNNERS: &[&str] = &[
    "/usr/bin/gitlab-runner",
    "/usr/local/bin/gitlab-runner",
    "/usr/lib/gitlab-runner/gitlab-runner",
];
/// The variable with another path of the settings, for a root side that was not started by sudo.
pub(crate) const PATH_VARIABLE: &str = "BUILDBTW_EXECUTOR_CONFIG";

/// The settings of this host, as they are in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// URL of the buildbtw server.
    pub(crate) server: String,
    /// File of certificate authorities that the server's certificate may be signed by.
    ca: Option<PathBuf>,
    /// Folder for the files of running jobs.
    #[serde(default = "default_state_dir")]
    pub(crate) state_dir: PathBuf,
    name: Option<WorkerName>,
    #[serde(default)]
    architectures: Vec<Architecture>,
    #[serde(default)]
    builder: BuilderChoice,
    #[serde(default)]
    scratch_disk: ScratchDisk,
    base_root: Option<PathBuf>,
    git_credentials: Option<PathBuf>,
    git_ssh_key: Option<PathBuf>,
    git_known_hosts: Option<PathBuf>,
    git_ca: Option<PathBuf>,
    /// `PACKAGER` of the packages, in place of the server's.
    pub(crate) packager: Option<Packager>,
    /// Networks that sources may be fetched from although they are refused by default.
    #[serde(default)]
    allow_source_networks: Vec<SourceNetwork>,
    /// Resource limits of one build.
    #[serde(default)]
    pub(crate) limits: LimitSettings,
    #[serde(default = "default_max_artifact_mib")]
    max_artifact_mib: u64,
    /// Path of sudo, which a runner without root starts the root side with; empty: it is started without.
    #[serde(default = "default_sudo")]
    pub(crate) sudo: PathBuf,
    /// Path of this program, for sudo.
    #[serde(default = "default_program")]
    pub(crate) program: PathBuf,
    gitlab_runner: Option<PathBuf>,
    /// User that scripts of jobs run as when the runner is root.
    #[serde(default = "default_script_user")]
    pub(crate) script_user: String,
}

/// How packages are built.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BuilderChoice {
    #[default]
    Sandbox,
    Simulated(SimulatedSettings),
}

fn default_state_dir() -> PathBuf {
    "/var/lib/buildbtw-executor".into()
}

fn default_max_artifact_mib() -> u64 {
    100
}

fn default_sudo() -> PathBuf {
    "/usr/bin/sudo".into()
}

fn default_program() -> PathBuf {
    "/usr/bin/buildbtw-executor".into()
}

fn default_script_user() -> String {
    "nobody".into()
}

/// Returns the names of all settings, those of tables with the name of the table.
pub(crate) fn setting_names() -> Vec<String> {
    fields::names(fields_of::<Config>())
}

impl Config {
    /// Parses and checks the settings.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        fields::check(text, fields_of::<Self>())?;
        let config: Self = toml::from_str(text).map_err(|error| fields::explain(text, &error))?;
        for (name, path) in [
            ("state_dir", &config.state_dir),
            ("program", &config.program),
        ] {
            anyhow::ensure!(path.is_absolute(), "`{name}` must be an absolute path");
        }
        for (name, path) in [
            ("ca", &config.ca),
            ("base_root", &config.base_root),
            ("git_credentials", &config.git_credentials),
            ("git_ssh_key", &config.git_ssh_key),
            ("git_known_hosts", &config.git_known_hosts),
            ("git_ca", &config.git_ca),
            ("gitlab_runner", &config.gitlab_runner),
        ] {
            let is_absolute = path.as_ref().is_none_or(|path| path.is_absolute());
            anyhow::ensure!(is_absolute, "`{name}` must be an absolute path");
        }
        anyhow::ensure!(
            !config.architectures.iter().any(Architecture::is_any),
            "`architectures` must not contain `any`, whose packages are built on a concrete architecture"
        );
        config.limits.check()?;
        Ok(config)
    }

    /// Returns the values in effect of settings that the file does not set, by their names. Others are not set.
    pub(crate) fn defaults(&self) -> Vec<(String, String)> {
        let architectures = self.architectures().into_iter();
        let architectures: Vec<_> = architectures.map(|name| name.to_string()).collect();
        let path = |path: &Path| path.display().to_string();
        let mut defaults = vec![
            ("state_dir", path(&self.state_dir)),
            ("architectures", architectures.join(",")),
            ("builder", "sandbox".to_owned()),
            ("scratch_disk", "auto".to_owned()),
            ("max_artifact_mib", self.max_artifact_mib.to_string()),
            ("sudo", path(&self.sudo)),
            ("program", path(&self.program)),
            ("script_user", self.script_user.clone()),
        ];
        defaults.extend(self.name().ok().map(|name| ("name", name.to_string())));
        let runner = self.gitlab_runner();
        defaults.extend(runner.map(|runner| ("gitlab_runner", path(&runner))));
        let defaults = defaults.into_iter();
        let defaults = defaults.map(|(name, value)| (name.to_owned(), value));
        defaults.chain(self.limits.defaults()).collect()
    }

    /// Creates a client of the server, without a token.
    pub(crate) fn client(&self) -> Result<Client, Explanation> {
        let client = Authorities::read(self.ca.as_deref())
            .and_then(|authorities| Client::trusting(&self.server, None, &authorities));
        client.map_err(|error| explanations::of_client(&error))
    }

    /// Returns the name under which this host claims builds.
    pub(crate) fn name(&self) -> anyhow::Result<WorkerName> {
        self.name
            .clone()
            .or_else(machine::worker_name)
            .ok_or_else(|| explanations::no_name().into())
    }

    /// Returns the architectures that this host can build for.
    pub(crate) fn architectures(&self) -> Vec<Architecture> {
        if self.architectures.is_empty() {
            machine::architectures()
        } else {
            self.architectures.clone()
        }
    }

    /// Returns whether builds run in a sandbox, which needs root.
    pub(crate) fn needs_root(&self) -> bool {
        matches!(self.builder, BuilderChoice::Sandbox)
    }

    /// Creates the builder. `scratch` is its own folder.
    pub(crate) fn builder(&self, scratch: PathBuf) -> Builder {
        match &self.builder {
            BuilderChoice::Sandbox => Builder::sandboxed(self.sandbox(scratch)),
            BuilderChoice::Simulated(settings) => Builder::simulated(settings.simulated()),
        }
    }

    /// Returns the configuration of the sandbox. `scratch` is its own folder.
    pub(crate) fn sandbox(&self, scratch: PathBuf) -> SandboxConfig {
        let mut sandbox = SandboxConfig::new(scratch);
        sandbox.base_root.clone_from(&self.base_root);
        sandbox.scratch_disk = self.scratch_disk;
        sandbox.cgroups = self.limits.cgroups;
        sandbox.git = self.git();
        sandbox
            .allow_source_networks
            .clone_from(&self.allow_source_networks);
        sandbox.server = Some(self.server.clone());
        sandbox
    }

    /// Returns the credentials with which git fetches sources.
    pub(crate) fn git(&self) -> GitAccess {
        GitAccess {
            credentials: self.git_credentials.clone(),
            ssh_key: self.git_ssh_key.clone(),
            ssh_known_hosts: self.git_known_hosts.clone(),
            ca: self.git_ca.clone(),
        }
    }

    /// Returns the largest total size of packages that become artifacts of the job, in bytes.
    pub(crate) fn max_artifact_bytes(&self) -> u64 {
        self.max_artifact_mib.saturating_mul(1 << 20)
    }

    /// Finds the `gitlab-runner` that scripts use for caches and artifacts.
    pub(crate) fn gitlab_runner(&self) -> Option<PathBuf> {
        let default = || {
            DEFAULT_RUNNERS
                .iter()
                .map(PathBuf::from)
                .find(|path| exists_or_is_unreadable(path))
        };
        match &self.gitlab_runner {
            Some(path) => exists_or_is_unreadable(path).then(|| path.clone()),
            None => default(),
        }
    }
}

/// Returns whether the file exists or this user is not allowed to check it. In the latter case, using it later reports
/// the missing permission.
fn exists_or_is_unreadable(path: &Path) -> bool {
    match path.metadata() {
        Ok(metadata) => metadata.is_file(),
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_minimal_config() {
        let config = Config::parse("server = 'http://localhost:8080'").unwrap();
        assert!(config.needs_root());
        assert_eq!(config.max_artifact_bytes(), 100 << 20);
        assert_eq!(config.architectures().len(), 1);
    }

    #[test]
    fn accepts_example_config() {
        let example = include_str!("../../executor.toml.example");
        Config::parse(example).unwrap();
        // With every setting that the example shows in a comment.
        let all: String = example
            .lines()
            .map(|line| {
                line.strip_prefix('#')
                    .filter(|l| !l.starts_with(' '))
                    .unwrap_or(line)
            })
            .fold(String::new(), |text, line| text + line + "\n");
        let config = Config::parse(&all).unwrap();
        assert!(config.base_root.is_some() && config.git_ca.is_some());
        let error = config.client().unwrap_err().to_string();
        assert!(error.contains("/etc/buildbtw/server-ca.pem"), "{error}");
    }

    #[test]
    fn names_config_mistakes() {
        for (text, part) in [
            ("", "server"),
            (
                "server = 'x'\nservre = 1",
                "line 2: unknown setting `servre`",
            ),
            (
                "server = 'x'\n[limits]\nprocess = 1",
                "line 3: unknown setting `limits.process`",
            ),
            ("server = 'x'\nstate_dir = 'here'", "absolute"),
            ("server = 'x'\narchitectures = ['any']", "any"),
            ("server = 'x'\nbuilder = 'magic'", "magic"),
            ("server = 'x'\npackager = 'Unknown Packager'", "packager"),
            (
                "server = 'x'\nallow_source_networks = ['10.0.0.1/8']",
                "10.0.0.0/8",
            ),
            ("server = 'x'\nscratch_disk = 'tape'", "tape"),
            ("server = 'x'\n[limits]\nprocesses = 1", "processes"),
        ] {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn accepts_simulated_builder_without_root() {
        let text = "server = 'x'\nbuilder.simulated = { seconds = 0.5, failures.zlib = { kind = 'package', message = 'no' } }";
        let config = Config::parse(text).unwrap();
        assert!(!config.needs_root());
    }
}
