//! Reads package files: `.PKGINFO` and the list of files, like repo-add(8). The builder and the server both use this
//! crate, so that the server accepts the packages that the builder accepted.
//!
//! Package files come from hostile builds. Sizes are checked before as many bytes are read or allocated, and files that
//! pacman's library could read differently are rejected.

mod archive;
mod compression;
mod elf;
mod error;
mod header;
mod info;
mod list;
mod lz4;
mod lzop;
mod package;
mod pax;
mod sonames;
mod tiny;
mod writer;

pub use error::PackageError;
pub use info::PackageInfo;
pub use package::Package;
pub use sonames::{InvalidSonames, Soname, Sonames};
pub use tiny::TinyPackage;
pub use writer::PackageWriter;
