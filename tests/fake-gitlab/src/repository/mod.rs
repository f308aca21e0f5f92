//! Git repositories of projects. Everything here blocks.

pub(crate) mod disk;
pub(crate) mod git;
pub(crate) mod memory;
pub(crate) mod objects;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use gix::ObjectId;
use jiff::Timestamp;

use memory::Imported;

/// The default branch of new repositories.
pub(crate) const DEFAULT_BRANCH: &str = "main";
/// The only file of an imported project.
pub(crate) const SRCINFO: &str = ".SRCINFO";

/// The location of a project's repository.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// Nothing was ever pushed.
    Nothing,
    /// One commit, not written yet.
    Memory(Arc<Imported>),
    /// A bare repository.
    Disk(PathBuf),
}

/// A commit.
#[derive(Clone, Debug)]
pub(crate) struct CommitInfo {
    pub(crate) id: ObjectId,
    pub(crate) parents: Vec<ObjectId>,
    pub(crate) message: String,
    pub(crate) author_name: String,
    pub(crate) author_email: String,
    pub(crate) authored_at: Timestamp,
    pub(crate) committer_name: String,
    pub(crate) committer_email: String,
    pub(crate) committed_at: Timestamp,
}

impl CommitInfo {
    pub(crate) fn short_id(&self) -> String {
        self.id.to_string().chars().take(8).collect()
    }

    pub(crate) fn title(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// The kind of a tree entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Tree,
    Blob,
    Submodule,
}

/// A tree entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: EntryKind,
    pub(crate) id: ObjectId,
    pub(crate) mode: String,
    /// The path from the root of the repository.
    pub(crate) path: String,
}

impl Entry {
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// A file with its content.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) id: ObjectId,
    pub(crate) mode: String,
    pub(crate) data: Vec<u8>,
}

impl File {
    /// Returns the content, unless it is binary by git's rule (a NUL near the beginning) or not UTF-8.
    pub(crate) fn text(&self) -> Option<&str> {
        let start = &self.data[..self.data.len().min(8_000)];
        if start.contains(&0) {
            return None;
        }
        str::from_utf8(&self.data).ok()
    }
}

impl Storage {
    /// Resolves a branch, tag, full ref name or commit id to a commit; without a name, the default branch.
    pub(crate) fn resolve(&self, default: &str, name: Option<&str>) -> Result<Option<ObjectId>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Memory(imported) => Ok(imported.is_named(name).then_some(imported.commit)),
            Self::Disk(path) => disk::resolve(path, default, name),
        }
    }

    pub(crate) fn commit(&self, id: ObjectId) -> Result<CommitInfo> {
        match self {
            Self::Nothing => anyhow::bail!("an empty repository has no commits"),
            Self::Memory(imported) => Ok(CommitInfo {
                id: imported.commit,
                parents: Vec::new(),
                message: memory::MESSAGE.to_owned(),
                author_name: objects::AUTHOR_NAME.to_owned(),
                author_email: objects::AUTHOR_EMAIL.to_owned(),
                authored_at: imported.at,
                committer_name: objects::AUTHOR_NAME.to_owned(),
                committer_email: objects::AUTHOR_EMAIL.to_owned(),
                committed_at: imported.at,
            }),
            Self::Disk(path) => disk::commit(path, id),
        }
    }

    /// Lists a folder; `None` if it does not exist.
    pub(crate) fn tree(
        &self,
        commit: ObjectId,
        path: &str,
        recursive: bool,
    ) -> Result<Option<Vec<Entry>>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Memory(imported) => Ok(path.is_empty().then(|| {
                vec![Entry {
                    kind: EntryKind::Blob,
                    id: imported.blob,
                    mode: "100644".to_owned(),
                    path: SRCINFO.to_owned(),
                }]
            })),
            Self::Disk(repository) => disk::tree(repository, commit, path, recursive),
        }
    }

    /// Reads a file; `None` if it does not exist.
    pub(crate) fn file(&self, commit: ObjectId, path: &str) -> Result<Option<File>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Memory(imported) => Ok((path == SRCINFO).then(|| File {
                id: imported.blob,
                mode: "100644".to_owned(),
                data: imported.text.to_vec(),
            })),
            Self::Disk(repository) => disk::file(repository, commit, path),
        }
    }

    /// Returns the newest commits, beginning with `start`, without `hidden` and its ancestors.
    pub(crate) fn log(
        &self,
        start: ObjectId,
        hidden: Option<ObjectId>,
        limit: usize,
    ) -> Result<Vec<CommitInfo>> {
        match self {
            Self::Disk(path) => disk::log(path, start, hidden, limit),
            _ => Ok(vec![self.commit(start)?]),
        }
    }

    /// Returns all branches and tags, peeled, without the refs of merge requests.
    pub(crate) fn refs(&self) -> Result<Vec<(String, ObjectId)>> {
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::Memory(imported) => Ok(vec![(
                format!("refs/heads/{}", imported.branch),
                imported.commit,
            )]),
            Self::Disk(path) => disk::refs(path),
        }
    }
}
