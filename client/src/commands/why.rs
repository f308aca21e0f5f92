//! `buildbtw why`: prints the dependencies that lead from an origin to a package, and what its builds
//! wait for.

use buildbtw_model::api::BuildSummary;
use buildbtw_model::client::BuildQuery;
use buildbtw_model::{BuildStatus, Pkgbase, TraceId};

use super::rows::shortened;
use super::unknown::unknown_build;
use crate::cli::WhyArgs;
use crate::context::Context;
use crate::error::Result;
use crate::output::{clean, style};

/// How many failed builds are named that block a build.
const NAMED_BLOCKERS: usize = 5;

pub(super) async fn run(context: &Context, args: &WhyArgs) -> Result<u8> {
    let (client, name) = (&context.client, &args.namespace);
    let iteration = context.check(client.iteration_overview(name, None).await)?;
    let query = BuildQuery {
        package: Some(args.pkgbase.clone()),
        ..BuildQuery::default()
    };
    let builds = client.builds(name, iteration.summary.number, &query, None);
    let builds = context.check(builds.await)?;
    let Some(first) = builds.first() else {
        return Err(unknown_build(context, name, &iteration, &args.pkgbase).await);
    };
    let output = &context.output;
    if output.is_json() {
        output.json(&builds)?;
        return Ok(0);
    }
    output.line(explain(&first.reason, first.via.as_deref()))?;
    for build in &builds {
        let stage = match (build.bootstrap, build.stage) {
            (true, _) => " bootstrap build".to_owned(),
            (false, 1) => String::new(),
            (false, stage) => format!(" stage {stage}"),
        };
        let status = style::paint(style::build(build.status), build.status);
        output.line(format_args!(
            "  {}{stage}: {status}{}",
            build.architecture,
            waits(build)
        ))?;
        if let Some(attempt) = build.attempt {
            output.line(format_args!("    trace id: {}", TraceId::from(attempt)))?;
        }
    }
    Ok(0)
}

/// Returns the chain of dependencies from an origin, one per line.
fn explain(reason: &[Pkgbase], via: Option<&str>) -> String {
    match reason {
        [] => "it is an origin".to_owned(),
        [origin] => format!("{origin} is an origin"),
        [origin, rest @ ..] => {
            let mut text = format!("{origin} is an origin");
            let mut before = origin;
            for (left, next) in (0..rest.len()).rev().zip(rest) {
                match via.filter(|_| left == 0) {
                    Some(via) => text.push_str(&format!("\n{next} {} of {before}", clean(via))),
                    None => text.push_str(&format!("\n{next} depends on {before}")),
                }
                before = next;
            }
            text
        }
    }
}

/// Returns what a build waits for, or its message.
fn waits(build: &BuildSummary) -> String {
    if !build.blocked_by.is_empty() {
        return format!(
            ", blocked by {}",
            shortened(&build.blocked_by, NAMED_BLOCKERS)
        );
    }
    match (build.explanation(), build.status) {
        (Some(explanation), _) if explanation.message.contains('\n') => {
            let text = explanation.to_string();
            let lines = text.lines().map(|line| format!("\n    {}", clean(line)));
            lines.collect()
        }
        (Some(explanation), _) => format!(", {}", clean(&explanation.in_one_line())),
        (None, BuildStatus::Blocked) => ", waits for its dependencies".to_owned(),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_dependency_chain_step_by_step() {
        let chain: Vec<Pkgbase> = ["a", "b", "c"]
            .iter()
            .map(|name| name.parse().unwrap())
            .collect();
        assert_eq!(
            explain(&chain, None),
            "a is an origin\nb depends on a\nc depends on b"
        );
        assert_eq!(
            explain(&chain, Some("links libb.so.1")),
            "a is an origin\nb depends on a\nc links libb.so.1 of b"
        );
        assert_eq!(explain(&chain[..1], None), "a is an origin");
    }
}
