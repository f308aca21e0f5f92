//! Tables `namespace` and `namespace_bootstrap`. What it rebuilds is in `namespace_extent`.

use buildbtw_model::{Changeset, NamespaceName, NetworkPolicy, Pkgbase, Priority, Scope};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{NamespaceId, WriteTransaction, namespace_extent};

pub use super::namespace_extent::{origins, patterns};

/// A namespace.
#[derive(Clone, Debug)]
pub struct NamespaceRow {
    /// Its id.
    pub id: NamespaceId,
    /// Its name.
    pub name: NamespaceName,
    /// How far its rebuilds spread.
    pub scope: Scope,
    /// The maximum number of builds of a plan.
    pub max_builds: u32,
    /// Whether rebuilt packages get a release bump.
    pub bump: bool,
    /// The network policy of its builds, as far as the server allows it.
    pub network: NetworkPolicy,
    /// Whether new versions of libraries are expected to keep their sonames.
    pub same_sonames: bool,
    /// The gathering time for changes of default branches, in seconds; they are not followed if absent.
    pub follow_default_s: Option<u32>,
    /// Since when it is held.
    pub held_at: Option<Millis>,
    /// The name of the token that held it.
    pub held_by: Option<String>,
    /// Which builds are dispatched first.
    pub priority: Priority,
    /// When it was created.
    pub created_at: Millis,
    /// The name of the token that created it.
    pub created_by: Option<String>,
}

/// A new namespace.
#[derive(Clone, Debug)]
pub struct NewNamespace<'a> {
    /// Its name.
    pub name: &'a NamespaceName,
    /// How far its rebuilds spread.
    pub scope: Scope,
    /// The maximum number of builds of a plan.
    pub max_builds: u32,
    /// Whether rebuilt packages get a release bump.
    pub bump: bool,
    /// The network policy of its builds, as far as the server allows it.
    pub network: NetworkPolicy,
    /// Whether new versions of libraries are expected to keep their sonames.
    pub same_sonames: bool,
    /// The members of cycles that get a bootstrap build.
    pub bootstrap: &'a [Pkgbase],
    /// The gathering time for changes of default branches, in seconds; they are not followed if absent.
    pub follow_default_s: Option<u32>,
    /// Its origins.
    pub origins: &'a [Changeset],
    /// Patterns of pkgbases that are always rebuilt.
    pub include: &'a [String],
    /// Patterns of pkgbases that are never rebuilt.
    pub exclude: &'a [String],
    /// Which builds are dispatched first.
    pub priority: Priority,
    /// The name of the token that creates it.
    pub created_by: &'a str,
}

macro_rules! select_namespace {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            NamespaceRow,
            r#"select id as "id: NamespaceId", name as "name: NamespaceName", scope as "scope: Scope",
               max_builds as "max_builds: u32", bump as "bump: bool",
               network as "network: NetworkPolicy", same_sonames as "same_sonames: bool",
               follow_default_s as "follow_default_s: u32", held_at as "held_at: Millis", held_by,
               priority as "priority: Priority", created_at as "created_at: Millis", created_by
               from namespace "# + $tail
            $(, $argument)*
        )
    };
}

/// Returns the namespace with this name.
pub async fn by_name(
    executor: impl SqliteExecutor<'_>,
    name: &NamespaceName,
) -> sqlx::Result<Option<NamespaceRow>> {
    select_namespace!("where name = ?", name)
        .fetch_optional(executor)
        .await
}

/// Returns the namespace with this id.
pub async fn by_id(
    executor: impl SqliteExecutor<'_>,
    id: NamespaceId,
) -> sqlx::Result<Option<NamespaceRow>> {
    select_namespace!("where id = ?", id)
        .fetch_optional(executor)
        .await
}

/// Returns up to `limit` namespaces older than the row `before`, the newest first: all, or those that tokens of a name
/// created.
pub async fn page(
    executor: impl SqliteExecutor<'_>,
    created_by: Option<&str>,
    before: NamespaceId,
    limit: i64,
) -> sqlx::Result<Vec<NamespaceRow>> {
    match created_by {
        None => {
            select_namespace!("where id < ? order by id desc limit ?", before, limit)
                .fetch_all(executor)
                .await
        }
        Some(created_by) => {
            select_namespace!(
                "where created_by = ? and id < ? order by id desc limit ?",
                created_by,
                before,
                limit
            )
            .fetch_all(executor)
            .await
        }
    }
}

/// Stores a new namespace; fails with a unique violation when the name is taken.
pub async fn insert(
    tx: &mut WriteTransaction,
    namespace: &NewNamespace<'_>,
) -> sqlx::Result<NamespaceId> {
    let created_at = tx.now();
    let row = sqlx::query!(
        r#"insert into namespace (name, scope, max_builds, bump, network, same_sonames, follow_default_s,
               priority, created_at, created_by)
           values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           returning id as "id!: NamespaceId""#,
        namespace.name,
        namespace.scope,
        namespace.max_builds,
        namespace.bump,
        namespace.network,
        namespace.same_sonames,
        namespace.follow_default_s,
        namespace.priority,
        created_at,
        namespace.created_by,
    )
    .fetch_one(tx.connection())
    .await?;
    namespace_extent::add(
        tx,
        row.id,
        namespace.origins,
        namespace.include,
        namespace.exclude,
    )
    .await?;
    add_bootstrap(tx, row.id, namespace.bootstrap).await?;
    Ok(row.id)
}

