//! Settings of the connection to GitLab: its URL, the group, and how to reach it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use buildbtw_model::settings::{number, read_text};
use buildbtw_model::{Explanation, hide_user_info};
use clap::{Args, ValueEnum};
use reqwest::Url;

/// The command line options about GitLab.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "GitLab, in place of --sources-dir")]
pub struct GitlabArgs {
    /// URL of the GitLab instance, for example gitlab.example.org
    #[arg(long, env = "BUILDBTW_GITLAB_URL", value_name = "URL")]
    pub gitlab_url: Option<String>,
    /// Group of the package repositories, subgroups included
    #[arg(long, env = "BUILDBTW_GITLAB_GROUP", value_name = "PATH")]
    pub gitlab_group: Option<String>,
    /// File with an access token of scope `read_api`
    ///
    /// It is read again on SIGHUP, and when GitLab rejects the token.
    #[arg(long, env = "BUILDBTW_GITLAB_TOKEN_FILE", value_name = "FILE")]
    pub gitlab_token_file: Option<PathBuf>,
    /// Proxy for requests to GitLab
    ///
    /// [default: as HTTPS_PROXY and NO_PROXY say]
    // It may contain a password.
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_PROXY",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub gitlab_proxy: Option<String>,
    /// PEM file of an additional certificate authority
    #[arg(long, env = "BUILDBTW_GITLAB_CA", value_name = "FILE")]
    pub gitlab_ca: Option<PathBuf>,
    /// Seconds between polls of the group
    ///
    /// Webhooks are faster. Range: 1 to 3600. [default: 30]
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_POLL_SECONDS",
        value_parser = number::<u32>(1..=3_600),
        value_name = "SECONDS"
    )]
    pub gitlab_poll_seconds: Option<u32>,
    /// Protocol for fetching sources
    ///
    /// [default: https]
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_CLONE",
        value_enum,
        value_name = "PROTOCOL"
    )]
    pub gitlab_clone: Option<CloneBy>,
    /// File with the secret token of the webhook
    ///
    /// If a signing token is set too, either one is accepted.
    #[arg(long, env = "BUILDBTW_GITLAB_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    pub gitlab_webhook_secret_file: Option<PathBuf>,
    /// File with the signing token of the webhook, `whsec_…`
    #[arg(
        long,
        env = "BUILDBTW_GITLAB_WEBHOOK_SIGNING_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub gitlab_webhook_signing_token_file: Option<PathBuf>,
}

/// How workers fetch sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub enum CloneBy {
    /// By the project's HTTP address.
    #[default]
    Https,
    /// By its SSH address.
    Ssh,
}

/// The validated settings of the connection to GitLab.
#[derive(Clone, Debug)]
pub struct GitlabSettings {
    /// The base URL, without a trailing slash.
    pub url: Url,
    /// The full path of the group.
    pub group: String,
    /// The file with the token.
    pub token_file: PathBuf,
    /// A proxy in place of the environment's; its URL may contain a password.
    pub proxy: Option<Secret>,
    /// A certificate authority in addition to the system's.
    pub ca: Option<PathBuf>,
    /// The time between polls.
    pub poll: Duration,
    /// How workers fetch sources.
    pub clone_by: CloneBy,
    /// The secrets of the webhook.
    pub webhook: WebhookSecrets,
    /// Whether anything is written to GitLab, which requires a token of scope `api`.
    pub writes: bool,
}

/// The secrets of the webhook. Without any, no webhook is accepted.
#[derive(Clone, Debug, Default)]
pub struct WebhookSecrets {
    /// The secret token (`X-Gitlab-Token`).
    pub token: Option<Secret>,
    /// The decoded key of the signature.
    pub signing_key: Option<SigningKey>,
}

impl WebhookSecrets {
    /// Returns whether no webhook can be accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.token.is_none() && self.signing_key.is_none()
    }
}

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The signing key of webhooks, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

impl Secret {
    /// Reads the secret that is the only content of the file that a setting names.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, or contains more than one line.
    pub fn read(setting: &str, path: &Path) -> Result<Self, Explanation> {
        const HINT: &str = "write nothing but the secret into the file, in a single line";
        let text = read_text(setting, path).map_err(|error| error.hint(HINT))?;
        let text = text.trim();
        let problem = match text {
            "" => "is empty",
            text if text.chars().all(|c| c.is_ascii_graphic()) => return Ok(Self(text.to_owned())),
            _ => "contains more than a secret",
        };
        Err(Explanation::with_hint(
            format!("the file `{}` of {setting} {problem}", path.display()),
            HINT,
        ))
    }

