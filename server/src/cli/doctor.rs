//! Arguments of `buildbtw-server doctor`.

use clap::Args;

use super::run::RunArgs;

/// Options of `buildbtw-server doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Location of the CI template that projects must use
    ///
    /// As for `gitlab set-ci-config`. [default: the one that most projects use]
    #[arg(long, value_name = "PATH@PROJECT")]
    pub template: Option<String>,
    /// The settings of the server that is checked.
    #[command(flatten)]
    pub run: RunArgs,
}
