//! The background tasks, one file each, all run by [`runner`]. They decide when work is done; the work itself is in
//! [`crate::service`], [`crate::dispatch`] and [`crate::sources`].

mod checkpoints;
mod claims;
mod directory_watching;
mod disk_reserve;
mod file_lists;
mod forge_reports;
mod group_watching;
mod leases;
mod pipeline_creation;
mod pipeline_following;
mod publisher;
mod queue_objective;
mod reloading;
mod replanner;
mod retention;
mod runner;
mod storage;
mod trace_recording;
mod unused_srcinfos;
mod watchdog;

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::service::forge_report::Reporter;
use crate::service::reload::Reloadable;
use crate::service_manager;
use crate::sources::{Watched, WatchedKind};
use crate::state::AppState;
use crate::state::pipelines::Pipelines;

use checkpoints::Checkpoints;
use claims::Claims;
use directory_watching::DirectoryWatching;
use disk_reserve::DiskReserve;
use file_lists::FileLists;
use forge_reports::ForgeReports;
use group_watching::GroupWatching;
use leases::Leases;
use pipeline_creation::PipelineCreation;
use pipeline_following::PipelineFollowing;
use publisher::Publisher;
use queue_objective::QueueObjective;
use reloading::Reloading;
use replanner::Replanner;
use retention::Retention;
use runner::{Actor as _, Runner};
use storage::Storage;
use trace_recording::TraceRecording;
use unused_srcinfos::UnusedSrcinfos;
use watchdog::Watchdog;

/// Starts all background tasks of a server; each returns its name when it ends. The receiver fires when requests
/// can be served from the sources.
pub(crate) fn start(
    state: &AppState,
    watched: Watched,
    reporter: Option<Reporter>,
    settings: Reloadable,
) -> (JoinSet<&'static str>, oneshot::Receiver<()>) {
    let mut tasks = JoinSet::new();
    let observer = Arc::new(state.metrics.actors.clone());
    let (shutdown, clock) = (state.shutdown.clone(), state.clock.clone());
    let runner = Runner::new(shutdown, state.outages.clone(), observer, clock);
    let ready = watch(&runner, &mut tasks, state, watched);
    /// Starts actors that need nothing but the state.
    macro_rules! start {
        ($($actor:ident),+) => {$({
            let state = state.clone();
            runner.spawn(&mut tasks, move |_| $actor::new(state.clone()));
        })+};
    }
    start!(
        Claims,
        DiskReserve,
        Leases,
        Retention,
        UnusedSrcinfos,
        Replanner,
        QueueObjective,
        Storage
    );
    let shared = state.clone();
    runner.spawn(&mut tasks, move |outage| {
        Publisher::new(shared.clone(), outage)
    });
    let shared = state.clone();
    runner.spawn(&mut tasks, move |outage| {
        FileLists::new(shared.clone(), outage)
    });
    let database = state.database.clone();
    runner.spawn(&mut tasks, move |_| {
        Checkpoints::new(database.checkpointer())
    });
    if let Some(on_gitlab) = &state.pipelines {
        run_pipelines(&runner, &mut tasks, state, on_gitlab);
    }
    report(&runner, &mut tasks, state, reporter);
    let shared = state.clone();
    runner.spawn(&mut tasks, move |_| {
        Reloading::new(shared.clone(), settings.clone())
    });
    if let Some(pause) = service_manager::watchdog_interval() {
        let database = state.database.clone();
        runner.spawn(&mut tasks, move |_| Watchdog::new(database.clone(), pause));
    }
    (tasks, ready)
}

/// Starts the actors that report to GitLab and to a collector of traces, where that is configured.
fn report(
    runner: &Runner,
    tasks: &mut JoinSet<&'static str>,
    state: &AppState,
    reporter: Option<Reporter>,
) {
    if let (Some(reporter), Some(changed)) = (reporter, state.forge_reports.clone()) {
        let state = state.clone();
        runner.spawn(tasks, move |outage| {
            let (reporter, changed) = (reporter.clone(), changed.clone());
            ForgeReports::new(state.clone(), reporter, changed, outage)
        });
    }
    if let Some(recorder) = state.traces.clone() {
        let state = state.clone();
        runner.spawn(tasks, move |_| {
            TraceRecording::new(state.clone(), recorder.clone())
        });
    }
}

/// Starts the actors that build on GitLab.
fn run_pipelines(
    runner: &Runner,
    tasks: &mut JoinSet<&'static str>,
    state: &AppState,
    on_gitlab: &Pipelines,
) {
    let (creating, following) = (on_gitlab.clone(), on_gitlab.clone());
    let outage = on_gitlab.following.clone();
    // Failures of GitLab; the actor's own outage is that of the server.
    state
        .outages
        .add(PipelineCreation::TASK, on_gitlab.creating.clone());
    let shared = state.clone();
    runner.spawn(tasks, move |outage| {
        PipelineCreation::new(shared.clone(), creating.clone(), outage)
    });
    let shared = state.clone();
    runner.spawn_with(tasks, outage, move || {
        PipelineFollowing::new(shared.clone(), following.clone())
    });
}

/// Starts the actor that watches the sources.
fn watch(
    runner: &Runner,
    tasks: &mut JoinSet<&'static str>,
    state: &AppState,
    watched: Watched,
) -> oneshot::Receiver<()> {
    let (ready, is_ready) = oneshot::channel();
    let sources = state.sources.clone();
    let outage = sources.outage().clone();
    // Sent by the first instance only: after a panic the server stays ready.
    let mut ready = Some(ready);
    match watched.0 {
        WatchedKind::Directory(directory) => runner.spawn_with(tasks, outage, move || {
            DirectoryWatching::new(Arc::clone(&directory), sources.clone(), ready.take())
        }),
        WatchedKind::Group(group) => runner.spawn_with(tasks, outage, move || {
            GroupWatching::new(Arc::clone(&group), sources.clone(), ready.take())
        }),
    }
    is_ready
}
