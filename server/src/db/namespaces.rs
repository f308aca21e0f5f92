//! Tables `namespace` and `namespace_origin`.

use buildbtw_model::{Changeset, GitRef, NamespaceName, Pkgbase, Scope};
use sqlx::SqliteExecutor;

use super::{NamespaceId, WriteTransaction, now};

/// A namespace.
#[derive(Clone, Debug)]
pub struct NamespaceRow {
    /// Its row.
    pub id: NamespaceId,
    /// Its name.
    pub name: NamespaceName,
    /// How far its rebuilds spread.
    pub scope: Scope,
    /// Plans with more builds are refused.
    pub max_builds: i64,
    /// Whether rebuilt packages get a higher release.
    pub bump: bool,
    /// When it was made.
    pub created_at: i64,
}

/// What a new namespace is made of.
#[derive(Clone, Debug)]
pub struct NewNamespace<'a> {
    /// Its name.
    pub name: &'a NamespaceName,
    /// How far its rebuilds spread.
    pub scope: Scope,
    /// Plans with more builds are refused.
    pub max_builds: u32,
    /// Whether rebuilt packages get a higher release.
    pub bump: bool,
    /// What it builds.
    pub origins: &'a [Changeset],
}

macro_rules! select_namespace {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            NamespaceRow,
            r#"select id as "id: NamespaceId", name as "name: NamespaceName", scope as "scope: Scope",
               max_builds, bump as "bump: bool", created_at from namespace "# + $tail
            $(, $argument)*
        )
    };
}

/// The namespace of this name.
pub async fn by_name(
    executor: impl SqliteExecutor<'_>,
    name: &NamespaceName,
) -> sqlx::Result<Option<NamespaceRow>> {
    select_namespace!("where name = ?", name)
        .fetch_optional(executor)
        .await
}

/// The namespace of this row.
pub async fn by_id(
    executor: impl SqliteExecutor<'_>,
    id: NamespaceId,
) -> sqlx::Result<NamespaceRow> {
    select_namespace!("where id = ?", id)
        .fetch_one(executor)
        .await
}

/// Up to `limit` namespaces older than the row `before`, the newest first.
pub async fn page(
    executor: impl SqliteExecutor<'_>,
    before: i64,
    limit: i64,
) -> sqlx::Result<Vec<NamespaceRow>> {
    select_namespace!("where id < ? order by id desc limit ?", before, limit)
        .fetch_all(executor)
        .await
}

/// Stores a new namespace; fails with a unique violation when the name is taken.
pub async fn insert(
    tx: &mut WriteTransaction,
    namespace: &NewNamespace<'_>,
) -> sqlx::Result<NamespaceId> {
    let created_at = now();
    let row = sqlx::query!(
        r#"insert into namespace (name, scope, max_builds, bump, created_at) values (?, ?, ?, ?, ?)
           returning id as "id: NamespaceId""#,
        namespace.name,
        namespace.scope,
        namespace.max_builds,
        namespace.bump,
        created_at,
    )
    .fetch_one(tx.connection())
    .await?;
    for (position, origin) in (0_i64..).zip(namespace.origins) {
        sqlx::query!(
            "insert into namespace_origin (namespace_id, position, pkgbase, git_ref)
             values (?, ?, ?, ?)",
            row.id,
            position,
            origin.pkgbase,
            origin.git_ref,
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(row.id)
}

/// The origin changesets of a namespace.
pub async fn origins(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
) -> sqlx::Result<Vec<Changeset>> {
    sqlx::query_as!(
        Changeset,
        r#"select pkgbase as "pkgbase: Pkgbase", git_ref as "git_ref: GitRef" from namespace_origin
           where namespace_id = ? order by position"#,
        namespace,
    )
    .fetch_all(executor)
    .await
}
