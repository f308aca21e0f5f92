//! Tables `namespace_origin` and `namespace_pattern`: what a namespace rebuilds.

use buildbtw_model::{Changeset, GitRef, Pkgbase};
use sqlx::SqliteExecutor;

use super::{NamespaceId, WriteTransaction};

/// Stores the origins and patterns of a namespace.
pub(super) async fn add(
    tx: &mut WriteTransaction,
    namespace: NamespaceId,
    origins: &[Changeset],
    include: &[String],
    exclude: &[String],
) -> sqlx::Result<()> {
    for (position, origin) in (0_i64..).zip(origins) {
        sqlx::query!(
            "insert into namespace_origin (namespace_id, position, pkgbase, git_ref)
             values (?, ?, ?, ?)",
            namespace,
            position,
            origin.pkgbase,
            origin.git_ref,
        )
        .execute(tx.connection())
        .await?;
    }
    for (kind, patterns) in [
        (PatternKind::Include, include),
        (PatternKind::Exclude, exclude),
    ] {
        for pattern in patterns {
            sqlx::query!(
                "insert or ignore into namespace_pattern (namespace_id, kind, pattern)
                 values (?, ?, ?)",
                namespace,
                kind,
                pattern,
            )
            .execute(tx.connection())
            .await?;
        }
    }
    Ok(())
}

/// Removes the origins and patterns of a namespace.
pub(super) async fn remove(tx: &mut WriteTransaction, namespace: NamespaceId) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from namespace_origin where namespace_id = ?",
        namespace
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "delete from namespace_pattern where namespace_id = ?",
        namespace
    )
    .execute(tx.connection())
    .await?;
    Ok(())
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
