//! Checks of an installation, and their report: the command `doctor` of every program.
//!
//! A check is data ([`Check`]): a name, how it ended, one sentence, and how to repair what it found. The decisions are
//! pure functions; programs measure, call them, and add the result to a [`Report`]. A check that hangs ends at its
//! deadline, and no check keeps the next one from running.

#[cfg(feature = "sandbox")]
pub mod build_host;
mod check;
#[cfg(test)]
mod check_snapshots;
pub mod clock;
pub mod command;
pub mod disk;
pub mod files;
mod report;
pub mod server;
mod setting;
pub mod systemd;
pub mod token;
pub mod version;

pub use check::{Check, Status};
pub use report::{EXIT_FAILURE, Report};
pub use setting::ShownSetting;
