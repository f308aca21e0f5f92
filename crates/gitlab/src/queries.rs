//! The queries in `graphql/queries`, with their responses converted to own types.

use std::collections::HashMap;

use graphql_client::GraphQLQuery;
use jiff::Timestamp;

use buildbtw_model::{CommitTime, PipelineId, PipelineStatus, ProjectId};

use crate::ci_config::{CiConfig, CiConfigPage};
use crate::error::{GitlabError, GitlabErrorKind};
use crate::graphql::{query, query_list};
use crate::http::{Http, RetryBudget, Subject};
use crate::tree::{Entry, FOLDER, tree_hash};
use crate::types::{Blob, Contents, Project, ProjectPage, TreeAt};

/// GitLab's timestamps as text, so that one malformed value does not fail a page.
pub(crate) type Time = String;

macro_rules! queries {
    ($($name:ident: $file:tt),+ $(,)?) => {$(
        #[derive(GraphQLQuery)]
        #[graphql(
            schema_path = "../../graphql/schema.graphql",
            query_path = $file,
            response_derives = "Debug",
            variables_derives = "Debug"
        )]
        struct $name;
    )+};
}

pub(crate) use queries;

queries! {
    CiConfigPaths: "../../graphql/queries/ci_config_paths.graphql",
    GroupAccess: "../../graphql/queries/group_access.graphql",
    GroupProjects: "../../graphql/queries/group_projects.graphql",
    PipelineStatuses: "../../graphql/queries/pipeline_statuses.graphql",
}

/// The limits of the queries.
pub(crate) const SHOWN_FOLDERS: usize = 20;
/// See [`SHOWN_FOLDERS`].
pub(crate) const SHOWN_FILES: usize = 100;

/// Computes the hash of a tree from the listed entries; `None` when the list may be incomplete.
macro_rules! tree_of {
    ($tree:expr) => {{
        let tree = &$tree;
        let (folders, files, modules) = (
            tree.trees.nodes.as_deref().unwrap_or_default(),
            tree.blobs.nodes.as_deref().unwrap_or_default(),
            tree.submodules.nodes.as_deref().unwrap_or_default(),
        );
        let is_whole = folders.len() < SHOWN_FOLDERS
            && files.len() < SHOWN_FILES
            && modules.is_empty()
            && folders.iter().all(Option::is_some)
            && files.iter().all(Option::is_some);
        let folders = folders.iter().flatten().map(|entry| {
            Some(Entry {
                mode: FOLDER.to_owned(),
                name: entry.name.clone(),
                sha: entry.sha.clone(),
            })
        });
        let files = files.iter().flatten().map(|entry| {
            Some(Entry {
                mode: entry.mode.clone()?,
                name: entry.name.clone(),
                sha: entry.sha.clone(),
            })
        });
        let entries: Option<Vec<Entry>> = folders.chain(files).collect();
        entries.filter(|_| is_whole).and_then(tree_hash)
    }};
}

pub(crate) use tree_of;

/// Returns GitLab's version; fails when the token sees no such group.
pub(crate) async fn group_access(http: &Http) -> Result<Option<String>, GitlabError> {
    let group = &http.settings().group;
    let subject = Subject {
        request: "GroupAccess",
        about: group,
    };
    let variables = group_access::Variables {
        group: group.clone(),
    };
    let data = query::<GroupAccess>(http, subject, variables, RetryBudget::Interactive).await?;
    match data.group {
        Some(_) => Ok(data.metadata.map(|metadata| metadata.version)),
        None => Err(not_found(subject, "group")),
    }
}

/// A selection of the group's projects.
#[derive(Clone, Debug)]
pub enum Selection {
    /// Those after this cursor, or from the first project on.
    After(Option<String>),
    /// Those with these IDs, as far as they are in the group.
    Only(Vec<ProjectId>),
}

