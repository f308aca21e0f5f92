//! The queries of the folder `graphql/queries`, and their answers in our own types.

use std::collections::HashMap;

use buildbtw_model::CommitHash;
use graphql_client::GraphQLQuery;
use jiff::Timestamp;

use super::ci_config::{CiConfig, CiConfigPage};
use super::error::{GitlabError, GitlabErrorKind};
use super::graphql::{query, query_list};
use super::http::{Http, Patience, Subject};
use super::pipelines::PipelineStatus;
use super::types::{
    Blob, Contents, MergeRequest, MergeRequestState, Project, ProjectId, ProjectPage, TreeAt,
};

/// GitLab's timestamps as text: one odd one must not spoil a page.
type Time = String;

macro_rules! queries {
    ($($name:ident: $file:tt),+ $(,)?) => {$(
        #[derive(GraphQLQuery)]
        #[graphql(
            schema_path = "../graphql/schema.graphql",
            query_path = $file,
            response_derives = "Debug",
            variables_derives = "Debug"
        )]
        struct $name;
    )+};
}

queries! {
    CiConfigPaths: "../graphql/queries/ci_config_paths.graphql",
    GroupAccess: "../graphql/queries/group_access.graphql",
    GroupProjects: "../graphql/queries/group_projects.graphql",
    MergeRequestSource: "../graphql/queries/merge_request_source.graphql",
    PipelineStatuses: "../graphql/queries/pipeline_statuses.graphql",
    ResolveRef: "../graphql/queries/resolve_ref.graphql",
    SrcinfoAtCommit: "../graphql/queries/srcinfo_at_commit.graphql",
}

/// Which version of GitLab answers; fails when there is no such group for this token.
pub(super) async fn group_access(http: &Http) -> Result<Option<String>, GitlabError> {
    let group = &http.settings().group;
    let subject = Subject {
        request: "GroupAccess",
        about: group,
    };
    let variables = group_access::Variables {
        group: group.clone(),
    };
    let data = query::<GroupAccess>(http, subject, variables, Patience::Short).await?;
    match data.group {
        Some(_) => Ok(data.metadata.map(|metadata| metadata.version)),
        None => Err(missing(subject, "group")),
    }
}

/// Which part of the group is asked for.
#[derive(Clone, Debug)]
pub enum Selection {
    /// From this cursor on, or from the first project.
    After(Option<String>),
    /// These, as far as they are in the group.
    Only(Vec<ProjectId>),
}

/// A page of at most `size` projects, newest activity first.
pub(super) async fn group_projects(
    http: &Http,
    selection: &Selection,
    size: u8,
) -> Result<ProjectPage, GitlabError> {
    let group = &http.settings().group;
    let subject = Subject {
        request: "GroupProjects",
        about: group,
    };
    let (ids, after) = match selection {
        Selection::After(cursor) => (None, cursor.clone()),
        Selection::Only(ids) => (Some(ids.iter().map(|id| id.gid()).collect()), None),
    };
    let variables = group_projects::Variables {
        group: group.clone(),
        ids,
        first: size.into(),
        after,
    };
    let list = ["group", "projects", "nodes"];
    let mut reply =
        query_list::<GroupProjects>(http, subject, variables, Patience::Long, &list).await?;
    let Some(group) = reply.data.group else {
        return Err(missing(subject, "group"));
    };
    let mut page = ProjectPage {
        projects: Vec::new(),
        next: None,
        count: u64::try_from(group.projects.count).ok(),
        nameless: 0,
        date: reply.date,
    };
    let Some(nodes) = group.projects.nodes else {
        return Err(GitlabError {
            kind: GitlabErrorKind::Unexpected("it holds no list of projects".to_owned()),
            ..missing(subject, "page")
        });
    };
    for (at, node) in nodes.into_iter().enumerate() {
        let problem = reply.broken.remove(&at);
        match node.and_then(|node| project(node, problem)) {
            Some(project) => page.projects.push(project),
            None => page.nameless += 1,
        }
    }
    let info = group.projects.page_info;
    if info.has_next_page {
        // Without a cursor the walk would begin anew, forever.
        let cursor = info.end_cursor.ok_or_else(|| GitlabError {
            kind: GitlabErrorKind::Unexpected("there is a next page, but no cursor".to_owned()),
            ..missing(subject, "page")
        })?;
        page.next = Some(cursor);
    }
    Ok(page)
}

type Node = group_projects::GroupProjectsGroupProjectsNodes;

fn project(node: Node, problem: Option<String>) -> Option<Project> {
    let id = ProjectId::from_gid(&node.id)?;
    let contents = match problem {
        Some(problem) => Contents::Unknown(problem),
        None => contents(node.repository),
    };
    Some(Project {
        id,
        full_path: node.full_path,
        archived: node.archived == Some(true),
        last_activity: node.last_activity_at.and_then(|time| time.parse().ok()),
        http_url: node.http_url_to_repo,
        ssh_url: node.ssh_url_to_repo,
        contents,
    })
}

