//! Every migration keeps the rows of the previous version.

use std::collections::BTreeMap;
use std::path::Path;

use buildbtw_server::db::{Database, MIGRATOR};
use buildbtw_server::time::Clock;
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, SqliteConnection};

/// Rows for the tables that a migration creates. A new migration with tables needs some here.
const ROWS: [(i64, &str); 28] = [
    (
        20_261_121_000_000,
        "insert into srcinfo values (1, 's', 1, '{}', 'pkgbase = a');
         insert into source_repository values
             (1, 'a', 'a', 'main', 'c', 1, 's', null, 1), (2, 'b', null, null, null, null, null, 'p', 1);
         insert into token values (1, 't', 'admin', x'00', 1, null, null);
         insert into namespace values (1, 'n', 'transitive', 10, 1, null, 1);
         insert into namespace_pattern values (1, 'include', 'x*');
         insert into namespace_origin values (1, 0, 'a', 'main');
         insert into iteration values (1, 1, 1, 'running', 'r', null, 1, null);
         insert into iteration_change values (1, 0, 'x86_64', 'a', 1, 'added', null, 'c');
         insert into iteration_origin values (1, 0, 'a', 'main', 'c');
         insert into iteration_base values (1, 'x86_64', 'core', 'd', null);
         insert into plan_note values (1, 0, 'x86_64', 'cycle', 't');
         insert into build (id, iteration_id, architecture, pkgbase, stage, level, position,
             commit_hash, commit_time, clone_url, srcinfo_sha256, version, reason, estimate_s,
             priority_s, status, missing)
             values (1, 1, 'x86_64', 'a', 1, 0, 0, 'c', 1, 'u', 's', '1-1', 'a', 1, 1, 'built', 0),
                 (2, 1, 'x86_64', 'b', 1, 1, 1, 'c', 1, 'u', 's', '1-1', 'a b', 1, 1, 'ready', 0);
         insert into build_edge values (2, 1, 'depends');
         insert into build_output values (1, 'a', 'x86_64');
         insert into attempt (id, build_id, number, claim, worker, token_id, status,
             lease_expires_at, created_at) values ('i', 1, 1, 'k', 'w', 1, 'succeeded', 1, 1);
         update build set packages_attempt_id = 'i' where id = 1;
         insert into package values ('i', 'f', 'a', '1-1', 'x86_64', 1, 'h', 'd', 'l');
         insert into event values (1, 1, 1, 1, 'i', 'build.built', '1-1', 1);
         insert into worker values ('w', 'x86_64', 1, 1);",
    ),
    (20_261_121_080_000, ""),
    (
        20_261_121_100_000,
        "insert into past_package values (1, 'a', '1-1', 1);",
    ),
    (
        20_261_121_140_000,
        "insert into source_progress (id, origin) values (1, 'o');
         insert into webhook_delivery values ('w', 'push', 1, null, 1, null);",
    ),
    (
        20_261_121_180_000,
        "insert into pipeline (attempt_id, gitlab, project_id, git_ref, commit_hash, pipeline_id)
             values ('i', 'https://g', 1, 'main', 'c', 7);
         insert into id_token_use values ('t', 'i', x'00', 1);
         insert into orphan_pipeline values ('j', 1, 8, 1);",
    ),
    (
        20_261_121_200_000,
        "insert into commit_report values (1, 1, 'c', 'running');
         insert into merge_request_report values (1, 1, 5, 6, x'00', 1);",
    ),
    (20_261_129_102_000, ""),
    (20_261_129_103_000, ""),
    (
        20_261_129_104_000,
        "insert into attempt_origin values ('i', 'n', 1, 1, 'x86_64', 1, 1);",
    ),
    (20_261_129_140_000, ""),
    (
        20_261_129_141_000,
        "insert into retired_package values ('n', 'x86_64', 'f', 'h', 1, 'a', '1-1', 1);",
    ),
    (20_261_129_150_000, ""),
    (
        20_261_129_151_000,
        "insert into build_release values (1, 1, 0, '[\"1-1\"]');",
    ),
    (
        20_261_129_152_000,
        "insert into linked_package values ('x86_64', 'a', '1-1', 1, 'has 64 liba.so.1');
         insert into namespace_bootstrap values (1, 'a');",
    ),
    (
        20_261_129_160_000,
        "insert into linked_change values ('x86_64', 1);",
    ),
    (20_261_130_020_000, ""),
    (20_261_130_050_000, ""),
    (20_261_130_071_500, ""),
    (20_261_130_080_000, ""),
    (20_261_130_103_000, ""),
    (20_261_130_103_100, ""),
    (20_261_130_104_100, ""),
    (
        20_261_130_140_000,
        "insert into activity (id, kind, actor, namespace, at)
             values (1, 'namespace.created', 't', 'n', 1);",
    ),
    (
        20_261_130_140_100,
        "insert into work values (1, 'x86_64', 't', 'n', 1);",
    ),
    (
        20_261_130_140_200,
        "insert into worker_profile values ('w', '{}', 0.5, 1, 2, 1);
             insert into worker_drain values ('w', 1, 't', 'r');",
    ),
    (
        20_261_130_140_300,
        "insert into memory_need values ('x86_64', 'a', 8192, 1);",
    ),
    (20_261_201_030_000, ""),
    (20_261_201_060_000, ""),
];

