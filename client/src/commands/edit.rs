//! `buildbtw edit`: changes what a namespace rebuilds.

use buildbtw_model::api::EditNamespace;

use crate::cli::EditArgs;
use crate::context::Context;
use crate::error::Result;

use super::new::{describe_counts, hint_to_watch, print_notes};

pub(super) async fn run(context: &Context, args: EditArgs) -> Result<u8> {
    let (client, name) = (&context.client, &args.namespace);
    let request = EditNamespace {
        add: args.add.into_iter().map(|origin| origin.0).collect(),
        remove: args.remove,
        scope: args.scope,
        include: args.include,
        exclude: args.exclude,
        no_include: args.no_include,
        no_exclude: args.no_exclude,
        max_builds: args.max_builds,
        priority: args.priority,
    };
    let before = context.check(client.namespace(name).await)?;
    let namespace = context.check(client.edit_namespace(name, &request).await)?;
    let output = &context.output;
    if output.is_json() {
        output.json(&namespace)?;
        return Ok(0);
    }
    let summary = &namespace.summary;
    if summary.priority != before.summary.priority {
        output.line(format_args!("{name} has the priority {}", summary.priority))?;
    }
    if summary.iteration.number == before.summary.iteration.number {
        output.line(format_args!(
            "{name}: what it rebuilds is unchanged; iteration {} continues",
            summary.iteration.number
        ))?;
        return Ok(0);
    }
    output.line(format_args!(
        "{name}: iteration {}, {}",
        summary.iteration.number,
        describe_counts(&summary.iteration.counts)
    ))?;
    // The edit is done even if this request fails.
    if let Ok(iteration) = client.iteration(name, None).await {
        print_notes(output, name, &iteration);
    }
    hint_to_watch(output, name);
    Ok(0)
}
