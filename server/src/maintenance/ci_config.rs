//! `gitlab set-ci-config`: points every package project of the group at the CI template.

use std::time::Duration;

use buildbtw_gitlab::{CiConfig, Gitlab, GitlabError};
use tokio::time::Instant;

/// The pause between two changes, to leave GitLab room for other requests.
const PAUSE: Duration = Duration::from_millis(200);

/// What to set, and whether to apply it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Location of the template: `path@group/project`, optionally with `:ref`.
    pub template: String,
    /// Apply the changes instead of reporting them.
    pub apply: bool,
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Summary {
    /// Number of projects that already had the template.
    pub unchanged: usize,
    /// Number of projects that were, or would be, changed.
    pub changed: usize,
    /// Projects for which GitLab rejected the change, with the error.
    pub rejected: Vec<(String, GitlabError)>,
}

/// A step of a run, for progress output.
#[derive(Debug)]
pub enum Step<'a> {
    /// The project would be changed.
    WouldChange(&'a CiConfig),
    /// The project was changed.
    Changed(&'a CiConfig),
    /// GitLab rejected the change.
    Rejected(&'a CiConfig, &'a GitlabError),
}

/// Sets the template of every project that has another configuration. A repeated run continues with the
/// projects that are left.
///
/// # Errors
/// When GitLab cannot be reached, or rejects the token.
pub async fn set_ci_config(
    gitlab: &Gitlab,
    options: &Options,
    mut report: impl FnMut(Step<'_>),
) -> Result<Summary, GitlabError> {
    let mut summary = Summary::default();
    // Collected first, because a change moves a project within GitLab's list.
    let mut different = Vec::new();
    let mut after = None;
    loop {
        let page = gitlab.ci_configs(after).await?;
        for project in page.projects {
            if project.ci_config_path == options.template {
                summary.unchanged += 1;
            } else {
                different.push(project);
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let mut next = Instant::now();
    for project in &different {
        if !options.apply {
            summary.changed += 1;
            report(Step::WouldChange(project));
            continue;
        }
        tokio::time::sleep_until(next).await;
        next = Instant::now() + PAUSE;
        let done = gitlab
            .set_ci_config(project.id, &project.full_path, &options.template)
            .await;
        match done {
            Ok(()) => {
                summary.changed += 1;
                report(Step::Changed(project));
            }
            // Not specific to this project: the next one would fail the same way.
            Err(error) if error.kind.is_transient() || error.kind.is_of_token() => {
                return Err(error);
            }
            Err(error) => {
                report(Step::Rejected(project, &error));
                summary.rejected.push((project.full_path.clone(), error));
            }
        }
    }
    Ok(summary)
}
