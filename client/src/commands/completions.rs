//! `buildbtw completions`: prints completions for shells.

use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsArgs};
use crate::error::Result;
use crate::output::Output;

pub(super) fn run(args: &CompletionsArgs) -> Result<u8> {
    let mut script = Vec::new();
    let mut command = Cli::command();
    clap_complete::generate(args.shell, &mut command, "buildbtw", &mut script);
    Output::new(false).bytes(&script)?;
    Ok(0)
}