/// Columns that nothing wrote any more, with the migration that removed them.
const REMOVED: [(i64, &str, &str); 1] = [(20_261_130_071_500, "webhook_delivery", "object_id")];

/// The migration that renamed a table and columns.
const RENAMING: i64 = 20_261_130_103_000;
/// The table that was renamed.
const RENAMED_TABLE: (&str, &str) = ("past_package", "former_package");
/// The columns that were renamed, by table.
const RENAMED_COLUMNS: [(&str, &str, &str); 6] = [
    ("pipeline", "asked_at", "requested_at"),
    ("pipeline", "over_at", "ended_at"),
    ("orphan_pipeline", "asked_at", "requested_at"),
    ("webhook_delivery", "done_at", "processed_at"),
    ("build", "tried_before", "attempts_before_retry"),
    ("build", "missing", "missing_dependencies"),
];

/// Changes the name of the renamed table to the new one.
fn rename_table(tables: &mut BTreeMap<String, Vec<String>>) {
    let (old, new) = RENAMED_TABLE;
    let renamed = tables.remove(old).unwrap();
    tables.insert(new.to_owned(), renamed);
}

/// Changes the names of the renamed table and columns to the new ones.
fn rename(columns: &mut BTreeMap<String, Vec<String>>) {
    rename_table(columns);
    for (table, old, new) in RENAMED_COLUMNS {
        let columns = columns.get_mut(table).unwrap();
        let renamed = columns.iter_mut().find(|name| *name == old).unwrap();
        new.clone_into(renamed);
    }
}

/// Returns the rows of every table, with the columns of `like` only.
async fn rows(
    database: &mut SqliteConnection,
    like: &BTreeMap<String, Vec<String>>,
) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for (table, columns) in like {
        // JSON has no bytes, which digests of tokens are.
        let listed: Vec<String> = columns
            .iter()
            .map(|name| format!("quote({name})"))
            .collect();
        let listed = listed.join(", ");
        let query = format!("select json_array({listed}) from {table} order by 1");
        let found: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_all(&mut *database)
            .await
            .unwrap();
        all.insert(table.clone(), found);
    }
    all
}

async fn columns(database: &mut SqliteConnection) -> BTreeMap<String, Vec<String>> {
    let found: Vec<(String, String)> = sqlx::query_as(
        "select m.name, c.name from sqlite_schema as m join pragma_table_info(m.name) as c
         where m.type = 'table' and m.name not like '\\_sqlx%' escape '\\'
             and m.name not like 'sqlite%' order by m.name, c.cid",
    )
    .fetch_all(database)
    .await
    .unwrap();
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, column) in found {
        tables.entry(table).or_default().push(column);
    }
    tables
}

async fn schema(database: &mut SqliteConnection) -> Vec<String> {
    let schema = "select sql from sqlite_schema
                  where sql is not null and name not like 'sqlite%' order by name";
    sqlx::query_scalar(schema)
        .fetch_all(database)
        .await
        .unwrap()
}

#[tokio::test]
async fn migrations_keep_every_row_step_by_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.sqlite3");
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let migrations: Vec<_> = MIGRATOR.iter().cloned().collect();
    let versions: Vec<i64> = migrations.iter().map(|known| known.version).collect();
    assert_eq!(versions, ROWS.map(|(version, _)| version), "rows for each");
    for (step, (version, sql)) in ROWS.into_iter().enumerate() {
        let mut known = columns(&mut database).await;
        for (_, table, column) in REMOVED.iter().filter(|removed| removed.0 == version) {
            let columns = known.get_mut(*table).unwrap();
            columns.retain(|name| name != column);
        }
        let mut before = rows(&mut database, &known).await;
        if version == RENAMING {
            rename_table(&mut before);
            rename(&mut known);
        }
        let migrator = Migrator::with_migrations(migrations[..=step].to_vec());
        migrator.run(&mut database).await.unwrap();
        let after = rows(&mut database, &known).await;
        assert_eq!(before, after, "migration {version} lost something");
        if !sql.is_empty() {
            sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
        }
        let known = columns(&mut database).await;
        for (table, found) in rows(&mut database, &known).await {
            assert!(!found.is_empty(), "no rows for {table}, of {version}");
        }
        let broken: Vec<String> =
            sqlx::query_scalar("select \"table\" from pragma_foreign_key_check")
                .fetch_all(&mut database)
                .await
                .unwrap();
        assert_eq!(broken, [""; 0]);
    }
    let migrated = schema(&mut database).await;
    database.close().await.unwrap();

    let fresh = folder.path().join("fresh.sqlite3");
    Database::open(&fresh, Clock::default())
        .await
        .unwrap()
        .close()
        .await;
    let url = format!("sqlite://{}", fresh.display());
    let mut fresh = SqliteConnection::connect(&url).await.unwrap();
    assert_eq!(schema(&mut fresh).await, migrated);
    // The server can open the result.
    Database::open(&path, Clock::default())
        .await
        .unwrap()
        .close()
        .await;
}

