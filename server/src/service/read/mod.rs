//! Read models: the answers of the API and the content of the pages, made from rows. One file per page.

pub mod build;
pub mod events;
pub mod find;
pub mod iteration;
pub mod logs;
pub mod namespaces;
pub mod sources;
mod summary;

/// How many entries a page of a list has.
const PAGE: usize = 100;
