//! `buildbtw new-iteration`: plans a namespace again.

use buildbtw_model::api::CreateIteration;

use crate::cli::NewIterationArgs;
use crate::context::Context;
use crate::error::Result;

use super::new::{describe_counts, hint_to_watch, print_notes};

pub(super) async fn run(context: &Context, args: &NewIterationArgs) -> Result<u8> {
    let request = CreateIteration {
        refresh_base: args.refresh_base,
        bootstrap: args.bootstrap.clone(),
        no_bootstrap: args.no_bootstrap.clone(),
        same_sonames: args.same_sonames,
    };
    let iteration = context.check(
        context
            .client
            .create_iteration(&args.namespace, request)
            .await,
    )?;
    let output = &context.output;
    if output.is_json() {
        output.json(&iteration)?;
        return Ok(0);
    }
    output.line(format_args!(
        "{}: iteration {}, {}",
        args.namespace,
        iteration.summary.number,
        describe_counts(&iteration.summary.counts),
    ))?;
    print_notes(output, &args.namespace, &iteration);
    hint_to_watch(output, &args.namespace);
    Ok(0)
}
