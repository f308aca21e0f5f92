//! `buildbtw build` and `buildbtw shell`: build one package on this machine, in the sandbox that workers use.

mod attempt;
mod folder;
mod perform;

use buildbtw_model::BuildId;

use super::relay;
use crate::cli::{BuildArgs, Global};
use crate::context::Context;
use crate::error::{Error, Result};

pub(super) async fn run(global: &Global, args: &BuildArgs) -> Result<u8> {
    check_terminal(args)?;
    match &args.pkgbase {
        Some(pkgbase) => attempt::run(&Context::new(global, None)?, args, pkgbase).await,
        None => folder::run(args).await,
    }
}

/// Builds like [`run`], with a shell; a number alone is that of a build.
pub(super) async fn shell(global: &Global, mut args: BuildArgs) -> Result<u8> {
    args.shell = true;
    let number = args
        .target
        .to_str()
        .and_then(|text| text.parse::<BuildId>().ok());
    match number.filter(|_| args.pkgbase.is_none()) {
        Some(number) => {
            check_terminal(&args)?;
            attempt::run_build(&Context::new(global, None)?, &args, number).await
        }
        None => run(global, &args).await,
    }
}

/// Refuses a shell without a terminal, before anything is built.
fn check_terminal(args: &BuildArgs) -> Result<()> {
    if !args.shell || relay::is_possible() {
        return Ok(());
    }
    Err(Error::with_hint(
        "a shell needs a terminal as standard input and output",
        "`buildbtw build` without --shell needs none",
    ))
}
