//! The home page: all namespaces.

use askama::Template;
use askama::filters::urlencode;
use buildbtw_model::api::{NamespaceSummary, SourcesOverview};
use buildbtw_model::{Explanation, NamespaceName};
use jiff::Timestamp;

use super::layout::{Layout, Section};
use super::links::Links;
use super::progress::Progress;
use super::status::Badge;
use super::time::TimeAgo;
use crate::service::read::home::HomeContent;
use crate::state::outages::FailingTask;

/// The home page.
#[derive(Template)]
#[template(path = "home.html")]
pub(crate) struct HomePage {
    layout: Layout,
    outages: Vec<Outage>,
    sources: SourcesOverview,
    rows: Vec<Row>,
    /// Whether this is the first page of the list.
    first: bool,
    next: Option<String>,
}

/// An outage of a background task.
struct Outage {
    title: &'static str,
    /// The cause, unless it is internal to the server: anonymous visitors can read this page.
    cause: Option<Explanation>,
    since: TimeAgo,
}

struct Row {
    name: NamespaceName,
    /// The first origins.
    changesets: Vec<String>,
    more_changesets: usize,
    iteration: u32,
    badge: Badge,
    progress: Progress,
    created: TimeAgo,
}

/// Maximum number of listed origins per namespace.
const CHANGESETS: usize = 3;

impl HomePage {
    pub(crate) fn new(
        content: HomeContent,
        first: bool,
        now: Timestamp,
        links: &Links,
    ) -> askama::Result<Self> {
        let HomeContent {
            namespaces,
            sources,
            failing,
        } = content;
        let next = match namespaces.next {
            Some(cursor) => Some(format!("{}?cursor={}", links.home(), urlencode(cursor)?)),
            None => None,
        };
        Ok(Self {
            layout: Layout::new(links, Section::Namespaces, "Namespaces"),
            outages: failing.into_iter().map(|task| outage(task, now)).collect(),
            sources,
            rows: namespaces
                .items
                .into_iter()
                .map(|item| row(item, now))
                .collect(),
            first,
            next,
        })
    }
}

fn outage(failing: FailingTask, now: Timestamp) -> Outage {
    let outage = failing.outage;
    Outage {
        title: failing.title,
        since: TimeAgo::new(outage.since, now),
        cause: (!outage.is_internal).then_some(outage.cause),
    }
}

fn row(item: NamespaceSummary, now: Timestamp) -> Row {
    let shown = item.changesets.iter().take(CHANGESETS);
    Row {
        changesets: shown.map(ToString::to_string).collect(),
        more_changesets: item.changesets.len().saturating_sub(CHANGESETS),
        iteration: item.iteration.number,
        badge: item.iteration.status.into(),
        progress: Progress::new(&item.iteration.counts),
        created: TimeAgo::new(item.created_at, now),
        name: item.name,
    }
}
