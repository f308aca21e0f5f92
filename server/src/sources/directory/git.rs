//! Reads git repositories. Blocking: call it from a blocking thread.

use std::path::Path;

use buildbtw_model::{CommitHash, CommitTime, GitRef};

use crate::sources::kind::{
    MAX_SRCINFO, TreeAtCommit, binary_srcinfo, large_srcinfo, no_srcinfo, special_srcinfo,
};

use super::error::unreadable;
use super::objects::{self, peel};

pub(super) use super::error::GitError;

fn open(path: &Path) -> Result<gix::Repository, GitError> {
    // Isolated, so that the configuration of the user and the system has no effect.
    let options = gix::open::Options::isolated().config_overrides([objects::memory_limit()]);
    gix::open_opts(path, options).map_err(|error| GitError::NotARepository(error.to_string()))
}

/// The default branch with its head.
pub(super) struct DefaultBranch {
    pub(super) branch: String,
    pub(super) commit: CommitHash,
}

/// Returns the default branch of a repository, which `HEAD` names.
pub(super) fn default_branch(path: &Path) -> Result<DefaultBranch, GitError> {
    let repository = open(path)?;
    let head = repository.head().map_err(unreadable("HEAD"))?;
    let branch = head
        .referent_name()
        .map_or_else(|| "HEAD".to_owned(), |name| name.shorten().to_string());
    if head.is_unborn() {
        return Err(unborn(&repository, path, branch));
    }
    let what = format!("the head of the branch `{branch}`");
    let detached = head.id();
    let id = match head.try_into_referent() {
        Some(mut reference) => reference.follow_to_object().map_err(unreadable(&what))?,
        None => detached.ok_or(GitError::Empty)?,
    };
    let commit = peel(&repository, id.detach(), &what)?;
    Ok(DefaultBranch {
        commit: commit_hash(commit.id)?,
        branch,
    })
}

fn unborn(repository: &gix::Repository, path: &Path, branch: String) -> GitError {
    // An unreadable branch must not be reported as a repository without commits.
    let names = branches_of(repository).and_then(|names| names.into_iter().collect());
    let branches: Vec<String> = match names {
        Ok(branches) => branches,
        Err(error) => return error,
    };
    let usual = ["main", "master"];
    let other = branches
        .iter()
        .find(|name| usual.contains(&name.as_str()))
        .or(branches.first());
    match other.cloned() {
        None => GitError::Empty,
        Some(other) => GitError::Unborn {
            path: path.display().to_string(),
            branch,
            branches,
            other,
        },
    }
}

/// Returns the readable branches of a repository, by name.
pub(super) fn branches(path: &Path) -> Result<Vec<String>, GitError> {
    let names = branches_of(&open(path)?)?.into_iter();
    Ok(names.filter_map(Result::ok).collect())
}

/// Returns the branches of a repository, by name, with errors of single ones at the end.
fn branches_of(repository: &gix::Repository) -> Result<Vec<Result<String, GitError>>, GitError> {
    let references = repository
        .references()
        .map_err(unreadable("the branches"))?;
    let local = references
        .local_branches()
        .map_err(unreadable("the branches"))?;
    let mut names: Vec<Result<String, GitError>> = local
        .map(|reference| match reference {
            Ok(reference) => Ok(reference.name().shorten().to_string()),
            Err(error) => Err(unreadable("the branches")(error)),
        })
        .collect();
    names.sort_by_cached_key(|name| (name.is_err(), name.as_ref().ok().cloned()));
    Ok(names)
}

fn commit_hash(id: gix::ObjectId) -> Result<CommitHash, GitError> {
    id.to_string().parse().map_err(unreadable("a commit"))
}

