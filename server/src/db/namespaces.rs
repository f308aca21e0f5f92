//! Tables `namespace` and `namespace_origin`.

use buildbtw_model::{Changeset, GitRef, NamespaceName, NetworkPolicy, Pkgbase, Scope};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{NamespaceId, WriteTransaction};

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
    /// When it was created.
    pub created_at: Millis,
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
}

macro_rules! select_namespace {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            NamespaceRow,
            r#"select id as "id: NamespaceId", name as "name: NamespaceName", scope as "scope: Scope",
               max_builds as "max_builds: u32", bump as "bump: bool", network as "network: NetworkPolicy", same_sonames as "same_sonames: bool", follow_default_s as "follow_default_s: u32", held_at as "held_at: Millis", created_at as "created_at: Millis" from namespace "# + $tail
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

/// Returns up to `limit` namespaces older than the row `before`, the newest first.
pub async fn page(
    executor: impl SqliteExecutor<'_>,
    before: NamespaceId,
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
    let created_at = tx.now();
    let row = sqlx::query!(
        r#"insert into namespace (name, scope, max_builds, bump, network, same_sonames, follow_default_s,
               created_at)
           values (?, ?, ?, ?, ?, ?, ?, ?)
           returning id as "id!: NamespaceId""#,
        namespace.name,
        namespace.scope,
        namespace.max_builds,
        namespace.bump,
        namespace.network,
        namespace.same_sonames,
        namespace.follow_default_s,
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
    for (kind, patterns) in [
        (PatternKind::Include, namespace.include),
        (PatternKind::Exclude, namespace.exclude),
    ] {
        for pattern in patterns {
            sqlx::query!(
                "insert or ignore into namespace_pattern (namespace_id, kind, pattern)
                 values (?, ?, ?)",
                row.id,
                kind,
                pattern,
            )
            .execute(tx.connection())
            .await?;
        }
    }
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

/// The effect of a namespace's pattern.
#[derive(Clone, Copy, Debug, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
enum PatternKind {
    Include,
    Exclude,
}

/// Returns the include and exclude patterns of a namespace.
pub async fn patterns(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
) -> sqlx::Result<(Vec<String>, Vec<String>)> {
    let rows = sqlx::query!(
        r#"select kind as "kind: PatternKind", pattern from namespace_pattern
           where namespace_id = ? order by pattern"#,
        namespace,
    )
    .fetch_all(executor)
    .await?;
    let (mut include, mut exclude) = (Vec::new(), Vec::new());
    for row in rows {
        match row.kind {
            PatternKind::Include => &mut include,
            PatternKind::Exclude => &mut exclude,
        }
        .push(row.pattern);
    }
    Ok((include, exclude))
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

/// Returns the origins of a namespace.
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

/// Holds or resumes a namespace. Returns false when that changes nothing.
pub async fn hold(
    tx: &mut WriteTransaction,
    namespace: NamespaceId,
    held: bool,
) -> sqlx::Result<bool> {
    let at = tx.now();
    let result = sqlx::query!(
        "update namespace set held_at = case when ?1 then ?2 end
         where id = ?3 and (held_at is not null) <> ?1",
        held,
        at,
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