    /// Creates a secret for a test.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns the text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl SigningKey {
    /// Creates a key for a test.
    #[cfg(test)]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Returns the bytes.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    fn decode(secret: &Secret) -> Result<Self, String> {
        use base64::Engine as _;
        let encoded = secret
            .reveal()
            .strip_prefix("whsec_")
            .ok_or("it does not start with `whsec_`")?;
        let key = base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .map_err(|error| format!("the part after `whsec_` is not base64: {error}"))?;
        // The specification Standard Webhooks requires 24 to 64 bytes.
        if !(24..=64).contains(&key.len()) {
            return Err(format!(
                "its key has {} bytes instead of 24 to 64",
                key.len()
            ));
        }
        Ok(Self(key))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// The default time between polls.
const POLL: Duration = Duration::from_secs(30);

impl GitlabArgs {
    /// Validates the options; `None` when none about GitLab is set.
    ///
    /// # Errors
    /// When a required option is missing, or one is invalid.
    pub fn settings(&self) -> anyhow::Result<Option<GitlabSettings>> {
        let (Some(url), Some(group), Some(token_file)) = (
            &self.gitlab_url,
            &self.gitlab_group,
            &self.gitlab_token_file,
        ) else {
            return self.check_unused().map(|()| None);
        };
        Ok(Some(GitlabSettings {
            url: base_url(url)?,
            group: group_path(group)?,
            token_file: token_file.clone(),
            proxy: self.gitlab_proxy.clone().map(Secret),
            ca: self.gitlab_ca.clone(),
            poll: self
                .gitlab_poll_seconds
                .map_or(POLL, |seconds| Duration::from_secs(seconds.into())),
            clone_by: self.gitlab_clone.unwrap_or_default(),
            webhook: self.webhook_secrets()?,
            writes: false,
        }))
    }

    /// Reads the secrets of the webhook.
    ///
    /// # Errors
    /// When a file cannot be read, or does not contain a secret.
    pub fn webhook_secrets(&self) -> anyhow::Result<WebhookSecrets> {
        let signing_token = self.gitlab_webhook_signing_token_file.as_deref();
        let token = self.gitlab_webhook_secret_file.as_deref();
        Ok(WebhookSecrets {
            signing_key: signing_token.map(signing_key).transpose()?,
            token: token
                .map(|path| Secret::read("--gitlab-webhook-secret-file", path))
                .transpose()?,
        })
    }

    /// Rejects options about GitLab if the required ones are not complete.
    fn check_unused(&self) -> anyhow::Result<()> {
        let needed = [
            ("--gitlab-url", self.gitlab_url.is_some()),
            ("--gitlab-group", self.gitlab_group.is_some()),
            ("--gitlab-token-file", self.gitlab_token_file.is_some()),
        ];
        let optional = [
            ("--gitlab-proxy", self.gitlab_proxy.is_some()),
            ("--gitlab-ca", self.gitlab_ca.is_some()),
            ("--gitlab-poll-seconds", self.gitlab_poll_seconds.is_some()),
            ("--gitlab-clone", self.gitlab_clone.is_some()),
            (
                "--gitlab-webhook-secret-file",
                self.gitlab_webhook_secret_file.is_some(),
            ),
            (
                "--gitlab-webhook-signing-token-file",
                self.gitlab_webhook_signing_token_file.is_some(),
            ),
        ];
        let given = needed.iter().chain(&optional).find(|(_, given)| *given);
        let Some((given, _)) = given else {
            return Ok(());
        };
        let missing: Vec<_> = needed
            .iter()
            .filter(|(_, given)| !given)
            .map(|(name, _)| *name)
            .collect();
        anyhow::bail!(Explanation::with_hint(
            format!("{given} also requires {}", missing.join(" and ")),
            "set all of --gitlab-url, --gitlab-group and --gitlab-token-file, or none of them",
        ));
    }
}

fn signing_key(path: &Path) -> anyhow::Result<SigningKey> {
    const SETTING: &str = "--gitlab-webhook-signing-token-file";
    SigningKey::decode(&Secret::read(SETTING, path)?).map_err(|reason| {
        let message = format!(
            "{SETTING}: `{}` does not contain a signing token: {reason}",
            path.display()
        );
        Explanation::with_hint(
            message,
            "copy the signing token of the webhook, which begins with `whsec_`",
        )
        .into()
    })
}

fn base_url(text: &str) -> anyhow::Result<Url> {
    const EXAMPLES: &str = "name the host, for example `gitlab.example.org`, or a URL like `https://gitlab.example.org`";
    let shown = hide_user_info(text);
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url: Url = full.trim_end_matches('/').parse().map_err(|error| {
        let message = format!("--gitlab-url: `{shown}` is not a URL: {error}");
        Explanation::with_hint(message, EXAMPLES)
    })?;
    anyhow::ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        Explanation::with_hint(
            format!("--gitlab-url: `{shown}` is not an HTTP or HTTPS URL"),
            EXAMPLES,
        )
    );
    anyhow::ensure!(
        url.query().is_none() && url.fragment().is_none(),
        Explanation::with_hint(
            "--gitlab-url must not contain `?` or `#`",
            "name the address of GitLab itself",
        )
    );
    anyhow::ensure!(
        url.username().is_empty() && url.password().is_none(),
        Explanation::with_hint(
            "--gitlab-url must not contain a user name or password",
            "put the token into the file of --gitlab-token-file",
        )
    );
    Ok(url)
}

fn group_path(text: &str) -> anyhow::Result<String> {
    let path = text.trim_matches('/');
    let valid = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
    };
    anyhow::ensure!(
        path.split('/').all(valid),
        Explanation::with_hint(
            format!("--gitlab-group: `{text}` is not the path of a group"),
            "name what follows the host in the URL of the group, for example `packaging/packages`",
        )
    );
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests;
