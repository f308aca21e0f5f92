//! Tools of end-to-end tests and benchmarks: the programs of this workspace as processes, and
//! source repositories for them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    missing_docs,
    reason = "panics fail the test with their message"
)]

mod cli;
mod contents;
pub mod forge;
mod machine;
mod notifications;
pub mod paced;
mod pacman;
mod process;
mod program;
pub mod runner;
mod server;
mod small_disk;
mod sources;
mod terminal;
mod waiting;
mod worker;
pub mod worker_pool;

pub use cli::{cli, cli_command};
pub use contents::file_in;
pub use forge::Forge;
pub use machine::{has_tool, is_root, public_folder};
pub use notifications::Notifications;
pub use pacman::{PreviousDistribution, pacman_installs, pacman_upgrades, pacman_upgrades_some};
pub use process::Process;
pub use program::{printed, program};
pub use runner::Runner;
pub use server::Server;
pub use sources::{Package, Sources, git};
pub use terminal::on_terminal;
pub use waiting::eventually;
pub use worker::Worker;
