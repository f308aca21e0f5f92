//! The directory source: every git repository, bare or not, directly below a folder.

mod error;
mod folder;
mod git;
mod inspection;
mod notifications;
mod objects;
mod repositories;
mod scan;

pub(crate) use folder::Directory;
pub(crate) use inspection::{Inspection, inspect};
pub(crate) use notifications::FolderWatcher;
