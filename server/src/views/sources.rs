//! The page of the source repositories.

use askama::Template;
use askama::filters::urlencode;
use buildbtw_model::Explanation;
use buildbtw_model::api::{SourceRepositorySummary, SourcesOverview};
use jiff::Timestamp;

use super::layout::{Layout, Section};
use super::links::Links;
use super::time::TimeAgo;
use crate::service::read::sources::SourcesContent;

/// The page of the source repositories.
#[derive(Template)]
#[template(path = "sources.html")]
pub(crate) struct SourcesPage {
    layout: Layout,
    overview: SourcesOverview,
    last_scan: Option<TimeAgo>,
    last_poll: Option<TimeAgo>,
    outage: Option<Outage>,
    broken_only: bool,
    first: bool,
    rows: Vec<Row>,
    next: Option<String>,
}

struct Outage {
    cause: Explanation,
    since: TimeAgo,
}

struct Row {
    source: SourceRepositorySummary,
    problem: Option<Explanation>,
    changed: TimeAgo,
}

impl SourcesPage {
    pub(crate) fn new(
        SourcesContent { sources, overview }: SourcesContent,
        broken_only: bool,
        first: bool,
        now: Timestamp,
        links: &Links,
    ) -> askama::Result<Self> {
        let next = match sources.next {
            Some(cursor) => {
                let filter = if broken_only { "broken=true&" } else { "" };
                Some(format!(
                    "{}?{filter}cursor={}",
                    links.sources(),
                    urlencode(cursor)?
                ))
            }
            None => None,
        };
        let title = if broken_only {
            "Broken sources"
        } else {
            "Sources"
        };
        let rows = sources.items.into_iter().map(|source| Row {
            changed: TimeAgo::new(source.changed_at, now),
            problem: source.explanation(),
            source,
        });
        Ok(Self {
            layout: Layout::new(links, Section::Sources, title),
            last_scan: overview.last_scan_at.map(|at| TimeAgo::new(at, now)),
            last_poll: overview.last_poll_at.map(|at| TimeAgo::new(at, now)),
            outage: overview.outage.as_ref().map(|outage| Outage {
                cause: Explanation {
                    message: outage.message.clone(),
                    hint: outage.hint.clone(),
                },
                since: TimeAgo::new(outage.since, now),
            }),
            overview,
            broken_only,
            first,
            rows: rows.collect(),
            next,
        })
    }
}
