//! `buildbtw new-iteration`: plans a namespace again.

use buildbtw_model::api::CreateIteration;

use crate::cli::NewIteration;
use crate::context::Context;
use crate::error::Result;

pub(super) async fn run(context: &Context, args: &NewIteration) -> Result<u8> {
    let request = CreateIteration {
        refresh_base: args.refresh_base,
    };
    let iteration = context.ask(
        context
            .client
            .create_iteration(&args.namespace, request)
            .await,
    )?;
    let output = context.output;
    if output.json {
        output.json(&iteration)?;
        return Ok(0);
    }
    let counts = iteration.summary.counts;
    output.line(format_args!(
        "{}: iteration {}, {} builds, {} of them to do",
        args.namespace,
        iteration.summary.number,
        counts.total(),
        counts.total()
            - iteration
                .builds
                .iter()
                .filter(|build| build.attempt.is_none() && build.status.has_packages())
                .count() as u64,
    ))?;
    output.note(format_args!(
        "To follow it: buildbtw watch {}",
        args.namespace
    ));
    Ok(0)
}