fn contents(
    repository: Option<group_projects::GroupProjectsGroupProjectsNodesRepository>,
) -> Contents {
    let Some(repository) = repository else {
        return Contents::Hidden;
    };
    if repository.empty {
        return Contents::Empty;
    }
    let commit = repository.tree.and_then(|tree| tree.last_commit);
    let (Some(branch), Some(commit)) = (repository.root_ref, commit) else {
        return Contents::Unknown("it names no head of the default branch".to_owned());
    };
    let blobs = repository.blobs.and_then(|blobs| blobs.nodes);
    let blob = blobs.into_iter().flatten().flatten().next();
    match commit.sha.parse() {
        Ok(hash) => Contents::Head {
            branch,
            tree: TreeAt {
                commit: hash,
                commit_time: seconds(commit.committed_date),
                srcinfo: text(blob.map(|blob| blob.raw_text_blob)),
            },
        },
        Err(_) => Contents::Unknown("GitLab's commit has no usable hash".to_owned()),
    }
}

fn seconds(time: Option<Time>) -> i64 {
    let time: Option<Timestamp> = time.and_then(|time| time.parse().ok());
    time.map_or(0, Timestamp::as_second)
}

fn text(blob: Option<Option<String>>) -> Blob {
    match blob {
        None => Blob::Missing,
        Some(None) => Blob::Binary,
        Some(Some(text)) => Blob::Text(text),
    }
}

/// Names for the same commit, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct RefNames {
    /// As a branch, for example `refs/heads/main`.
    pub branch: String,
    /// As a tag.
    pub tag: String,
    /// As what else it may be.
    pub other: Option<String>,
}

/// The commit of the first of these names that there is.
pub(super) async fn resolve_ref(
    http: &Http,
    project: ProjectId,
    about: &str,
    names: RefNames,
) -> Result<Option<CommitHash>, GitlabError> {
    let subject = Subject {
        request: "ResolveRef",
        about,
    };
    let variables = resolve_ref::Variables {
        group: http.settings().group.clone(),
        ids: Some(vec![project.gid()]),
        branch: names.branch,
        tag: names.tag,
        otherwise: names.other.is_some(),
        other: names.other,
    };
    let data = query::<ResolveRef>(http, subject, variables, Patience::Short).await?;
    let nodes = data.group.and_then(|group| group.projects.nodes);
    let Some(project) = nodes.into_iter().flatten().flatten().next() else {
        return Err(missing(subject, "project"));
    };
    let Some(repository) = project.repository else {
        return Err(missing(subject, "repository"));
    };
    let found = [
        repository
            .branch
            .and_then(|tree| tree.last_commit)
            .map(|commit| commit.sha),
        repository
            .tag
            .and_then(|tree| tree.last_commit)
            .map(|commit| commit.sha),
        repository
            .other
            .and_then(|tree| tree.last_commit)
            .map(|commit| commit.sha),
    ];
    Ok(found.into_iter().flatten().find_map(|sha| sha.parse().ok()))
}

/// What a project's tree holds at a commit; `None` when it has no such commit.
pub(super) async fn srcinfo_at_commit(
    http: &Http,
    project: ProjectId,
    about: &str,
    commit: &CommitHash,
) -> Result<Option<TreeAt>, GitlabError> {
    let subject = Subject {
        request: "SrcinfoAtCommit",
        about,
    };
    let variables = srcinfo_at_commit::Variables {
        group: http.settings().group.clone(),
        ids: Some(vec![project.gid()]),
        commit: commit.to_string(),
    };
    let data = query::<SrcinfoAtCommit>(http, subject, variables, Patience::Short).await?;
    let nodes = data.group.and_then(|group| group.projects.nodes);
    let Some(project) = nodes.into_iter().flatten().flatten().next() else {
        return Err(missing(subject, "project"));
    };
    let Some(repository) = project.repository else {
        return Err(missing(subject, "repository"));
    };
    let Some(found) = repository.tree.and_then(|tree| tree.last_commit) else {
        return Ok(None);
    };
    let blobs = repository.blobs.and_then(|blobs| blobs.nodes);
    let blob = blobs.into_iter().flatten().flatten().next();
    Ok(Some(TreeAt {
        commit: commit.clone(),
        commit_time: seconds(found.committed_date),
        srcinfo: text(blob.map(|blob| blob.raw_text_blob)),
    }))
}