/// Stores members of cycles that get a bootstrap build.
async fn add_bootstrap(
    tx: &mut WriteTransaction,
    namespace: NamespaceId,
    pkgbases: &[Pkgbase],
) -> sqlx::Result<()> {
    for pkgbase in pkgbases {
        sqlx::query!(
            "insert or ignore into namespace_bootstrap (namespace_id, pkgbase) values (?, ?)",
            namespace,
            pkgbase,
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Replaces the settings that can change with an iteration: the members of cycles that get a bootstrap build, and
/// whether libraries keep their sonames.
pub async fn change(
    tx: &mut WriteTransaction,
    namespace: NamespaceId,
    bootstrap: &[Pkgbase],
    same_sonames: bool,
) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from namespace_bootstrap where namespace_id = ?",
        namespace
    )
    .execute(tx.connection())
    .await?;
    add_bootstrap(tx, namespace, bootstrap).await?;
    sqlx::query!(
        "update namespace set same_sonames = ? where id = ?",
        same_sonames,
        namespace,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Returns the members of cycles that get a bootstrap build in a namespace.
pub async fn bootstrap(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
) -> sqlx::Result<Vec<Pkgbase>> {
    let rows = sqlx::query!(
        r#"select pkgbase as "pkgbase: Pkgbase" from namespace_bootstrap where namespace_id = ?
           order by pkgbase"#,
        namespace,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|row| row.pkgbase).collect())
}

/// Returns all namespaces, the oldest first.
pub async fn all(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<NamespaceRow>> {
    select_namespace!("order by id").fetch_all(executor).await
}

/// Returns the namespaces with an origin of this pkgbase.
pub async fn with_origin(
    executor: impl SqliteExecutor<'_>,
    pkgbase: &Pkgbase,
) -> sqlx::Result<Vec<NamespaceRow>> {
    select_namespace!(
        "where id in (select namespace_id from namespace_origin where pkgbase = ?) order by id",
        pkgbase
    )
    .fetch_all(executor)
    .await
}

/// Returns the pkgbases of all origins of namespaces that are not held.
pub async fn origin_pkgbases(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<Pkgbase>> {
    sqlx::query_scalar!(
        r#"select distinct pkgbase as "pkgbase: Pkgbase" from namespace_origin
           join namespace on namespace.id = namespace_id where held_at is null"#
    )
    .fetch_all(executor)
    .await
}

/// Returns the pkgbases of origins whose refs have this prefix, of namespaces that are not held.
pub async fn pkgbases_at(
    executor: impl SqliteExecutor<'_>,
    prefix: &str,
) -> sqlx::Result<Vec<Pkgbase>> {
    sqlx::query_scalar!(
        r#"select distinct pkgbase as "pkgbase: Pkgbase" from namespace_origin
           join namespace on namespace.id = namespace_id
           where held_at is null and substr(git_ref, 1, length(?1)) = ?1"#,
        prefix
    )
    .fetch_all(executor)
    .await
}

/// What of a namespace an edit replaces.
#[derive(Clone, Debug)]
pub struct Edited {
    /// Its origins.
    pub origins: Vec<Changeset>,
    /// Patterns of pkgbases that are always rebuilt.
    pub include: Vec<String>,
    /// Patterns of pkgbases that are never rebuilt.
    pub exclude: Vec<String>,
    /// How far its rebuilds spread.
    pub scope: Scope,
    /// The maximum number of builds of a plan.
    pub max_builds: u32,
}

/// Replaces what a namespace rebuilds.
pub async fn edit(
    tx: &mut WriteTransaction,
    namespace: NamespaceId,
    edited: &Edited,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update namespace set scope = ?, max_builds = ? where id = ?",
        edited.scope,
        edited.max_builds,
        namespace,
    )
    .execute(tx.connection())
    .await?;
    namespace_extent::remove(tx, namespace).await?;
    let Edited {
        origins,
        include,
        exclude,
        ..
    } = edited;
    namespace_extent::add(tx, namespace, origins, include, exclude).await
}

/// Sets the priority of a namespace. Returns false when that changes nothing.
pub async fn set_priority(
    tx: &mut WriteTransaction,
    namespace: NamespaceId,
    priority: Priority,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update namespace set priority = ?1 where id = ?2 and priority <> ?1",
        priority,
        namespace,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Holds or resumes a namespace. Returns false when that changes nothing.
pub async fn hold(
    tx: &mut WriteTransaction,
    namespace: NamespaceId,
    held: bool,
    by: &str,
) -> sqlx::Result<bool> {
    let at = tx.now();
    let result = sqlx::query!(
        "update namespace set held_at = case when ?1 then ?2 end, held_by = case when ?1 then ?3 end
         where id = ?4 and (held_at is not null) <> ?1",
        held,
        at,
        by,
        namespace,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Removes a namespace with all its rows.
pub async fn delete(tx: &mut WriteTransaction, namespace: NamespaceId) -> sqlx::Result<bool> {
    let result = sqlx::query!("delete from namespace where id = ?", namespace)
        .execute(tx.connection())
        .await?;
    Ok(result.rows_affected() == 1)
}
