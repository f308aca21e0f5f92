//! `buildbtw build NAMESPACE PKGBASE`: repeats an attempt, with its commit, release and repositories.

use std::path::Path;

use buildbtw_builder::BuildRequest;
use buildbtw_model::api::{AttemptInputs, BuildSummary, ClaimedBuild};
use buildbtw_model::client::BuildQuery;
use buildbtw_model::{Architecture, AttemptId, BuildId, NamespaceName, Packager, Pkgbase};

use super::super::choose::{Wanted, choose, missing_log};
use super::super::sandbox::machine_architecture;
use super::super::unknown::unknown_build;
use super::perform::{conclude, perform};
use crate::cli::BuildArgs;
use crate::context::Context;
use crate::error::{Error, Result};

pub(super) async fn run(context: &Context, args: &BuildArgs, pkgbase: &Pkgbase) -> Result<u8> {
    let namespace = namespace(&args.target)?;
    let inputs = inputs(context, args, &namespace, pkgbase).await?;
    repeat(context, args, &inputs).await
}

/// Repeats the newest attempt at the build of a number.
pub(super) async fn run_build(context: &Context, args: &BuildArgs, id: BuildId) -> Result<u8> {
    let build = context.check(context.client.build(id).await)?;
    let attempt = build.summary.attempt;
    let attempt = attempt.ok_or_else(|| no_attempt(&build.namespace, &build.summary))?;
    let inputs = context.check(context.client.attempt_inputs(attempt).await)?;
    repeat(context, args, &inputs).await
}

async fn repeat(context: &Context, args: &BuildArgs, inputs: &AttemptInputs) -> Result<u8> {
    if args.arch.is_none() {
        check_machine(&inputs.build, &machine_architecture()?)?;
    }
    context.output.note(repeats(inputs));
    let request = request(args, &inputs.build);
    let outcome = perform(args, Some(context.client.url()), &request).await?;
    conclude(outcome, |_| true)
}

fn namespace(target: &Path) -> Result<NamespaceName> {
    let text = target.to_string_lossy();
    text.parse().map_err(|error| {
        Error::with_hint(
            format!("{error}"),
            "`buildbtw build NAMESPACE PKGBASE` repeats an attempt, `buildbtw build DIR` builds a folder",
        )
    })
}

/// Requests what the attempt that is meant was built from.
async fn inputs(
    context: &Context,
    args: &BuildArgs,
    namespace: &NamespaceName,
    pkgbase: &Pkgbase,
) -> Result<AttemptInputs> {
    let attempt = match args.attempt {
        Some(attempt) => attempt,
        None => newest(context, args, namespace, pkgbase).await?,
    };
    let inputs = context.check(context.client.attempt_inputs(attempt).await)?;
    let build = &inputs.build;
    // The newest attempt at a reused build may be one of another namespace.
    let is_meant = build.namespace == *namespace && build.pkgbase == *pkgbase;
    match args.attempt {
        Some(attempt) if !is_meant => Err(of_another_build(attempt, build)),
        _ => Ok(inputs),
    }
}

async fn newest(
    context: &Context,
    args: &BuildArgs,
    namespace: &NamespaceName,
    pkgbase: &Pkgbase,
) -> Result<AttemptId> {
    let client = &context.client;
    let iteration = context.check(client.iteration_overview(namespace, None).await)?;
    let query = BuildQuery {
        package: Some(pkgbase.clone()),
        ..BuildQuery::default()
    };
    let builds = client.builds(namespace, iteration.summary.number, &query, None);
    let builds = context.check(builds.await)?;
    if builds.is_empty() {
        return Err(unknown_build(context, namespace, &iteration, pkgbase).await);
    }
    let wanted = Wanted {
        namespace,
        arch: args.arch.as_ref(),
        stage: args.stage,
    };
    let build = choose(&wanted, pkgbase, &builds)?;
    build.attempt.ok_or_else(|| no_attempt(namespace, build))
}

fn no_attempt(namespace: &NamespaceName, build: &BuildSummary) -> Error {
    let why = missing_log("it", build);
    Error::with_hint(
        format!("`{}` has no attempt to repeat: {why}", build.pkgbase),
        format!("`buildbtw watch {namespace}` follows the rebuild"),
    )
}

fn of_another_build(attempt: AttemptId, build: &ClaimedBuild) -> Error {
    let (namespace, pkgbase) = (&build.namespace, &build.pkgbase);
    Error::with_hint(
        format!("attempt {attempt} is one at `{pkgbase}` of namespace `{namespace}`"),
        format!("`buildbtw build {namespace} {pkgbase} --attempt {attempt}` repeats it"),
    )
}

/// Refuses an attempt for another kind of machine. Variants like `x86_64_v3` begin with the name of the machine.
fn check_machine(build: &ClaimedBuild, machine: &Architecture) -> Result<()> {
    let built = &build.architecture;
    if built.as_str().starts_with(machine.as_str()) {
        return Ok(());
    }
    Err(Error::with_hint(
        format!(
            "the attempt at `{}` was for {built}, and this machine is one for {machine}",
            build.pkgbase
        ),
        format!(
            "repeat it on a machine for {built}, or add `--arch {built}` if its programs run here"
        ),
    ))
}

/// Returns what is repeated, in one line.
fn repeats(inputs: &AttemptInputs) -> String {
    let build = &inputs.build;
    let release = match &build.pkgrel {
        Some(pkgrel) => format!(", release {pkgrel}"),
        None => String::new(),
    };
    let repositories = match build.repositories.len() {
        1 => "1 repository".to_owned(),
        count => format!("{count} repositories"),
    };
    format!(
        "repeats attempt {} of {} {} for {} ({}): commit {}{release}, {repositories}",
        inputs.number,
        build.pkgbase,
        build.version,
        build.architecture,
        inputs.status,
        build.source.commit.short(),
    )
}

fn request(args: &BuildArgs, build: &ClaimedBuild) -> BuildRequest {
    let mut request = BuildRequest::of_claimed(build);
    // The id names folders and cgroups, and the attempt itself may run on this machine.
    request.attempt = AttemptId::new();
    if args.packager != Packager::default() {
        request.packager.clone_from(&args.packager);
    }
    if let Some(name) = &args.buildtool {
        request.build_tool.name.clone_from(name);
    }
    if let Some(version) = &args.buildtoolver {
        request.build_tool.version.clone_from(version);
    }
    if args.source_date_epoch.is_some() {
        request.source_date_epoch = args.source_date_epoch;
    }
    request
}