/// Reads `.SRCINFO` at a commit.
pub(super) fn read_commit(path: &Path, commit: &CommitHash) -> Result<TreeAtCommit, GitError> {
    let repository = open(path)?;
    let id = gix::ObjectId::from_hex(commit.as_str().as_bytes());
    let id = id.map_err(unreadable(commit))?;
    read_tree(&repository, &peel(&repository, id, &commit_name(id))?)
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
        // Git does not accept such a name either.
        if gix::refs::FullName::try_from(name.as_str()).is_err() {
            continue;
        }
        let found = repository.try_find_reference(&name);
        if let Some(mut reference) = found.map_err(unreadable(&name))? {
            let what = format!("the commit of {name}");
            let id = reference.follow_to_object().map_err(unreadable(&what))?;
            let commit = peel(&repository, id.detach(), &what)?;
            return read_tree(&repository, &commit);
        }
    }
    match find_commit(&repository, git_ref.as_str())? {
        Some(id) => read_tree(&repository, &peel(&repository, id, &commit_name(id))?),
        None => Err(GitError::UnknownRef),
    }
}

/// Returns the commit with this hash or unique prefix.
fn find_commit(
    repository: &gix::Repository,
    text: &str,
) -> Result<Option<gix::ObjectId>, GitError> {
    let digits = repository.object_hash().len_in_hex();
    // Padded to the length of the repository's hashes, because a bare prefix counts as SHA-1.
    let padded = gix::ObjectId::from_hex(format!("{text:0<digits$}").as_bytes());
    let Some(id) = padded.ok().filter(|_| text.len() <= digits) else {
        return Ok(None);
    };
    let found = if text.len() == digits {
        repository.has_object(id).then_some(id)
    } else {
        let Ok(prefix) = gix::hash::Prefix::new(&id, text.len()) else {
            return Ok(None);
        };
        let found = repository.objects.lookup_prefix(prefix, None);
        match found.map_err(unreadable("the objects"))? {
            Some(Ok(id)) => Some(id),
            Some(Err(())) => {
                return Err(GitError::Ambiguous(text.to_owned()));
            }
            None => None,
        }
    };
    let Some(id) = found else { return Ok(None) };
    let header = repository.find_header(id);
    let header = header.map_err(unreadable(format!("the object {text}")))?;
    Ok((header.kind() == gix::object::Kind::Commit).then_some(id))
}

fn commit_name(id: gix::ObjectId) -> String {
    format!("commit {}", id.to_hex_with_len(10))
}

fn read_tree(
    repository: &gix::Repository,
    commit: &gix::Commit<'_>,
) -> Result<TreeAtCommit, GitError> {
    let of_commit = |what: &str| format!("{what} {}", commit.id.to_hex_with_len(10));
    let time = commit
        .time()
        .map_err(unreadable(of_commit("the time of commit")));
    let commit_time = Some(CommitTime(time?.seconds));
    let hash = commit_hash(commit.id)?;
    let what = of_commit("the tree of commit");
    let tree_id = commit.tree_id().map_err(unreadable(&what))?.detach();
    let tree = objects::read(repository, tree_id, &what)?
        .try_into_tree()
        .map_err(unreadable(&what))?;
    let tree_hash = tree_id.to_string().parse().ok();
    let entry = tree.lookup_entry_by_path(".SRCINFO");
    let entry = entry.map_err(unreadable(&what))?;
    let what = of_commit(".SRCINFO of commit");
    let srcinfo = match entry {
        None => Err(no_srcinfo()),
        Some(entry) if !entry.mode().is_blob() => Err(special_srcinfo()),
        Some(entry) => {
            let header = repository.find_header(entry.object_id());
            let header = header.map_err(unreadable(&what))?;
            if header.size() > MAX_SRCINFO as u64 {
                Err(large_srcinfo())
            } else {
                let blob = objects::read_blob(repository, entry.object_id(), &what)?;
                String::from_utf8(blob).map_err(|_| binary_srcinfo())
            }
        }
    };
    Ok(TreeAtCommit {
        commit: hash,
        tree: tree_hash,
        commit_time,
        srcinfo,
    })
}
