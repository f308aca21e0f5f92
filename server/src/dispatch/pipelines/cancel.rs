//! Cancels pipelines that are no longer needed.

use std::time::Duration;

use buildbtw_gitlab::PipelineId;
use buildbtw_model::saturating;

use crate::db::{orphan_pipelines, pipelines};
use crate::outage::Failure;
use crate::service::pipelines::{delete_orphan, pipeline_name, store_cancel_sent};
use crate::state::parts::AttemptParts;

use super::create::project_name;
use super::poll::Poll;
use super::sort::key;

/// How many are cancelled in a row before polls continue.
const MAX_CANCELS: usize = 50;
/// How soon a cancellation without effect is repeated.
const CANCEL_INTERVAL: Duration = Duration::from_secs(5 * 60);

impl Poll {
    /// Cancels the pipelines of deleted namespaces. A pipeline that GitLab never confirmed is searched for until it
    /// can no longer appear.
    pub(super) async fn cancel_orphans(&self, parts: AttemptParts<'_>) -> Result<(), Failure> {
        let gitlab = &self.on_gitlab.gitlab;
        let limit = saturating(MAX_CANCELS);
        for orphan in orphan_pipelines::oldest(parts.database.read(), limit).await? {
            let project = orphan.project_id;
            let about = format!("project {project}");
            let found: Vec<PipelineId> = match orphan.pipeline_id {
                Some(id) => vec![id],
                None => {
                    let name = pipeline_name(orphan.attempt);
                    let found = gitlab.pipelines_named(project, &about, &name).await;
                    match found {
                        Ok(found) => found.iter().map(|found| found.id).collect(),
                        Err(error) if error.kind.affects_all_requests() => return Err(error.into()),
                        Err(error) if error.kind.is_transient() => continue,
                        Err(_) => Vec::new(),
                    }
                }
            };
            let settled = orphan.requested_at + self.on_gitlab.settings.settle;
            if found.is_empty() && parts.database.clock().now() < settled {
                continue;
            }
            for id in found {
                match gitlab.cancel_pipeline(project, &about, id).await {
                    Err(error) if error.kind.affects_all_requests() => return Err(error.into()),
                    // Its job gets no build, running or not.
                    _ => {}
                }
            }
            delete_orphan(parts.database, orphan.attempt).await?;
        }
        Ok(())
    }

    pub(super) async fn cancel_unwanted(&self, parts: AttemptParts<'_>) -> Result<(), Failure> {
        let gitlab = &self.on_gitlab.gitlab;
        let sent_before = parts.database.clock().now() - CANCEL_INTERVAL;
        let rows = pipelines::unwanted(parts.database.read(), sent_before).await?;
        if rows.len() > MAX_CANCELS {
            self.on_gitlab.news.wake();
        }
        for row in rows.iter().take(MAX_CANCELS) {
            let Some((project, number)) = key(row) else {
                continue;
            };
            let about = project_name(parts.database, row).await?;
            match gitlab.cancel_pipeline(project, &about, number).await {
                Ok(()) => {}
                Err(error) if error.kind.affects_all_requests() => return Err(error.into()),
                Err(error) if error.kind.is_transient() => continue,
                // Its job is refused when it asks for its build; the server can do nothing else.
                Err(error) => {
                    tracing::warn!(error = error.to_string(), "cannot cancel a pipeline");
                }
            }
            store_cancel_sent(parts.database, row.attempt).await?;
            self.on_gitlab.pipelines_changed(row.project_id);
        }
        Ok(())
    }
}
