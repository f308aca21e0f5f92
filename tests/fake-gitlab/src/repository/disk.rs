//! Reads bare repositories.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use gix::ObjectId;
use jiff::Timestamp;

use super::{CommitInfo, Entry, EntryKind, File};
use crate::broken;

/// Creates an empty bare repository. `git init` would also copy hooks and descriptions, which takes longer than
/// everything else.
pub(crate) fn init(path: &Path, branch: &str) -> Result<()> {
    for folder in ["objects", "refs/heads", "refs/tags"] {
        fs_err::create_dir_all(path.join(folder))?;
    }
    fs_err::write(path.join("HEAD"), format!("ref: refs/heads/{branch}\n"))?;
    let config = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n";
    fs_err::write(path.join("config"), config)?;
    Ok(())
}

fn open(path: &Path) -> Result<gix::Repository> {
    // Isolated: independent of the user's and the machine's configuration.
    gix::open_opts(path, gix::open::Options::isolated())
        .map_err(broken)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// Returns the branch that `HEAD` names.
pub(crate) fn default_branch(path: &Path) -> Result<Option<String>> {
    let name = open(path)?.head_name().map_err(broken)?;
    Ok(name.map(|name| name.shorten().to_string()))
}

pub(crate) fn resolve(path: &Path, default: &str, name: Option<&str>) -> Result<Option<ObjectId>> {
    let repository = open(path)?;
    let name = match name {
        None | Some("HEAD") => &format!("refs/heads/{default}"),
        Some(name) => name,
    };
    if name.starts_with("refs/") {
        return Ok(peel(&repository, name));
    }
    let found = peel(&repository, &format!("refs/heads/{name}"))
        .or_else(|| peel(&repository, &format!("refs/tags/{name}")))
        .or_else(|| commit_of_prefix(&repository, name));
    Ok(found)
}

fn peel(repository: &gix::Repository, name: &str) -> Option<ObjectId> {
    let mut reference = repository.try_find_reference(name).ok()??;
    Some(reference.peel_to_commit().ok()?.id)
}

fn commit_of_prefix(repository: &gix::Repository, name: &str) -> Option<ObjectId> {
    if !(7..=40).contains(&name.len()) {
        return None;
    }
    let prefix = gix::hash::Prefix::from_hex(name).ok()?;
    let id = repository.objects.lookup_prefix(prefix, None).ok()??.ok()?;
    Some(repository.find_commit(id).ok()?.id)
}

pub(crate) fn commit(path: &Path, id: ObjectId) -> Result<CommitInfo> {
    read_commit(&open(path)?, id)
}

fn read_commit(repository: &gix::Repository, id: ObjectId) -> Result<CommitInfo> {
    let commit = repository.find_commit(id).map_err(broken)?;
    let author = commit.author().map_err(broken)?;
    let committer = commit.committer().map_err(broken)?;
    Ok(CommitInfo {
        id,
        parents: commit.parent_ids().map(gix::Id::detach).collect(),
        message: commit.message_raw().map_err(broken)?.to_string(),
        author_name: author.name.to_string(),
        author_email: author.email.to_string(),
        authored_at: timestamp(author.seconds())?,
        committer_name: committer.name.to_string(),
        committer_email: committer.email.to_string(),
        committed_at: timestamp(committer.seconds())?,
    })
}

fn timestamp(seconds: i64) -> Result<Timestamp> {
    Ok(Timestamp::from_second(seconds)?)
}

pub(crate) fn tree(
    path: &Path,
    commit: ObjectId,
    folder: &str,
    recursive: bool,
) -> Result<Option<Vec<Entry>>> {
    let repository = open(path)?;
    let root = repository
        .find_commit(commit)
        .map_err(broken)?
        .tree()
        .map_err(broken)?;
    let folder = folder.trim_matches('/');
    let tree = if folder.is_empty() {
        root.id
    } else {
        match root.lookup_entry_by_path(folder).map_err(broken)? {
            Some(entry) if entry.mode().is_tree() => entry.object_id(),
            _ => return Ok(None),
        }
    };
    let mut entries = Vec::new();
    read_tree(&repository, tree, folder, recursive, &mut entries)?;
    Ok(Some(entries))
}

fn read_tree(
    repository: &gix::Repository,
    id: ObjectId,
    folder: &str,
    recursive: bool,
    entries: &mut Vec<Entry>,
) -> Result<()> {
    let tree = repository.find_tree(id).map_err(broken)?;
    for entry in tree.iter() {
        let entry = entry.map_err(broken)?;
        let name = entry.filename();
        let path = if folder.is_empty() {
            name.to_string()
        } else {
            format!("{folder}/{name}")
        };
        let mode = entry.mode();
        let kind = if mode.is_tree() {
            EntryKind::Tree
        } else if mode.is_commit() {
            EntryKind::Submodule
        } else {
            EntryKind::Blob
        };
        let id = entry.object_id();
        let below = (recursive && kind == EntryKind::Tree).then(|| path.clone());
        entries.push(Entry {
            kind,
            id,
            mode: format!("{:06o}", mode.value()),
            path,
        });
        if let Some(path) = below {
            read_tree(repository, id, &path, true, entries)?;
        }
    }
    Ok(())
}

pub(crate) fn file(path: &Path, commit: ObjectId, name: &str) -> Result<Option<File>> {
    let repository = open(path)?;
    let tree = repository
        .find_commit(commit)
        .map_err(broken)?
        .tree()
        .map_err(broken)?;
    let Some(entry) = tree.lookup_entry_by_path(name).map_err(broken)? else {
        return Ok(None);
    };
    if !entry.mode().is_blob_or_symlink() {
        return Ok(None);
    }
    let mut blob = entry.object().map_err(broken)?.into_blob();
    Ok(Some(File {
        id: entry.object_id(),
        mode: format!("{:06o}", entry.mode().value()),
        data: blob.take_data(),
    }))
}

pub(crate) fn log(
    path: &Path,
    start: ObjectId,
    hidden: Option<ObjectId>,
    limit: usize,
) -> Result<Vec<CommitInfo>> {
    let repository = open(path)?;
    let walk = repository
        .rev_walk([start])
        .with_hidden(hidden)
        .all()
        .map_err(broken)?;
    walk.take(limit)
        .map(|info| read_commit(&repository, info.map_err(broken)?.id))
        .collect()
}

pub(crate) fn refs(path: &Path) -> Result<Vec<(String, ObjectId)>> {
    let repository = open(path)?;
    let mut found = Vec::new();
    for reference in repository
        .references()
        .map_err(broken)?
        .all()
        .map_err(broken)?
    {
        let reference = reference.map_err(broken)?;
        let name = reference.name().as_bstr().to_string();
        if !name.starts_with("refs/heads/") && !name.starts_with("refs/tags/") {
            continue;
        }
        if let Some(id) = reference.try_id() {
            found.push((name, id.detach()));
        }
    }
    Ok(found)
}

/// The files that a commit adds, modifies and removes compared with its first parent.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) added: Vec<String>,
    pub(crate) modified: Vec<String>,
    pub(crate) removed: Vec<String>,
}

pub(crate) fn changed(
    storage: &super::Storage,
    commit: ObjectId,
    parent: Option<ObjectId>,
) -> Result<Changed> {
    let files = |id: ObjectId| -> Result<BTreeMap<String, ObjectId>> {
        let entries = storage.tree(id, "", true)?.unwrap_or_default();
        Ok(entries
            .into_iter()
            .filter(|entry| entry.kind != EntryKind::Tree)
            .map(|entry| (entry.path, entry.id))
            .collect())
    };
    let after = files(commit)?;
    let before = parent.map(files).transpose()?.unwrap_or_default();
    let mut changed = Changed::default();
    for (path, id) in &after {
        match before.get(path) {
            None => changed.added.push(path.clone()),
            Some(old) if old != id => changed.modified.push(path.clone()),
            Some(_) => {}
        }
    }
    changed.removed = before
        .into_keys()
        .filter(|path| !after.contains_key(path))
        .collect();
    Ok(changed)
}
