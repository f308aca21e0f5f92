//! What `status` reads from the server.

use buildbtw_model::api::{
    IterationOverview, NamespaceSummary, ProblemKind, SourcesOverview, TaskOutage, WorkerSummary,
};
use buildbtw_model::client::ClientError;
use buildbtw_model::{IterationStatus, NamespaceName};
use futures_util::future::join_all;
use serde::Serialize;

use super::needs::{Need, Stalled, needs};
use crate::commands::list::own_name;
use crate::context::Context;
use crate::error::Result;

/// How many namespaces are asked for details.
const ASKED: usize = 10;

/// The state of everything, as JSON.
#[derive(Serialize)]
pub(super) struct State {
    pub(super) running: Vec<NamespaceSummary>,
    pub(super) attention: Vec<NamespaceSummary>,
    /// The running namespaces that were created with tokens of this name.
    pub(super) mine: Vec<NamespaceSummary>,
    /// What namespaces of this name wait for.
    pub(super) needs_me: Vec<Need>,
    /// Why running namespaces make no progress.
    pub(super) stalled: Vec<Stalled>,
    pub(super) workers: Vec<WorkerSummary>,
    pub(super) sources: SourcesOverview,
    pub(super) outages: Vec<TaskOutage>,
    /// The name of the token.
    #[serde(skip)]
    pub(super) me: Option<String>,
}

impl State {
    /// Returns whether a namespace was created with a token of this name.
    pub(super) fn is_mine(&self, namespace: &NamespaceSummary) -> bool {
        is_of(self.me.as_ref(), namespace)
    }
}

fn is_of(me: Option<&String>, namespace: &NamespaceSummary) -> bool {
    me.is_some() && namespace.created_by.as_ref() == me
}

/// Reads the state with few requests, most of them at the same time.
pub(super) async fn read(context: &Context) -> Result<State> {
    let client = &context.client;
    let (namespaces, sources, workers, me, outages) = tokio::join!(
        client.namespaces(),
        client.sources_overview(),
        client.workers(),
        own_name(context, context.had_token),
        outages(context),
    );
    let (namespaces, sources) = (context.check(namespaces)?, context.check(sources)?);
    let (workers, me) = (context.check(workers)?, me?);
    let (own, others): (Vec<_>, Vec<_>) = namespaces
        .iter()
        .partition(|namespace| is_of(me.as_ref(), namespace));
    let is_running =
        |namespace: &&&NamespaceSummary| namespace.iteration.status == IterationStatus::Running;
    // The own ones are the first that are asked.
    let asked = own.iter().chain(&others).filter(is_running).take(ASKED);
    let asked = asked.map(|namespace| overview(context, &namespace.name));
    let unplanned = own.iter().take(ASKED);
    let unplanned = unplanned.map(|namespace| replan_error(context, &namespace.name));
    let (overviews, unplanned) = tokio::join!(join_all(asked), join_all(unplanned));
    let overviews: Vec<Option<Overview>> = overviews.into_iter().collect::<Result<_>>()?;
    let overviews: Vec<Overview> = overviews.into_iter().flatten().collect();
    let stalled: Vec<Stalled> = overviews.iter().flat_map(stalled).collect();
    let unplanned: Vec<Option<(NamespaceName, String)>> =
        unplanned.into_iter().collect::<Result<_>>()?;
    let unplanned: Vec<_> = unplanned.into_iter().flatten().collect();
    let mine = own.iter().filter(is_running);
    let mine = mine.map(|one| with_eta(one, &overviews)).collect();
    let in_state = |wanted: &[IterationStatus]| -> Vec<NamespaceSummary> {
        let found = namespaces.iter();
        let found = found.filter(|namespace| wanted.contains(&namespace.iteration.status));
        found.map(|one| with_eta(one, &overviews)).collect()
    };
    Ok(State {
        running: in_state(&[IterationStatus::Running]),
        attention: in_state(&[IterationStatus::Failed, IterationStatus::Cancelled]),
        mine,
        needs_me: needs(&own, &stalled, &unplanned),
        stalled,
        workers,
        sources,
        outages,
        me,
    })
}

/// Reads the outages. Only clients may, and an older server does not have them.
async fn outages(context: &Context) -> Vec<TaskOutage> {
    match context.had_token {
        true => context.client.outages().await.unwrap_or_default(),
        false => Vec::new(),
    }
}

/// A namespace, and what lists do not say of its iteration.
type Overview = (NamespaceName, IterationOverview);

async fn overview(context: &Context, name: &NamespaceName) -> Result<Option<Overview>> {
    let overview = context.client.iteration_overview(name, None).await;
    let overview = unless_deleted(context, overview)?;
    Ok(overview.map(|overview| (name.clone(), overview)))
}

/// Returns why a namespace makes no progress, for each of its architectures that makes none.
fn stalled((name, overview): &Overview) -> Vec<Stalled> {
    let stalled = overview.architectures.iter().filter_map(|summary| {
        Some(Stalled {
            namespace: name.clone(),
            architecture: summary.architecture.clone(),
            reason: summary.stalled.clone()?,
        })
    });
    stalled.collect()
}

/// Returns a listed namespace with its expected end, which lists do not contain.
fn with_eta(namespace: &NamespaceSummary, overviews: &[Overview]) -> NamespaceSummary {
    let mut namespace = namespace.clone();
    if let Some((_, overview)) = overviews.iter().find(|(name, _)| *name == namespace.name) {
        namespace.iteration = overview.summary.clone();
    }
    namespace
}

/// Returns why a namespace was not planned again when its sources changed.
async fn replan_error(
    context: &Context,
    name: &NamespaceName,
) -> Result<Option<(NamespaceName, String)>> {
    let namespace = unless_deleted(context, context.client.namespace(name).await)?;
    let error = namespace.and_then(|namespace| namespace.replan_error);
    Ok(error.map(|error| (name.clone(), error)))
}

/// Converts a response about a namespace, which may have been deleted since it was listed.
fn unless_deleted<T>(
    context: &Context,
    response: std::result::Result<T, ClientError>,
) -> Result<Option<T>> {
    match context.check(response) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.problem_kind() == Some(ProblemKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
