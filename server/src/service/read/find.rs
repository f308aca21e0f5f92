//! Finds namespaces by name.

use buildbtw_model::NamespaceName;
use buildbtw_model::api::ProblemKind;

use crate::db::Database;
use crate::db::namespaces::{self, NamespaceRow};
use crate::error::{Error, Refusal};

/// Returns the namespace with this name.
///
/// # Errors
/// When there is none.
pub async fn find_namespace(
    database: &Database,
    name: &NamespaceName,
) -> Result<NamespaceRow, Error> {
    namespaces::by_name(database.read(), name)
        .await?
        .ok_or_else(|| {
            Refusal::new(
                ProblemKind::NotFound,
                format!("there is no namespace `{name}`"),
            )
            .hint("`buildbtw list` lists all namespaces")
            .into()
        })
}
