//! `buildbtw completions`: prints completions for shells.

use crate::cli::CompletionsArgs;
use crate::error::Result;
use crate::output::Output;
use crate::registration::completion_script;

pub(super) fn run(args: &CompletionsArgs) -> Result<u8> {
    Output::new(None).bytes(&completion_script(args.shell)?)?;
    Ok(0)
}
