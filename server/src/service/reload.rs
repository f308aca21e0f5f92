//! Reads settings again that an administrator changes while the server runs: secrets, which expire, and the base
//! repositories.

use std::path::PathBuf;

use buildbtw_gitlab::{Gitlab, GitlabArgs};

use crate::config::WebhookConfig;
use crate::repos::base::BaseRepositories;

/// Where the settings are that can be read again.
#[derive(Clone)]
pub struct Reloadable {
    /// The file with the base repositories.
    pub base_repositories: Option<PathBuf>,
    /// The files with the secrets of webhooks.
    pub gitlab_args: GitlabArgs,
    /// The client with the token of GitLab.
    pub gitlab: Option<Gitlab>,
}

/// Reads the settings again, and replaces the base repositories and the secrets of the webhook by them.
///
/// # Errors
/// When a file cannot be used. All earlier settings stay in use then.
pub fn reload(
    base: &BaseRepositories,
    webhook: Option<&WebhookConfig>,
    settings: &Reloadable,
) -> anyhow::Result<()> {
    let file = settings.base_repositories.as_deref();
    let new = file.map(BaseRepositories::read).transpose()?;
    let webhook = match webhook {
        Some(webhook) => Some((webhook, settings.gitlab_args.webhook_secrets()?)),
        None => None,
    };
    // The last that can fail, since it takes effect at once.
    if let Some(gitlab) = &settings.gitlab {
        gitlab.read_token_again()?;
    }
    if let Some((webhook, secrets)) = webhook {
        webhook.secrets.replace(secrets);
    }
    if let Some(new) = new {
        base.replace(&new);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::testing::TestState;

    fn settings(base_repositories: &Path) -> Reloadable {
        Reloadable {
            base_repositories: Some(base_repositories.to_owned()),
            gitlab_args: GitlabArgs::default(),
            gitlab: None,
        }
    }

    #[tokio::test]
    async fn replaces_base_repositories_unless_they_are_invalid() {
        let test = TestState::new().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("base-repositories.toml");
        let with = |name: &str| {
            format!(
                "[[repository]]\nname = '{name}'\narchitectures = ['x86_64']\nservers = ['http://x']\n"
            )
        };
        let settings = settings(&file);
        let names = || {
            let repositories = test.base.of(&"x86_64".parse().unwrap());
            let names = repositories.iter().map(|found| found.name.to_string());
            names.collect::<Vec<_>>()
        };
        // What other parts of the server hold is replaced, too.
        let held = test.base.clone();
        fs_err::write(&file, with("core") + &with("extra")).unwrap();
        reload(&test.base, None, &settings).unwrap();
        assert_eq!(names(), ["core", "extra"]);
        for (text, part) in [
            ("[[repository]]", "line 1: missing field"),
            ("x", "expected"),
        ] {
            fs_err::write(&file, text).unwrap();
            let error = format!("{:#}", reload(&test.base, None, &settings).unwrap_err());
            assert!(error.contains("--base-repositories"), "{error}");
            assert!(error.contains(part), "{text}: {error}");
            assert_eq!(names(), ["core", "extra"]);
        }
        fs_err::write(&file, with("world")).unwrap();
        reload(&test.base, None, &settings).unwrap();
        assert_eq!(names(), ["world"]);
        assert!(held.conflicts_with(&"world".parse().unwrap()));
    }
}
