//! The command line client of buildbtw: one file per command in `commands`, printing in `output`, the
//! live view of a rebuild in `follow`, and what `--json` prints in `contract.rs`.

mod chosen;
pub mod cli;
mod commands;
mod completion;
mod config;
mod context;
mod contract;
mod error;
mod follow;
mod output;
mod registration;

pub use commands::{list_fields_if_asked, run};
pub use error::{EXIT_ERROR, Error};
pub use output::report_error;
pub use registration::{complete_if_asked, completion_script};
