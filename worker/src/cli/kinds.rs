//! The values of settings that name one of a few kinds.

use buildbtw_builder::ScratchDisk;
use clap::ValueEnum;

/// The kinds of builders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BuilderKind {
    /// Real builds in a sandbox; needs root
    Sandbox,
    /// Tiny packages after a fixed time
    Simulated,
}

/// The kinds of storage for the files of running builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScratchDiskKind {
    /// Image, or memory if this machine lacks loop devices or mkfs.ext4
    Auto,
    /// Sparse image files in the scratch folder
    Image,
    /// Memory (tmpfs), counted towards the memory limit
    Memory,
}

impl From<ScratchDiskKind> for ScratchDisk {
    fn from(kind: ScratchDiskKind) -> Self {
        match kind {
            ScratchDiskKind::Auto => Self::Auto,
            ScratchDiskKind::Image => Self::Image,
            ScratchDiskKind::Memory => Self::Memory,
        }
    }
}
