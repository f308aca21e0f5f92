//! Queries about single projects, for requests that a user waits for.

use buildbtw_model::{CommitHash, MergeRequestIid, ProjectId};
use graphql_client::GraphQLQuery;

use crate::error::GitlabError;
use crate::graphql::query;
use crate::http::{Http, RetryBudget, Subject};
use crate::queries::{
    SHOWN_FILES, SHOWN_FOLDERS, Time, commit_time, not_found, queries, text, tree_of,
};
use crate::tree::{Entry, FOLDER, tree_hash};
use crate::types::{MergeRequest, MergeRequestState, TreeAt};

queries! {
    BranchNames: "../../graphql/queries/branch_names.graphql",
    FindProjects: "../../graphql/queries/find_projects.graphql",
    MergeRequestSource: "../../graphql/queries/merge_request_source.graphql",
    ResolveRef: "../../graphql/queries/resolve_ref.graphql",
    SrcinfoAtCommit: "../../graphql/queries/srcinfo_at_commit.graphql",
}

/// Names of a ref, in the order in which they are looked up.
#[derive(Clone, Debug)]
pub struct RefNames {
    /// As a branch, for example `refs/heads/main`.
    pub branch: String,
    /// As a tag, for example `refs/tags/v1`.
    pub tag: String,
    /// As anything else, for example a commit hash.
    pub other: Option<String>,
}

/// Returns the commit of the first of these names that exists.
pub(crate) async fn resolve_ref(
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
    let data = query::<ResolveRef>(http, subject, variables, RetryBudget::Interactive).await?;
    let nodes = data.group.and_then(|group| group.projects.nodes);
    let Some(project) = nodes.into_iter().flatten().flatten().next() else {
        return Err(not_found(subject, "project"));
    };
    let Some(repository) = project.repository else {
        return Err(not_found(subject, "repository"));
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

/// Returns the `.SRCINFO` of a project at a commit; `None` when the commit does not exist.
pub(crate) async fn srcinfo_at_commit(
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
    let data = query::<SrcinfoAtCommit>(http, subject, variables, RetryBudget::Interactive).await?;
    let nodes = data.group.and_then(|group| group.projects.nodes);
    let Some(project) = nodes.into_iter().flatten().flatten().next() else {
        return Err(not_found(subject, "project"));
    };
    let Some(repository) = project.repository else {
        return Err(not_found(subject, "repository"));
    };
    let Some(tree) = repository.tree else {
        return Ok(None);
    };
    let hash = tree_of!(tree);
    let Some(found) = tree.last_commit else {
        return Ok(None);
    };
    let blobs = repository.blobs.and_then(|blobs| blobs.nodes);
    let blob = blobs.into_iter().flatten().flatten().next();
    Ok(Some(TreeAt {
        commit: commit.clone(),
        tree: hash,
        commit_time: commit_time(found.committed_date),
        srcinfo: text(blob.map(|blob| blob.raw_text_blob)),
    }))
}

/// The number of branches that a message may list.
const SHOWN_BRANCHES: i64 = 20;

/// Returns the first branches of a project.
pub(crate) async fn branch_names(
    http: &Http,
    project: ProjectId,
    about: &str,
) -> Result<Vec<String>, GitlabError> {
    let subject = Subject {
        request: "BranchNames",
        about,
    };
    let variables = branch_names::Variables {
        group: http.settings().group.clone(),
        ids: Some(vec![project.gid()]),
        count: SHOWN_BRANCHES,
    };
    let data = query::<BranchNames>(http, subject, variables, RetryBudget::Interactive).await?;
    let nodes = data.group.and_then(|group| group.projects.nodes);
    let Some(project) = nodes.into_iter().flatten().flatten().next() else {
        return Err(not_found(subject, "project"));
    };
    let names = project.repository.and_then(|found| found.branch_names);
    Ok(names.unwrap_or_default())
}

/// Returns the projects of the group whose path ends with this name.
pub(crate) async fn find_projects(http: &Http, name: &str) -> Result<Vec<ProjectId>, GitlabError> {
    let group = &http.settings().group;
    let subject = Subject {
        request: "FindProjects",
        about: name,
    };
    let variables = find_projects::Variables {
        group: group.clone(),
        paths: Some(vec![format!("{group}/{name}")]),
        search: Some(name.to_owned()),
    };
    let data = query::<FindProjects>(http, subject, variables, RetryBudget::Interactive).await?;
    let direct = data.projects.and_then(|projects| projects.nodes);
    let direct = direct.into_iter().flatten().flatten();
    let found = data.group.and_then(|group| group.projects.nodes);
    let found = found.into_iter().flatten().flatten();
    let all = direct
        .map(|project| (project.id, project.full_path))
        .chain(found.map(|project| (project.id, project.full_path)));
    let is_called = |path: &str| {
        let last = path.rsplit('/').next().unwrap_or(path);
        last.eq_ignore_ascii_case(name)
    };
    let mut ids: Vec<_> = all
        .filter(|(_, path)| is_called(path))
        .filter_map(|(id, _)| ProjectId::from_gid(&id))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Returns a merge request of the project at a path.
pub(crate) async fn merge_request(
    http: &Http,
    project_path: &str,
    iid: MergeRequestIid,
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
    let data =
        query::<MergeRequestSource>(http, subject, variables, RetryBudget::Interactive).await?;
    let Some(project) = data.project else {
        return Err(not_found(subject, "project"));
    };
    let Some(found) = project.merge_request else {
        return Err(not_found(subject, "merge request"));
    };
    let Some(id) = ProjectId::from_gid(&project.id) else {
        return Err(not_found(subject, "project"));
    };
    let source = found
        .source_project
        .and_then(|source| ProjectId::from_gid(&source.id));
    Ok(MergeRequest {
        project: id,
        state: match found.state {
            State::opened => MergeRequestState::Open,
            State::merged => MergeRequestState::NotOpen("merged"),
            State::closed => MergeRequestState::NotOpen("closed"),
            State::locked => MergeRequestState::NotOpen("locked"),
            State::all | State::Other(_) => MergeRequestState::NotOpen("not open"),
        },
        source_branch: found.source_branch,
        same_project: source == Some(id),
    })
}
