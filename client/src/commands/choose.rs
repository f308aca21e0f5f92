//! The build of a package whose log is printed or which is repeated, and why a build has no log.

use buildbtw_model::api::{BuildSummary, ReusedFrom};
use buildbtw_model::{Architecture, BuildStatus, NamespaceName, Pkgbase};

use crate::context::Context;
use crate::error::{Error, Result};

/// What the command line says about the build.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) namespace: &'a NamespaceName,
    pub(super) arch: Option<&'a Architecture>,
    pub(super) stage: Option<u32>,
}

/// Returns the build that is meant.
pub(super) fn choose<'a>(
    wanted: &Wanted<'_>,
    pkgbase: &Pkgbase,
    builds: &'a [BuildSummary],
) -> Result<&'a BuildSummary> {
    let fits = |build: &&BuildSummary| {
        let architecture = wanted.arch;
        architecture.is_none_or(|architecture| build.architecture == *architecture)
            && wanted.stage.is_none_or(|stage| build.stage == stage)
    };
    let fitting: Vec<&BuildSummary> = builds.iter().filter(fits).collect();
    let mut architectures: Vec<&str> = fitting
        .iter()
        .map(|build| build.architecture.as_str())
        .collect();
    architectures.sort_unstable();
    architectures.dedup();
    if architectures.len() > 1 {
        return Err(Error::with_hint(
            format!("`{pkgbase}` is built for several architectures"),
            format!("choose one with --arch: {}", architectures.join(", ")),
        ));
    }
    // The last stage with an attempt, else the first stage.
    let attempted = fitting.iter().filter(|build| build.attempt.is_some());
    let chosen = attempted
        .max_by_key(|build| build.stage)
        .or_else(|| fitting.iter().min_by_key(|build| build.stage));
    chosen.copied().ok_or_else(|| {
        Error::with_hint(
            format!(
                "namespace `{}` has no build of `{pkgbase}` with this architecture and stage",
                wanted.namespace
            ),
            format!(
                "`buildbtw show {}` lists architectures and stages",
                wanted.namespace
            ),
        )
    })
}

/// Returns whether an attempt may still start.
pub(super) fn can_begin(status: BuildStatus) -> bool {
    match status {
        BuildStatus::Blocked
        | BuildStatus::Ready
        | BuildStatus::Dispatched
        | BuildStatus::Building => true,
        BuildStatus::Built | BuildStatus::Failed | BuildStatus::Reused | BuildStatus::Cancelled => {
            false
        }
    }
}

/// Returns why a build has no log, as a sentence about `it`.
pub(super) fn missing_log(it: &str, build: &BuildSummary) -> String {
    match build.status {
        BuildStatus::Reused => format!("{it} was reused from an earlier build"),
        BuildStatus::Blocked if !build.blocked_by.is_empty() => {
            let blockers: Vec<&str> = build.blocked_by.iter().map(Pkgbase::as_str).collect();
            format!("{it} is blocked by {}", blockers.join(", "))
        }
        BuildStatus::Blocked => format!("{it} waits for other builds"),
        BuildStatus::Ready => format!("{it} is ready but not dispatched"),
        status => format!("{it} is {status}"),
    }
}

/// Returns the error for a build without a log.
pub(super) fn missing_log_error(build: &BuildSummary) -> Error {
    let (pkgbase, why) = (&build.pkgbase, missing_log("it", build));
    match can_begin(build.status) {
        true => Error::with_hint(
            format!("`{pkgbase}` has no log yet: {why}"),
            "`--follow` waits for the log",
        ),
        false => Error::new(format!("`{pkgbase}` has no log: {why}")),
    }
}

/// Describes where the log of a reused build is from.
pub(super) fn origin_of_log(
    context: &Context,
    build: &BuildSummary,
    origin: &ReusedFrom,
) -> String {
    let text = format!("{} was reused; this is the log of {origin}", build.pkgbase);
    match origin.build {
        Some(id) => format!("{text}: {}/builds/{id}", context.client.server()),
        None => text,
    }
}
