//! Processes stored webhooks. Their content is not trusted; it only names the project to query.

use std::collections::BTreeSet;
use std::time::Duration;

use buildbtw_gitlab::ProjectId;

use crate::db::webhook_deliveries;
use crate::outage::Failure;
use crate::sources::Sources;

use super::group::GitlabGroup;
use super::poll::{GitlabContact, Window};

/// The number of webhooks that are processed together.
const BATCH: i64 = 200;
/// How long the ID of a webhook is stored to detect repetitions.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

impl GitlabGroup {
    /// Processes all stored webhooks. Those whose project GitLab cannot read stay stored.
    pub(crate) async fn process_webhooks(
        &self,
        sources: &Sources,
        window: &mut Window,
    ) -> Result<GitlabContact, Failure> {
        let mut contact = GitlabContact::Unknown;
        loop {
            let open = webhook_deliveries::unprocessed(sources.database.read(), BATCH).await?;
            if open.is_empty() {
                return Ok(contact);
            }
            let moved: BTreeSet<ProjectId> = open
                .iter()
                .filter(|row| row.kind.moves_sources())
                .map(|row| row.project_id)
                .collect();
            let moved: Vec<ProjectId> = moved.into_iter().collect();
            let mut unread = BTreeSet::new();
            if !moved.is_empty() {
                unread = self.refresh_projects(sources, window, &moved).await?.unread;
                self.emit_ref_changes(sources, &moved).await?;
                contact = GitlabContact::Confirmed;
            }
            let (open, done): (Vec<_>, Vec<_>) = open
                .into_iter()
                .partition(|row| unread.contains(&row.project_id));
            let done: Vec<String> = done.into_iter().map(|row| row.id).collect();
            let mut tx = sources.database.write().await?;
            let before = tx.now() - REMEMBERED;
            webhook_deliveries::mark_processed(&mut tx, &done).await?;
            webhook_deliveries::delete_processed_before(&mut tx, before).await?;
            tx.commit().await?;
            if !open.is_empty() {
                // The next poll processes the rest.
                return Ok(contact);
            }
        }
    }
}
