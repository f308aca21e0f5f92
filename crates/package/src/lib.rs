//! Reads package files: `.PKGINFO` and the list of files, as repo-add(8) does. The builder reads
//! what a build made, the server what a worker uploads; both through this crate, so that they never
//! judge one file differently.
//!
//! Package files come from hostile builds. Sizes are checked before anything of that size is read or
//! allocated, and what pacman's library could read in another way than this crate is refused.

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
mod writer;

pub use error::PackageError;
pub use info::PackageInfo;
pub use package::Package;
pub use sonames::{InvalidSonames, Soname, Sonames};
pub use writer::PackageWriter;
