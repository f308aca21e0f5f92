//! Git objects as bytes, for computing their ids and writing them.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::ObjectId;
use gix::objs::{Kind, WriteTo as _};
use jiff::Timestamp;

use crate::broken;

/// The author of the stand-in's own commits.
pub(crate) const AUTHOR_NAME: &str = "Stand-in";
/// See [`AUTHOR_NAME`].
pub(crate) const AUTHOR_EMAIL: &str = "stand-in@example.invalid";

/// An object with its id.
pub(crate) struct Object {
    pub(crate) id: ObjectId,
    kind: Kind,
    data: Vec<u8>,
}

impl Object {
    fn new(kind: Kind, data: Vec<u8>) -> Result<Self> {
        let id = hash(kind, &data)?;
        Ok(Self { id, kind, data })
    }

    pub(crate) fn blob(data: Vec<u8>) -> Result<Self> {
        Self::new(Kind::Blob, data)
    }

    /// Builds a tree with one regular file.
    pub(crate) fn tree_of_one(name: &str, blob: ObjectId) -> Result<Self> {
        let tree = gix::objs::Tree {
            entries: vec![gix::objs::tree::Entry {
                mode: gix::objs::tree::EntryKind::Blob.into(),
                filename: name.into(),
                oid: blob,
            }],
        };
        let mut data = Vec::new();
        tree.write_to(&mut data)?;
        Self::new(Kind::Tree, data)
    }

    pub(crate) fn commit(
        tree: ObjectId,
        parents: &[ObjectId],
        at: Timestamp,
        message: &str,
    ) -> Result<Self> {
        let author = gix::actor::Signature {
            name: AUTHOR_NAME.into(),
            email: AUTHOR_EMAIL.into(),
            time: gix::date::Time::new(at.as_second(), 0),
        };
        let commit = gix::objs::Commit {
            tree,
            parents: parents.iter().copied().collect(),
            author: author.clone(),
            committer: author,
            encoding: None,
            message: message.into(),
            extra_headers: Vec::new(),
        };
        let mut data = Vec::new();
        commit.write_to(&mut data)?;
        Self::new(Kind::Commit, data)
    }

    /// Writes the object as a loose one to the repository at `path`.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let hex = self.id.to_string();
        let (folder, name) = hex.split_at(2);
        let folder = path.join("objects").join(folder);
        fs_err::create_dir_all(&folder)?;
        let file = folder.join(name);
        if file.exists() {
            return Ok(());
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        write!(encoder, "{} {}\0", self.kind, self.data.len())?;
        encoder.write_all(&self.data)?;
        fs_err::write(&file, encoder.finish().context("cannot compress")?)?;
        Ok(())
    }
}

/// Computes the id of an object.
pub(crate) fn hash(kind: Kind, data: &[u8]) -> Result<ObjectId> {
    gix::objs::compute_hash(gix::hash::Kind::Sha1, kind, data).map_err(broken)
}
