//! The command line client of buildbtw: one file per command in `commands`, printing in `output`, and
//! the live view of a rebuild in `follow`.

pub mod cli;
mod commands;
mod config;
mod context;
mod error;
mod follow;
mod output;

pub use commands::run;
pub use error::{EXIT_ERROR, Error};
pub use output::report_error;
