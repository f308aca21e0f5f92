//! Imported projects: one commit with one `.SRCINFO`, kept in memory until it is needed on disk.

use std::path::Path;

use anyhow::Result;
use gix::ObjectId;
use gix::objs::Kind;
use jiff::Timestamp;

use super::objects::{self, Object};
use super::{SRCINFO, disk};

/// One commit with one file. Its ids are those that git would compute.
#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) text: Box<[u8]>,
    pub(crate) blob: ObjectId,
    pub(crate) tree: ObjectId,
    pub(crate) commit: ObjectId,
    pub(crate) at: Timestamp,
    /// Static, because it is the same for all.
    pub(crate) branch: &'static str,
}

/// The message of an imported commit.
pub(crate) const MESSAGE: &str = "Import\n";

impl Imported {
    pub(crate) fn new(text: Vec<u8>, at: Timestamp) -> Result<Self> {
        let blob = objects::hash(Kind::Blob, &text)?;
        let tree = Object::tree_of_one(SRCINFO, blob)?.id;
        let commit = Object::commit(tree, &[], at, MESSAGE)?.id;
        Ok(Self {
            text: text.into_boxed_slice(),
            blob,
            tree,
            commit,
            at,
            branch: super::DEFAULT_BRANCH,
        })
    }

    /// Writes it as a repository.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        disk::init(path, self.branch)?;
        Object::blob(self.text.to_vec())?.write(path)?;
        Object::tree_of_one(SRCINFO, self.blob)?.write(path)?;
        Object::commit(self.tree, &[], self.at, MESSAGE)?.write(path)?;
        let head = path.join("refs/heads").join(self.branch);
        fs_err::write(head, format!("{}\n", self.commit))?;
        Ok(())
    }

    /// Returns whether a ref names its only commit.
    pub(crate) fn is_named(&self, name: Option<&str>) -> bool {
        let Some(name) = name else { return true };
        name == "HEAD"
            || name.strip_prefix("refs/heads/").unwrap_or(name) == self.branch
            || (name.len() >= 7 && self.commit.to_string().starts_with(name))
    }
}
