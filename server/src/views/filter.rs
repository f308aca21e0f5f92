//! The filter of an iteration's builds. It is part of the address, so that it can be linked to and works
//! without a script.

use std::fmt::Write as _;

use askama::filters::urlencode;
use buildbtw_model::api::{BuildCounts, BuildSummary};
use buildbtw_model::{Architecture, BuildStatus};

/// Groups of build states, the same that [`BuildCounts`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusGroup {
    /// Failed.
    Failed,
    /// Dispatched or building.
    Building,
    /// Ready to be dispatched.
    Ready,
    /// Waiting for other builds.
    Blocked,
    /// Built or reused.
    Done,
    /// Cancelled.
    Cancelled,
}

impl StatusGroup {
    pub(crate) const ALL: [Self; 6] = [
        Self::Failed,
        Self::Building,
        Self::Ready,
        Self::Blocked,
        Self::Done,
        Self::Cancelled,
    ];

    pub(crate) fn of(status: BuildStatus) -> Self {
        match status {
            BuildStatus::Failed => Self::Failed,
            BuildStatus::Dispatched | BuildStatus::Building => Self::Building,
            BuildStatus::Ready => Self::Ready,
            BuildStatus::Blocked => Self::Blocked,
            BuildStatus::Built | BuildStatus::Reused => Self::Done,
            BuildStatus::Cancelled => Self::Cancelled,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Building => "building",
            Self::Ready => "ready",
            Self::Blocked => "blocked",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn count(self, counts: &BuildCounts) -> u64 {
        match self {
            Self::Failed => counts.failed,
            Self::Building => counts.building,
            Self::Ready => counts.ready,
            Self::Blocked => counts.blocked,
            Self::Done => counts.done,
            Self::Cancelled => counts.cancelled,
        }
    }
}

/// The query parameters of a page with a table of builds.
#[derive(Default, serde::Deserialize)]
pub(crate) struct FilterQuery {
    status: Option<String>,
    arch: Option<String>,
    q: Option<String>,
    page: Option<usize>,
}

/// A filter of builds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) status: Option<StatusGroup>,
    pub(crate) architecture: Option<Architecture>,
    /// A part of a pkgbase.
    pub(crate) search: String,
    /// The page, counted from 1; 0 means 1.
    pub(crate) page: usize,
}

/// Maximum length of a search text; pkgbases are shorter.
const MAX_SEARCH: usize = 128;

impl Filter {
    /// Parses the parameters. Empty ones, as sent by a form, count as absent.
    ///
    /// # Errors
    /// When a value is invalid.
    pub(crate) fn parse(query: FilterQuery) -> Result<Self, String> {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let status = match given(query.status) {
            None => None,
            Some(text) => {
                let found = StatusGroup::ALL.into_iter().find(|g| g.as_str() == text);
                Some(found.ok_or("`status` is not a build status")?)
            }
        };
        let architecture = match given(query.arch) {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| "`arch` is not an architecture")?),
        };
        Ok(Self {
            status,
            architecture,
            search: given(query.q)
                .map(|text| {
                    text.trim()
                        .to_lowercase()
                        .chars()
                        .take(MAX_SEARCH)
                        .collect()
                })
                .unwrap_or_default(),
            page: query.page.unwrap_or_default(),
        })
    }

    /// Returns whether the filter accepts a build.
    pub(crate) fn accepts(&self, build: &BuildSummary) -> bool {
        self.status
            .is_none_or(|group| group == StatusGroup::of(build.status))
            && self
                .architecture
                .as_ref()
                .is_none_or(|architecture| *architecture == build.architecture)
            && build.pkgbase.as_str().to_lowercase().contains(&self.search)
    }

    /// Returns whether the filter excludes anything.
    pub(crate) fn is_active(&self) -> bool {
        self.status.is_some() || self.architecture.is_some() || !self.search.is_empty()
    }

    /// Returns the filter with another state, at the first page.
    pub(crate) fn with_status(&self, status: Option<StatusGroup>) -> Self {
        Self {
            status,
            page: 0,
            ..self.clone()
        }
    }

    /// Returns the filter with another architecture, at the first page.
    pub(crate) fn with_architecture(&self, architecture: Option<Architecture>) -> Self {
        Self {
            architecture,
            page: 0,
            ..self.clone()
        }
    }

    /// Returns the filter at another page.
    pub(crate) fn with_page(&self, page: usize) -> Self {
        Self {
            page,
            ..self.clone()
        }
    }

    /// Returns the address of `path` with the filter.
    pub(crate) fn href(&self, path: &str) -> String {
        let mut href = path.to_owned();
        let mut add = |name: &str, value: &str| {
            let separator = if href.contains('?') { '&' } else { '?' };
            // Neither writing to a string nor encoding can fail.
            let Ok(value) = urlencode(value);
            let _ = write!(href, "{separator}{name}={value}");
        };
        if let Some(status) = self.status {
            add("status", status.as_str());
        }
        if let Some(architecture) = &self.architecture {
            add("arch", architecture.as_str());
        }
        if !self.search.is_empty() {
            add("q", &self.search);
        }
        if self.page > 1 {
            add("page", &self.page.to_string());
        }
        href
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(status: &str, arch: &str, q: &str) -> FilterQuery {
        FilterQuery {
            status: Some(status.to_owned()),
            arch: Some(arch.to_owned()),
            q: Some(q.to_owned()),
            page: None,
        }
    }

    #[test]
    fn ignores_empty_form_fields() {
        let filter = Filter::parse(query("", "", " ")).unwrap();
        assert_eq!(filter, Filter::default());
        assert!(!filter.is_active());
        assert_eq!(filter.href("/x"), "/x");
    }

    #[test]
    fn round_trips_filters_through_query_string() {
        let filter = Filter::parse(query("failed", "x86_64", " libC++&\"")).unwrap();
        assert_eq!(
            filter.with_page(2).href("/x"),
            "/x?status=failed&arch=x86_64&q=libc%2B%2B%26%22&page=2"
        );
        assert!(Filter::parse(query("odd", "", "")).is_err());
        assert!(Filter::parse(query("", "no/arch", "")).is_err());
    }
}
