//! `buildbtw build`: builds one package on this machine, in the sandbox that workers use.

mod attempt;
mod folder;
mod perform;

use crate::cli::{BuildArgs, Global};
use crate::context::Context;
use crate::error::Result;

pub(super) async fn run(global: &Global, args: &BuildArgs) -> Result<u8> {
    match &args.pkgbase {
        Some(pkgbase) => attempt::run(&Context::new(global, None)?, args, pkgbase).await,
        None => folder::run(args).await,
    }
}
