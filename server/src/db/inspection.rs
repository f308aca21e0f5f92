//! Reads a database that another process may use, or that another version wrote. Nothing is changed, not even by a
//! migration.
//!
//! Queries are not checked against the schema at compile time, because this one might be older or newer.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Row as _, SqlitePool};

use crate::time::Millis;

use super::{BUSY_TIMEOUT, MIGRATOR, damage};

/// A database that is only read.
#[derive(Clone, Debug)]
pub struct Inspection(SqlitePool);

/// What the migrations of a database say about the program that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// It has exactly the migrations of this program.
    Current {
        /// Their number.
        count: usize,
    },
    /// It lacks some, which the server applies when it starts.
    Older {
        /// The number of applied migrations.
        applied: usize,
        /// The number of migrations of this program.
        known: usize,
    },
    /// It has one that this program does not know.
    Newer {
        /// The first of them.
        version: i64,
    },
    /// It has one with other content.
    Different {
        /// The first of them.
        version: i64,
    },
}

impl Inspection {
    /// Opens a file. `is_idle` says that no process uses it, so that SQLite need not create files next to it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(path: &Path, is_idle: bool) -> sqlx::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .read_only(true)
            .immutable(is_idle)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().max_connections(1);
        Ok(Self(pool.connect_with(options).await?))
    }

    /// Returns the first damage in the structure of the file.
    pub async fn damage(&self) -> Option<String> {
        damage(&self.0).await
    }

    /// Compares the migrations with those of this program.
    ///
    /// # Errors
    /// When the file is not a database of the server.
    pub async fn schema(&self) -> sqlx::Result<Schema> {
        let query = "select version, checksum from _sqlx_migrations where success order by version";
        let rows = sqlx::query(query).fetch_all(&self.0).await?;
        let mut applied = Vec::new();
        for row in rows {
            applied.push((row.try_get(0)?, row.try_get(1)?));
        }
        let known: Vec<(i64, &[u8])> = MIGRATOR
            .iter()
            .map(|migration| (migration.version, &*migration.checksum))
            .collect();
        Ok(compare(&applied, &known))
    }

    /// Returns when the last webhook was received, as far as its row still exists.
    ///
    /// # Errors
    /// When the database has no such table.
    pub async fn last_webhook(&self) -> sqlx::Result<Option<Millis>> {
        sqlx::query_scalar("select max(received_at) from webhook_delivery")
            .fetch_one(&self.0)
            .await
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.0.close().await;
    }
}

fn compare(applied: &[(i64, Vec<u8>)], known: &[(i64, &[u8])]) -> Schema {
    for (version, checksum) in applied {
        match known.iter().find(|(known, _)| known == version) {
            None => return Schema::Newer { version: *version },
            Some((_, known)) if known != checksum => {
                return Schema::Different { version: *version };
            }
            Some(_) => {}
        }
    }
    match (applied.len(), known.len()) {
        (count, known) if count == known => Schema::Current { count },
        (applied, known) => Schema::Older { applied, known },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Database;
    use crate::time::Clock;

    #[test]
    fn compares_migrations_with_those_of_the_program() {
        let known: [(i64, &[u8]); 2] = [(1, b"a"), (2, b"b")];
        let compare = |applied: &[(i64, &[u8])]| {
            let applied: Vec<_> = applied
                .iter()
                .map(|(version, sum)| (*version, sum.to_vec()))
                .collect();
            super::compare(&applied, &known)
        };
        assert_eq!(compare(&known), Schema::Current { count: 2 });
        let older = Schema::Older {
            applied: 1,
            known: 2,
        };
        assert_eq!(compare(&known[..1]), older);
        assert_eq!(
            compare(&[(1, b"a"), (3, b"c")]),
            Schema::Newer { version: 3 }
        );
        assert_eq!(compare(&[(1, b"other")]), Schema::Different { version: 1 });
    }

    #[tokio::test]
    async fn reads_database_in_use_and_at_rest_without_changing_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.sqlite3");
        let database = Database::open(&path, Clock::default()).await.unwrap();
        let inspection = Inspection::open(&path, false).await.unwrap();
        assert!(matches!(
            inspection.schema().await.unwrap(),
            Schema::Current { .. }
        ));
        assert_eq!(inspection.damage().await, None);
        assert_eq!(inspection.last_webhook().await.unwrap(), None);
        inspection.close().await;
        database.close().await;
        let inspection = Inspection::open(&path, true).await.unwrap();
        assert_eq!(inspection.damage().await, None);
        inspection.close().await;
        let files = fs_err::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "SQLite left files next to the database");
        let refused = sqlx::query("create table t (a)");
        let inspection = Inspection::open(&path, false).await.unwrap();
        assert!(refused.execute(&inspection.0).await.is_err());
    }

    #[tokio::test]
    async fn rejects_file_that_is_not_a_database_of_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.sqlite3");
        assert!(Inspection::open(&path, true).await.is_err());
        fs_err::write(&path, "").unwrap();
        let inspection = Inspection::open(&path, true).await.unwrap();
        assert!(inspection.schema().await.is_err());
    }
}