/// Returns a page of at most `size` projects, newest activity first.
pub(crate) async fn group_projects(
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
        query_list::<GroupProjects>(http, subject, variables, RetryBudget::Background, &list)
            .await?;
    let Some(group) = reply.data.group else {
        return Err(not_found(subject, "group"));
    };
    let mut page = ProjectPage {
        projects: Vec::new(),
        next: None,
        count: u64::try_from(group.projects.count).ok(),
        unidentified: 0,
        date: reply.date,
    };
    let Some(nodes) = group.projects.nodes else {
        return Err(GitlabError {
            kind: GitlabErrorKind::Unexpected("no list of projects".to_owned()),
            ..not_found(subject, "page")
        });
    };
    for (at, node) in nodes.into_iter().enumerate() {
        let problem = reply.broken.remove(&at);
        match node.and_then(|node| project(node, problem)) {
            Some(project) => page.projects.push(project),
            None => page.unidentified += 1,
        }
    }
    let info = group.projects.page_info;
    if info.has_next_page {
        // Without a cursor a resync would start over forever.
        let cursor = info.end_cursor.ok_or_else(|| GitlabError {
            kind: GitlabErrorKind::Unexpected("a next page without a cursor".to_owned()),
            ..not_found(subject, "page")
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
    let Some(branch) = repository.root_ref else {
        return Contents::Unknown("the response has no default branch".to_owned());
    };
    // Without an error in the response, the absence is real.
    let Some(tree) = repository.tree else {
        return Contents::NoDefaultBranch { branch };
    };
    let hash = tree_of!(tree);
    let Some(commit) = tree.last_commit else {
        return Contents::Unknown("the response has no head of the default branch".to_owned());
    };
    let blobs = repository.blobs.and_then(|blobs| blobs.nodes);
    let blob = blobs.into_iter().flatten().flatten().next();
    match commit.sha.parse() {
        Ok(sha) => Contents::Head {
            branch,
            tree: TreeAt {
                commit: sha,
                tree: hash,
                commit_time: commit_time(commit.committed_date),
                srcinfo: text(blob.map(|blob| blob.raw_text_blob)),
            },
        },
        Err(_) => Contents::Unknown("the response has an invalid commit hash".to_owned()),
    }
}

/// Returns the time of a commit, if it is present and readable.
pub(crate) fn commit_time(time: Option<Time>) -> Option<CommitTime> {
    let time: Timestamp = time?.parse().ok()?;
    Some(CommitTime(time.as_second()))
}

pub(crate) fn text(blob: Option<Option<String>>) -> Blob {
    match blob {
        None => Blob::Missing,
        Some(None) => Blob::Binary,
        Some(Some(text)) => Blob::Text(text),
    }
}

/// Returns the statuses of pipelines that were created through the API: of each project the newest `each`. The
/// result lacks projects that are no longer in the group.
pub(crate) async fn pipeline_statuses(
    http: &Http,
    projects: &[ProjectId],
    each: usize,
) -> Result<HashMap<(ProjectId, PipelineId), PipelineStatus>, GitlabError> {
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
        query_list::<PipelineStatuses>(http, subject, variables, RetryBudget::Background, &list)
            .await?;
    // The caller requests missing pipelines one by one, so a missing group must be an error.
    let group = reply
        .data
        .group
        .ok_or_else(|| not_found(subject, "group"))?;
    let nodes = group.projects.nodes;
    let mut statuses = HashMap::new();
    for project in nodes.into_iter().flatten().flatten() {
        let Some(id) = ProjectId::from_gid(&project.id) else {
            continue;
        };
        let pipelines = project.pipelines.and_then(|pipelines| pipelines.nodes);
        for pipeline in pipelines.into_iter().flatten().flatten() {
            if let Some(number) = PipelineId::from_gid(&pipeline.id) {
                statuses.insert((id, number), status(&pipeline.status));
            }
        }
    }
    Ok(statuses)
}

/// Returns a page of the CI configuration paths of the group's projects, without archived ones.
pub(crate) async fn ci_config_paths(
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
    let data = query::<CiConfigPaths>(http, subject, variables, RetryBudget::Background).await?;
    let Some(group) = data.group else {
        return Err(not_found(subject, "group"));
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

pub(crate) fn not_found(subject: Subject<'_>, what: &'static str) -> GitlabError {
    GitlabError {
        request: subject.request,
        about: subject.about.to_owned(),
        request_id: None,
        kind: GitlabErrorKind::NotFound(what),
    }
}