/// A merge request of a project that is named by its path.
pub(super) async fn merge_request(
    http: &Http,
    project_path: &str,
    iid: u64,
) -> Result<MergeRequest, GitlabError> {
    use merge_request_source::MergeRequestState as State;
    let subject = Subject {
        request: "MergeRequestSource",
        about: project_path,
    };
    let variables = merge_request_source::Variables {
        project: project_path.to_owned(),
        iid: iid.to_string(),
    };
    let data = query::<MergeRequestSource>(http, subject, variables, Patience::Short).await?;
    let Some(project) = data.project else {
        return Err(missing(subject, "project"));
    };
    let Some(found) = project.merge_request else {
        return Err(missing(subject, "merge request"));
    };
    let Some(id) = ProjectId::from_gid(&project.id) else {
        return Err(missing(subject, "project"));
    };
    let source = found
        .source_project
        .and_then(|source| ProjectId::from_gid(&source.id));
    Ok(MergeRequest {
        project: id,
        state: match found.state {
            State::opened => MergeRequestState::Open,
            State::merged => MergeRequestState::Over("merged"),
            State::closed => MergeRequestState::Over("closed"),
            State::locked => MergeRequestState::Over("locked"),
            State::all | State::Other(_) => MergeRequestState::Over("not open"),
        },
        source_branch: found.source_branch,
        same_project: source == Some(id),
    })
}

/// Where the pipelines of some projects stand that were created through the API: of each project the
/// newest `each`.
pub(super) async fn pipeline_statuses(
    http: &Http,
    projects: &[ProjectId],
    each: usize,
) -> Result<HashMap<(ProjectId, u64), PipelineStatus>, GitlabError> {
    let group = &http.settings().group;
    let subject = Subject {
        request: "PipelineStatuses",
        about: group,
    };
    let number = |count: usize| i64::try_from(count).ok();
    let variables = pipeline_statuses::Variables {
        group: group.clone(),
        ids: Some(projects.iter().map(|id| id.gid()).collect()),
        projects: number(projects.len()),
        each: number(each),
    };
    let list = ["group", "projects", "nodes"];
    let reply =
        query_list::<PipelineStatuses>(http, subject, variables, Patience::Long, &list).await?;
    // Pipelines that are not in the answer are asked about one by one, but not all of them.
    let group = reply.data.group.ok_or_else(|| missing(subject, "group"))?;
    let nodes = group.projects.nodes;
    let mut statuses = HashMap::new();
    for project in nodes.into_iter().flatten().flatten() {
        let Some(id) = ProjectId::from_gid(&project.id) else {
            continue;
        };
        let pipelines = project.pipelines.and_then(|pipelines| pipelines.nodes);
        for pipeline in pipelines.into_iter().flatten().flatten() {
            if let Some(number) = number_of(&pipeline.id) {
                statuses.insert((id, number), status(&pipeline.status));
            }
        }
    }
    Ok(statuses)
}

/// A page of where the group's projects have their CI configuration.
pub(super) async fn ci_config_paths(
    http: &Http,
    after: Option<String>,
) -> Result<CiConfigPage, GitlabError> {
    let group = &http.settings().group;
    let subject = Subject {
        request: "CiConfigPaths",
        about: group,
    };
    let variables = ci_config_paths::Variables {
        group: group.clone(),
        first: Some(100),
        after,
    };
    let data = query::<CiConfigPaths>(http, subject, variables, Patience::Long).await?;
    let Some(group) = data.group else {
        return Err(missing(subject, "group"));
    };
    let info = group.projects.page_info;
    let nodes = group.projects.nodes.into_iter().flatten().flatten();
    let projects = nodes.filter_map(|node| {
        Some(CiConfig {
            id: ProjectId::from_gid(&node.id)?,
            full_path: node.full_path,
            ci_config_path: node.ci_config_path_or_default,
        })
    });
    Ok(CiConfigPage {
        projects: projects.collect(),
        next: info.end_cursor.filter(|_| info.has_next_page),
    })
}

/// The number at the end of GitLab's name for a thing.
fn number_of(gid: &str) -> Option<u64> {
    gid.rsplit('/').next()?.parse().ok()
}

fn status(word: &pipeline_statuses::PipelineStatusEnum) -> PipelineStatus {
    use pipeline_statuses::PipelineStatusEnum as Word;
    match word {
        Word::CREATED => PipelineStatus::Created,
        Word::WAITING_FOR_RESOURCE => PipelineStatus::WaitingForResource,
        Word::PREPARING => PipelineStatus::Preparing,
        Word::WAITING_FOR_CALLBACK => PipelineStatus::WaitingForCallback,
        Word::PENDING => PipelineStatus::Pending,
        Word::RUNNING => PipelineStatus::Running,
        Word::FAILED => PipelineStatus::Failed,
        Word::SUCCESS => PipelineStatus::Success,
        Word::CANCELING => PipelineStatus::Canceling,
        Word::CANCELED => PipelineStatus::Canceled,
        Word::SKIPPED => PipelineStatus::Skipped,
        Word::MANUAL => PipelineStatus::Manual,
        Word::SCHEDULED => PipelineStatus::Scheduled,
        Word::Other(_) => PipelineStatus::Unknown,
    }
}

fn missing(subject: Subject<'_>, what: &'static str) -> GitlabError {
    GitlabError {
        request: subject.request,
        about: subject.about.to_owned(),
        request_id: None,
        kind: GitlabErrorKind::NotFound(what),
    }
}
