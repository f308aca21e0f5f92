//! `buildbtw watch`: follows a rebuild that exists.

use crate::cli::WatchArgs;
use crate::context::Context;
use crate::error::Result;
use crate::follow::{self, History};

pub(super) async fn run(context: &Context, args: &WatchArgs) -> Result<u8> {
    follow::follow(context, &args.namespace, History::Failures, args.limit).await
}
