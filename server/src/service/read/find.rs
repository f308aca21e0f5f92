//! Finds namespaces by name, and their iterations by number.

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{BuildId, NamespaceName, closest};

use crate::db::Database;
use crate::db::iterations::{self, IterationRow};
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
    if let Some(row) = namespaces::by_name(database.read(), name).await? {
        return Ok(row);
    }
    let known = namespaces::all(database.read()).await?;
    let known = known.iter().map(|row| row.name.as_str());
    let lists = "`buildbtw list` lists all namespaces";
    let hint = match closest(name.as_str(), known) {
        Some(meant) => format!("did you mean `{meant}`? {lists}"),
        None => lists.to_owned(),
    };
    let title = format!("namespace `{name}` not found");
    Err(Refusal::new(ProblemKind::NotFound, title).hint(hint).into())
}

/// Creates the refusal of a request for the newest iteration of a namespace that has none: every namespace has one until
/// it is deleted.
pub fn no_iteration(name: &NamespaceName) -> Error {
    deleted_meanwhile(name)
}

/// Creates the refusal of a request whose namespace was deleted while it was processed.
pub fn deleted_meanwhile(name: &NamespaceName) -> Error {
    let title = format!("namespace `{name}` was deleted meanwhile");
    Refusal::new(ProblemKind::NotFound, title)
        .hint("`buildbtw list` lists all namespaces, `buildbtw activity` says who deleted it")
        .into()
}

/// Creates the refusal of a request for a build that does not exist.
pub fn no_build(id: BuildId) -> Error {
    Error::not_found(format!("build {id}"))
        .hint("`buildbtw show NAMESPACE` lists builds; those of a removed iteration are gone")
}

/// Returns a namespace and its iteration with this number, the newest one without.
///
/// # Errors
/// When there is none.
pub async fn find_iteration(
    database: &Database,
    name: &NamespaceName,
    number: Option<u32>,
) -> Result<(NamespaceRow, IterationRow), Error> {
    let namespace = find_namespace(database, name).await?;
    let reader = database.read();
    let row = match number {
        Some(number) => iterations::by_number(reader, namespace.id, number).await?,
        None => iterations::newest(reader, namespace.id).await?,
    };
    let row = row.ok_or_else(|| match number {
        Some(number) => Error::not_found(format!("iteration {number} of namespace `{name}`"))
            .hint(format!("`buildbtw show {name}` shows the newest one")),
        None => no_iteration(name),
    })?;
    Ok((namespace, row))
}
