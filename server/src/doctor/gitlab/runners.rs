//! The runners: that one is online for every architecture that GitLab builds for.

use buildbtw_doctor::{Check, Report};
use buildbtw_gitlab::{GitlabError, GitlabErrorKind, Runner};
use buildbtw_model::Architecture;

use crate::config::pipelines::PipelineSettings;

use super::subject::Subject;

/// The tag of all jobs of the CI template, which have that of their architecture as well.
const TAG: &str = "buildbtw";

/// Adds a check for each architecture.
pub(super) async fn check(
    subject: &Subject<'_>,
    pipelines: &PipelineSettings,
    report: &mut Report,
) {
    for architecture in &pipelines.architectures {
        let name = format!("runners for {architecture}");
        let listed = async {
            let tags = [TAG, architecture.as_str()];
            let runners = subject.gitlab.online_runners(&tags).await;
            vec![judge(&name, architecture, runners)]
        };
        report.run(&name, listed).await;
    }
}

/// Judges the runners that are online for an architecture.
pub(super) fn judge(
    name: &str,
    architecture: &Architecture,
    runners: Result<Vec<Runner>, GitlabError>,
) -> Check {
    match runners {
        Ok(runners) if runners.is_empty() => Check::failure(
            name,
            format!("no runner with the tags {TAG} and {architecture} is online"),
            "start gitlab-runner on its host, or register one (notes/gitlab.md, section 6)",
        ),
        Ok(runners) => {
            let names = runners.iter().map(|runner| match &runner.description {
                Some(name) if !name.is_empty() => name.clone(),
                _ => format!("#{}", runner.id),
            });
            let names: Vec<_> = names.collect();
            Check::ok(name, format!("online: {}", names.join(", ")))
        }
        Err(error) if matches!(error.kind, GitlabErrorKind::Forbidden(_)) => Check::skipped(
            name,
            "the token is not allowed to list runners, which requires the role Owner in the group",
        ),
        Err(error) => Check::warning(name, error.to_string(), super::REACH),
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::*;

    #[test]
    fn names_architecture_without_a_runner() {
        let judge = |runners| judge("runners", &"x86_64".parse().unwrap(), runners);
        let none = judge(Ok(Vec::new()));
        assert_eq!(none.status, Status::Failure);
        assert!(none.message.contains("buildbtw and x86_64"), "{none:?}");
        let runner = |id, description: &str| Runner {
            id,
            description: Some(description.to_owned()),
        };
        let two = judge(Ok(vec![runner(7, ""), runner(8, "builder-1")]));
        assert_eq!(two.message, "online: #7, builder-1");
        let forbidden = judge(Err(GitlabError {
            request: "list runners",
            about: "g".into(),
            request_id: None,
            kind: GitlabErrorKind::Forbidden("no".into()),
        }));
        assert_eq!(forbidden.status, Status::Skipped);
    }
}
