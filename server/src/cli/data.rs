//! Arguments about the data folder, which several commands have.

use std::path::PathBuf;

use clap::Args;

/// Location of the server's files.
#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// Folder of the database, repositories and logs
    #[arg(
        long,
        env = "BUILDBTW_DATA_DIR",
        default_value = "data",
        value_name = "DIR"
    )]
    pub data_dir: PathBuf,
}