/// Creates a database with all migrations and rows. Before the migration `at`, it runs `changes`.
async fn migrated(folder: &Path, at: i64, changes: &'static str) -> SqliteConnection {
    let url = format!("sqlite://{}/old.sqlite3?mode=rwc", folder.display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let migrations: Vec<_> = MIGRATOR.iter().cloned().collect();
    for (step, (version, sql)) in ROWS.into_iter().enumerate() {
        if version == at {
            sqlx::raw_sql(changes).execute(&mut database).await.unwrap();
        }
        let migrator = Migrator::with_migrations(migrations[..=step].to_vec());
        migrator.run(&mut database).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
    }
    database
}

#[tokio::test]
async fn splits_hints_off_problems_of_source_repositories() {
    let folder = tempfile::tempdir().unwrap();
    let problems = "delete from source_repository where path = 'b';
        update source_repository set problem = null;
        insert into source_repository (path, pkgbase, problem_kind, problem, changed_at, project_id) values
            ('gitlab', null, 'no-default-branch', 'the default branch `main` does not exist; choose another one ' ||
                'in the project''s settings (Repository, Branch defaults)', 1, 1),
            ('folder', null, 'no-default-branch', 'HEAD names the branch `x`, which does not exist; the ' ||
                'repository has `y`. Fix it with `git -C ''/s'' symbolic-ref HEAD refs/heads/y`', 1, null),
            ('empty', null, 'empty', 'the default branch has no commits', 1, null),
            ('misnamed', 'm', 'misnamed', '.SRCINFO has pkgbase `m`, but the repository is named `misnamed`', 1, null);";
    let mut database = migrated(folder.path(), 20_261_130_104_100, problems).await;
    let split: Vec<(String, Option<String>, Option<String>)> =
        sqlx::query_as("select path, problem, hint from source_repository order by path")
            .fetch_all(&mut database)
            .await
            .unwrap();
    let expected = [
        ("a", None, None),
        ("empty", Some("the default branch has no commits"), None),
        (
            "folder",
            Some("HEAD names the branch `x`, which does not exist; the repository has `y`"),
            Some("run `git -C '/s' symbolic-ref HEAD refs/heads/y`"),
        ),
        (
            "gitlab",
            Some("the default branch `main` does not exist"),
            Some(
                "choose another default branch in the project's settings (Repository, Branch defaults)",
            ),
        ),
        (
            "misnamed",
            Some(".SRCINFO has pkgbase `m`, but the repository is named `misnamed`"),
            Some("rename the repository to `m`, or correct its pkgbase"),
        ),
    ];
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let expected =
        expected.map(|(path, problem, hint)| (path.to_owned(), owned(problem), owned(hint)));
    assert_eq!(split, expected);
}

#[tokio::test]
async fn splits_hints_off_stored_messages() {
    let folder = tempfile::tempdir().unwrap();
    let messages = "update attempt set message = 'failed' || char(10) || 'hint: do this';
        update build set message = 'no' || char(10) || 'hint: a' || char(10) || 'line' ||
            char(10) || 'hint: b' where id = 1;
        update build set message = 'no hint: here' where id = 2;
        update event set message = 'x' || char(10) || 'hint: y';
        update pipeline set reported_message = 'x' || char(10) || 'hint: y';";
    let mut database = migrated(folder.path(), 20_261_130_071_500, messages).await;
    let split: Vec<(String, Option<String>)> = sqlx::query_as(
        "select message, hint from attempt union all select message, hint from build
         union all select message, hint from event
         union all select reported_message, reported_hint from pipeline",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    let expected = [
        ("failed", Some("do this")),
        ("no\nline", Some("a; b")),
        ("no hint: here", None),
        ("x", Some("y")),
        ("x", Some("y")),
    ];
    let expected = expected.map(|(message, hint)| (message.to_owned(), hint.map(str::to_owned)));
    assert_eq!(split, expected);
}

#[tokio::test]
async fn rejects_database_of_newer_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.sqlite3");
    Database::open(&path, Clock::default())
        .await
        .unwrap()
        .close()
        .await;
    let url = format!("sqlite://{}", path.display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let newer = "insert into _sqlx_migrations select 99999999999999, description, installed_on,
                 success, checksum, execution_time from _sqlx_migrations limit 1";
    sqlx::raw_sql(newer).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let error = Database::open(&path, Clock::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot migrate the database"), "{error}");
}
