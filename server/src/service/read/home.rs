//! The home page.

use buildbtw_model::api::{NamespaceSummary, Page, SourcesOverview};

use crate::error::Error;
use crate::state::outages::FailingTask;
use crate::state::parts::ReadParts;

use super::namespaces::list_namespaces;
use super::paging::Paging;
use super::sources::sources_overview;

/// The content of the home page.
pub struct HomeContent {
    /// A page of the namespaces.
    pub namespaces: Page<NamespaceSummary>,
    /// The overall state of the sources.
    pub sources: SourcesOverview,
    /// The background tasks that are in an outage.
    pub failing: Vec<FailingTask>,
}

/// Returns the content of the home page from a position of the list of namespaces on.
///
/// # Errors
/// When the cursor is invalid.
pub async fn home_page(parts: ReadParts<'_>, paging: &Paging) -> Result<HomeContent, Error> {
    Ok(HomeContent {
        namespaces: list_namespaces(parts.database, &parts.config.network, None, paging).await?,
        sources: sources_overview(parts.database, parts.sources).await?,
        failing: parts.outages.current(),
    })
}
