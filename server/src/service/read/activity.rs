//! What people did, and how rebuilds ended.

use buildbtw_model::NamespaceName;
use buildbtw_model::api::{Activity, Page};

use crate::db::Database;
use crate::db::activity::{self, ActivityFilter, ActivityRow};
use crate::error::Error;

use super::paging::{List, Paging, page};

/// Returns a page of activities, the newest first: those requested with tokens of the name `actor`, and those that
/// concern a namespace; all if neither is given.
///
/// # Errors
/// When the cursor or the limit is invalid.
pub async fn list_activity(
    database: &Database,
    actor: Option<String>,
    namespace: Option<NamespaceName>,
    paging: &Paging,
) -> Result<Page<Activity>, Error> {
    let filter = ActivityFilter { actor, namespace };
    let list = List::Activity.of(&filter);
    let before = paging.number(&list)?.unwrap_or(i64::MAX);
    let mut rows = activity::page(database.read(), &filter, before, paging.rows()?).await?;
    let next = paging.cut(&list, &mut rows, |row| row.id.to_string())?;
    Ok(page(rows, next, shown))
}

fn shown(row: ActivityRow) -> Activity {
    Activity {
        id: row.id,
        kind: row.kind,
        actor: row.actor,
        namespace: row.namespace,
        iteration: row.iteration,
        worker: row.worker,
        message: row.message,
        at: row.at.into(),
    }
}
