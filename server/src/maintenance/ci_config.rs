//! Gives every package project of the group the CI template.

use std::time::Duration;

use buildbtw_gitlab::{CiConfig, Gitlab, GitlabError};
use tokio::time::Instant;

/// The time between two changes: nobody waits for this, and GitLab has other things to do.
const PAUSE: Duration = Duration::from_millis(200);

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the template is: `path@group/project`, or with `:ref` behind it.
    pub template: String,
    /// Do it, instead of saying what would be done.
    pub apply: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many projects had it already.
    pub unchanged: usize,
    /// Projects that have it now, or would get it.
    pub changed: usize,
    /// Projects that cannot have it, and why.
    pub rejected: Vec<(String, GitlabError)>,
}

/// What becomes of a project, for whoever watches.
#[derive(Debug)]
pub enum Step<'a> {
    /// It would get the template in place of this.
    WouldChange(&'a CiConfig),
    /// It has the template now, in place of this.
    Changed(&'a CiConfig),
    /// It cannot have it.
    Rejected(&'a CiConfig, &'a GitlabError),
}

/// Looks at every project, and changes those that have another configuration. Begun again after it was
/// stopped, it finds the same projects that are left.
///
/// # Errors
/// When GitLab cannot be asked, or takes nothing at all any more.
pub async fn set_ci_config(
    gitlab: &Gitlab,
    options: &Options,
    mut report: impl FnMut(Step<'_>),
) -> Result<Summary, GitlabError> {
    let mut summary = Summary::default();
    // Collected first: a change moves a project to another place in GitLab's list.
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
            // Nothing of this project, so the next one would fail like it.
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
