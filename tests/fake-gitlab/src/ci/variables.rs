//! Predefined variables of pipelines and jobs.

use crate::repository::CommitInfo;
use crate::state::jobs::Job;
use crate::state::pipelines::{Pipeline, Source};
use crate::state::projects::Project;
use crate::state::tokens::User;
use crate::{FakeGitlab, VERSION};

/// What is known before the pipeline exists.
pub(super) struct Origin<'a> {
    pub(super) project: &'a Project,
    pub(super) commit: &'a CommitInfo,
    pub(super) git_ref: &'a str,
    pub(super) is_tag: bool,
    pub(super) is_protected: bool,
    pub(super) source: Source,
    pub(super) user: &'a User,
    /// The pipeline's number within the project, once it has one.
    pub(super) iid: Option<u64>,
}

pub(super) type Pairs = Vec<(String, String)>;

fn slug(text: &str) -> String {
    let slug: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(63)
        .collect();
    slug.trim_matches('-').to_owned()
}

fn flag(value: bool) -> String {
    value.to_string()
}

/// Returns the predefined variables of a pipeline.
pub(super) fn of_origin(gitlab: &FakeGitlab, origin: &Origin<'_>) -> Pairs {
    let url = gitlab.url();
    let Origin {
        project, commit, ..
    } = origin;
    let host = url.trim_start_matches("http://");
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let numbers: Vec<&str> = VERSION.split('.').collect();
    let number = |index: usize| numbers.get(index).copied().unwrap_or("0").to_owned();
    let title = commit.title();
    let description = commit.message[title.len()..].trim();
    let mut pairs = vec![
        ("CI", "true".to_owned()),
        ("GITLAB_CI", "true".to_owned()),
        ("CI_SERVER", "yes".to_owned()),
        ("CI_SERVER_NAME", "GitLab".to_owned()),
        ("CI_SERVER_URL", url.to_owned()),
        ("CI_SERVER_HOST", name.to_owned()),
        ("CI_SERVER_FQDN", host.to_owned()),
        ("CI_SERVER_PORT", port.to_owned()),
        ("CI_SERVER_PROTOCOL", "http".to_owned()),
        ("CI_SERVER_VERSION", VERSION.to_owned()),
        ("CI_SERVER_VERSION_MAJOR", number(0)),
        ("CI_SERVER_VERSION_MINOR", number(1)),
        ("CI_SERVER_VERSION_PATCH", number(2)),
        ("CI_SERVER_REVISION", "0000000".to_owned()),
        ("CI_API_V4_URL", format!("{url}/api/v4")),
        ("CI_API_GRAPHQL_URL", format!("{url}/api/graphql")),
        ("CI_PROJECT_ID", project.id.to_string()),
        ("CI_PROJECT_NAME", project.path().to_owned()),
        ("CI_PROJECT_TITLE", project.path().to_owned()),
        ("CI_PROJECT_PATH", project.full_path.clone()),
        ("CI_PROJECT_PATH_SLUG", slug(&project.full_path)),
        ("CI_PROJECT_NAMESPACE", project.namespace().to_owned()),
        (
            "CI_PROJECT_ROOT_NAMESPACE",
            project
                .full_path
                .split('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
        ),
        ("CI_PROJECT_URL", format!("{url}/{}", project.full_path)),
        ("CI_PROJECT_VISIBILITY", project.visibility().to_owned()),
        ("CI_DEFAULT_BRANCH", project.default_branch.clone()),
        (
            "CI_CONFIG_PATH",
            project.ci_config_path_or_default().to_owned(),
        ),
        ("CI_PIPELINE_SOURCE", origin.source.name().to_owned()),
        ("CI_COMMIT_SHA", commit.id.to_string()),
        ("CI_COMMIT_SHORT_SHA", commit.short_id()),
        ("CI_COMMIT_BEFORE_SHA", "0".repeat(40)),
        ("CI_COMMIT_REF_NAME", origin.git_ref.to_owned()),
        ("CI_COMMIT_REF_SLUG", slug(origin.git_ref)),
        ("CI_COMMIT_REF_PROTECTED", flag(origin.is_protected)),
        ("CI_COMMIT_MESSAGE", commit.message.clone()),
        ("CI_COMMIT_TITLE", title.to_owned()),
        ("CI_COMMIT_DESCRIPTION", description.to_owned()),
        ("CI_COMMIT_TIMESTAMP", commit.committed_at.to_string()),
        (
            "CI_COMMIT_AUTHOR",
            format!("{} <{}>", commit.author_name, commit.author_email),
        ),
        ("GITLAB_USER_ID", origin.user.id.to_string()),
        ("GITLAB_USER_LOGIN", origin.user.username.clone()),
        ("GITLAB_USER_NAME", origin.user.name.clone()),
        ("GITLAB_USER_EMAIL", email(origin.user)),
    ];
    let of_ref = if origin.is_tag {
        "CI_COMMIT_TAG"
    } else {
        "CI_COMMIT_BRANCH"
    };
    pairs.push((of_ref, origin.git_ref.to_owned()));
    if let Some(iid) = origin.iid {
        pairs.push(("CI_PIPELINE_IID", iid.to_string()));
    }
    owned(pairs)
}

fn owned(pairs: Vec<(&str, String)>) -> Pairs {
    let pairs = pairs.into_iter();
    pairs.map(|(key, value)| (key.to_owned(), value)).collect()
}

pub(crate) fn email(user: &User) -> String {
    format!("{}@example.invalid", user.username)
}

/// Returns the public predefined variables of a job, without those of its pipeline.
pub(super) fn of_job(
    gitlab: &FakeGitlab,
    project: &Project,
    pipeline: &Pipeline,
    job: &Job,
) -> Pairs {
    let base = format!("{}/{}/-", gitlab.url(), project.full_path);
    let mut pairs = vec![
        ("CI_PIPELINE_ID", pipeline.id.to_string()),
        (
            "CI_PIPELINE_URL",
            format!("{base}/pipelines/{}", pipeline.id),
        ),
        ("CI_PIPELINE_CREATED_AT", pipeline.created_at.to_string()),
        (
            "CI_PIPELINE_NAME",
            pipeline.name.clone().unwrap_or_default(),
        ),
        ("CI_JOB_ID", job.id.to_string()),
        ("CI_JOB_URL", format!("{base}/jobs/{}", job.id)),
        ("CI_JOB_NAME", job.name.clone()),
        ("CI_JOB_NAME_SLUG", slug(&job.name)),
        ("CI_JOB_STAGE", job.stage.clone()),
        ("CI_JOB_MANUAL", "false".to_owned()),
        ("CI_NODE_TOTAL", "1".to_owned()),
        ("CI_REGISTRY_USER", "gitlab-ci-token".to_owned()),
    ];
    if let Some(started) = job.started_at {
        pairs.push(("CI_JOB_STARTED_AT", started.to_string()));
    }
    if let Some(merge_request) = pipeline.merge_request {
        pairs.push(("CI_MERGE_REQUEST_IID", merge_request.iid.to_string()));
        pairs.push((
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID",
            merge_request.source_project.to_string(),
        ));
        pairs.push(("CI_MERGE_REQUEST_PROJECT_ID", project.id.to_string()));
    }
    owned(pairs)
}
