//! Reads git repositories. Blocking: call it from a blocking thread.

use std::path::Path;

use buildbtw_model::{CommitHash, GitRef};

use crate::sources::kind::{MAX_SRCINFO, NO_SRCINFO, TreeAtCommit};

/// Why a repository could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    #[error("no git repository: {0}")]
    NotARepository(String),
    #[error("the default branch has no commits")]
    Empty,
    #[error("no such branch, tag or commit")]
    UnknownRef,
    #[error("cannot read the repository: {0}")]
    Broken(String),
}

fn broken(error: impl std::fmt::Display) -> GitError {
    GitError::Broken(error.to_string())
}

fn open(path: &Path) -> Result<gix::Repository, GitError> {
    // Isolated: neither the user's nor the machine's configuration has a say in it.
    gix::open_opts(path, gix::open::Options::isolated())
        .map_err(|error| GitError::NotARepository(error.to_string()))
}

/// The default branch and its head.
pub(super) struct DefaultBranch {
    pub(super) branch: String,
    pub(super) commit: CommitHash,
}

/// Finds the default branch of a repository: what its `HEAD` names.
pub(super) fn default_branch(path: &Path) -> Result<DefaultBranch, GitError> {
    let repository = open(path)?;
    let branch = repository
        .head_name()
        .map_err(broken)?
        .map_or_else(|| "HEAD".to_owned(), |name| name.shorten().to_string());
    let commit = repository.head_id().map_err(|_| GitError::Empty)?;
    Ok(DefaultBranch {
        branch,
        commit: commit_hash(&commit)?,
    })
}

fn commit_hash(id: &gix::Id<'_>) -> Result<CommitHash, GitError> {
    id.to_string().parse().map_err(broken)
}

/// Reads `.SRCINFO` at a commit.
pub(super) fn read_commit(path: &Path, commit: &CommitHash) -> Result<TreeAtCommit, GitError> {
    let repository = open(path)?;
    let id = gix::ObjectId::from_hex(commit.as_str().as_bytes()).map_err(broken)?;
    read_tree(&repository, id)
}

/// Looks up a branch, a tag or a commit, in this order, and reads `.SRCINFO` there.
pub(super) fn read_ref(path: &Path, git_ref: &GitRef) -> Result<TreeAtCommit, GitError> {
    let repository = open(path)?;
    let candidates = [
        format!("refs/heads/{git_ref}"),
        format!("refs/tags/{git_ref}"),
        format!("refs/remotes/origin/{git_ref}"),
    ];
    for name in candidates {
        if let Ok(Some(mut reference)) = repository.try_find_reference(&name) {
            let id = reference.peel_to_commit().map_err(broken)?.id;
            return read_tree(&repository, id);
        }
    }
    if let Ok(commit) = git_ref.as_str().parse::<CommitHash>()
        && let Ok(id) = gix::ObjectId::from_hex(commit.as_str().as_bytes())
        && repository.find_commit(id).is_ok()
    {
        return read_tree(&repository, id);
    }
    if let Some(id) = abbreviated(&repository, git_ref.as_str()) {
        return read_tree(&repository, id);
    }
    Err(GitError::UnknownRef)
}

/// The one commit whose hash begins like this.
fn abbreviated(repository: &gix::Repository, text: &str) -> Option<gix::ObjectId> {
    let prefix = gix::hash::Prefix::from_hex(text).ok()?;
    let found = repository.objects.lookup_prefix(prefix, None).ok()??.ok()?;
    repository.find_commit(found).ok()?;
    Some(found)
}

fn read_tree(repository: &gix::Repository, id: gix::ObjectId) -> Result<TreeAtCommit, GitError> {
    let commit = repository.find_commit(id).map_err(broken)?;
    let commit_time = commit.time().map_err(broken)?.seconds;
    let hash = commit_hash(&commit.id())?;
    let tree = commit.tree().map_err(broken)?;
    let srcinfo = match tree.lookup_entry_by_path(".SRCINFO").map_err(broken)? {
        None => Err(NO_SRCINFO.to_owned()),
        Some(entry) if !entry.mode().is_blob() => Err(".SRCINFO is not a regular file".to_owned()),
        Some(entry) => {
            let header = repository.find_header(entry.object_id()).map_err(broken)?;
            if header.size() > MAX_SRCINFO as u64 {
                Err(format!(".SRCINFO is larger than {} MiB", MAX_SRCINFO >> 20))
            } else {
                let mut blob = entry.object().map_err(broken)?.into_blob();
                String::from_utf8(blob.take_data()).map_err(|_| ".SRCINFO is not UTF-8".to_owned())
            }
        }
    };
    Ok(TreeAtCommit {
        commit: hash,
        commit_time,
        srcinfo,
    })
}
