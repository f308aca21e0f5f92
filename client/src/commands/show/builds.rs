//! The builds of an iteration that are shown: what needs attention first, if not all fit.

use buildbtw_model::api::{BuildCounts, BuildSummary, IterationOverview};
use buildbtw_model::client::BuildQuery;
use buildbtw_model::{BuildStatus, Pkgbase, saturating};

use crate::cli::ShowArgs;
use crate::commands::rows::shortened;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::{Cell, Table, style, time};

/// The states in the order in which builds are shown if not all fit.
const ORDER: [BuildStatus; 8] = [
    BuildStatus::Failed,
    BuildStatus::Building,
    BuildStatus::Dispatched,
    BuildStatus::Ready,
    BuildStatus::Blocked,
    BuildStatus::Cancelled,
    BuildStatus::Built,
    BuildStatus::Reused,
];

/// How many of the needs of a waiting build are named.
const NAMED_NEEDS: usize = 3;

/// The builds that are shown.
pub(super) struct Listed {
    builds: Vec<BuildSummary>,
    /// How many builds would be shown without a limit.
    total: usize,
}

impl Listed {
    /// Keeps the builds whose rows fit into some lines, the first one in any case.
    pub(super) fn cut(&mut self, lines: usize) {
        let mut taken = 0;
        let fits = |build: &BuildSummary| {
            taken += note(build).lines().count().max(1);
            taken <= lines
        };
        let fitting = self
            .builds
            .iter()
            .map(fits)
            .take_while(|fits| *fits)
            .count();
        self.builds.truncate(fitting.max(1));
    }

    pub(super) fn missing(&self) -> usize {
        self.total.saturating_sub(self.builds.len())
    }

    pub(super) fn table(&self, iteration: &IterationOverview) -> Table {
        let several = iteration.architectures.len() > 1;
        let staged = self.builds.iter().any(|build| build.stage > 1);
        let mut header = vec!["PKGBASE", "VERSION"];
        header.extend(several.then_some("ARCH"));
        header.extend(staged.then_some("STAGE"));
        header.extend(["STATE", "DURATION", "NOTE"]);
        let mut table = Table::new(&header);
        for build in &self.builds {
            let mut row = vec![Cell::new(&build.pkgbase), Cell::new(&build.version)];
            row.extend(several.then(|| Cell::new(&build.architecture)));
            row.extend(staged.then(|| Cell::new(build.stage)));
            row.push(Cell::styled(style::build(build.status), build.status));
            let took = time::between(build.started_at, build.finished_at);
            row.push(Cell::new(took.unwrap_or_default()));
            row.push(Cell::lines(&note(build)));
            table.row(row);
        }
        table
    }
}

/// Returns up to `rows` builds. Requests no more of a large iteration than are shown.
pub(super) async fn list(
    context: &Context,
    args: &ShowArgs,
    iteration: &IterationOverview,
    rows: usize,
) -> Result<Listed> {
    let counts = counts(args, iteration)?;
    let fits = u64::try_from(rows).is_ok_and(|rows| counts.total() <= rows);
    if fits || rows == usize::MAX || !args.rows.states().is_empty() {
        let mut builds = all(context, args, iteration).await?;
        let total = builds.len();
        builds.truncate(rows);
        return Ok(Listed { builds, total });
    }
    let mut builds: Vec<BuildSummary> = Vec::new();
    for status in ORDER {
        let room = rows - builds.len();
        if room == 0 || count(&counts, status) == 0 {
            continue;
        }
        let most = Some(saturating(room));
        builds.extend(of_status(context, args, iteration, Some(status), most).await?);
    }
    let total = usize::try_from(counts.total()).unwrap_or(usize::MAX);
    Ok(Listed { builds, total })
}

/// Returns all builds that the options ask for, in the order in which they are built.
pub(super) async fn all(
    context: &Context,
    args: &ShowArgs,
    iteration: &IterationOverview,
) -> Result<Vec<BuildSummary>> {
    let most = args.rows.limit.rows_of_json();
    let states = args.rows.states();
    if states.is_empty() {
        return of_status(context, args, iteration, None, most).await;
    }
    let mut builds = Vec::new();
    for status in states {
        builds.extend(of_status(context, args, iteration, Some(status), None).await?);
    }
    builds.sort_by_key(|build| build.id);
    builds.truncate(most.map_or(usize::MAX, saturating));
    Ok(builds)
}

async fn of_status(
    context: &Context,
    args: &ShowArgs,
    iteration: &IterationOverview,
    status: Option<BuildStatus>,
    most: Option<u32>,
) -> Result<Vec<BuildSummary>> {
    let query = BuildQuery {
        status,
        architecture: args.rows.arch.clone(),
        ..BuildQuery::default()
    };
    let number = iteration.summary.number;
    let builds = context.client.builds(&args.namespace, number, &query, most);
    context.check(builds.await)
}

/// Counts the builds of the architecture that was asked for.
fn counts(args: &ShowArgs, iteration: &IterationOverview) -> Result<BuildCounts> {
    let Some(wanted) = &args.rows.arch else {
        return Ok(iteration.summary.counts);
    };
    let mut known = iteration.architectures.iter();
    let found = known.find(|architecture| architecture.architecture == *wanted);
    found
        .map(|architecture| architecture.counts)
        .ok_or_else(|| {
            let known: Vec<&str> = iteration
                .architectures
                .iter()
                .map(|architecture| architecture.architecture.as_str())
                .collect();
            Error::with_hint(
                format!("namespace `{}` is not built for {wanted}", args.namespace),
                format!("its architectures are {}", known.join(", ")),
            )
        })
}

/// Returns how many builds are in a state, or in one that is counted with it.
fn count(counts: &BuildCounts, status: BuildStatus) -> u64 {
    match status {
        BuildStatus::Blocked => counts.blocked,
        BuildStatus::Ready => counts.ready,
        BuildStatus::Dispatched | BuildStatus::Building => counts.building,
        BuildStatus::Built | BuildStatus::Reused => counts.done,
        BuildStatus::Failed => counts.failed,
        BuildStatus::Cancelled => counts.cancelled,
    }
}

/// Returns what the table shows of a build besides its state. An error of several lines keeps them.
fn note(build: &BuildSummary) -> String {
    let bootstrap = build.bootstrap.then(|| "bootstrap build".to_owned());
    let state = Some(note_of_state(build)).filter(|state| !state.is_empty());
    let notes = bootstrap.into_iter().chain(build.version_note.clone());
    notes.chain(state).collect::<Vec<_>>().join("; ")
}

fn note_of_state(build: &BuildSummary) -> String {
    if !build.blocked_by.is_empty() {
        return format!("blocked by {}", shortened(&build.blocked_by, NAMED_NEEDS));
    }
    if let Some(origin) = &build.reused_from {
        return format!("reused from {origin}");
    }
    match (build.explanation(), build.status) {
        (Some(explanation), _) if explanation.message.contains('\n') => explanation.to_string(),
        (Some(explanation), _) => explanation.in_one_line(),
        (None, BuildStatus::Blocked) if !build.waits_for.is_empty() => {
            format!("waits for {}", shortened(&build.waits_for, NAMED_NEEDS))
        }
        // For a build that waits, the useful note is why it is in the rebuild set.
        (None, BuildStatus::Blocked | BuildStatus::Ready) => {
            let chain: Vec<&str> = build.reason.iter().map(Pkgbase::as_str).collect();
            let chain = chain.join(" > ");
            match &build.via {
                Some(via) => format!("{chain} ({via})"),
                None => chain,
            }
        }
        (None, _) => String::new(),
    }
}
