//! The database: that it can be read, is not damaged, and has the schema of this program.

use std::fmt::Display;
use std::path::Path;

use buildbtw_doctor::Check;

use crate::db::inspection::{Inspection, Schema};
use crate::run::{DATABASE_FILE, RESTORING_FILE};
use crate::time::Millis;

/// What was found.
pub(super) struct Found {
    pub(super) checks: Vec<Check>,
    /// When the last webhook was received.
    pub(super) last_webhook: Option<Millis>,
}

impl From<Check> for Found {
    fn from(check: Check) -> Self {
        Self {
            checks: vec![check],
            last_webhook: None,
        }
    }
}

/// Reads the database of a data folder, which a server may use.
pub(super) async fn check(data: &Path, is_in_use: bool) -> Found {
    let path = data.join(DATABASE_FILE);
    if data.join(RESTORING_FILE).exists() {
        return interrupted(data).into();
    }
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => {
            return Check::skipped("database", "the server creates it at its start").into();
        }
        Err(error) => {
            return unreadable("read", &path, &error).into();
        }
    }
    // Without them nothing is in the write-ahead log, and SQLite would create them.
    let is_idle = !is_in_use && !data.join(format!("{DATABASE_FILE}-wal")).exists();
    let inspection = match Inspection::open(&path, is_idle).await {
        Ok(inspection) => inspection,
        Err(error) => {
            return unreadable("open", &path, &error).into();
        }
    };
    let damage = match inspection.damage().await {
        None => Check::ok("database", format!("`{}` is not damaged", path.display())),
        Some(finding) => damaged(&path, &finding),
    };
    let schema = match inspection.schema().await {
        Ok(schema) => judge(&schema),
        Err(error) => of_another_program(&path, &error),
    };
    let last_webhook = inspection.last_webhook().await.ok().flatten();
    inspection.close().await;
    Found {
        checks: vec![damage, schema],
        last_webhook,
    }
}

const AS_SERVER: &str = "run this command as the server's user";

/// Returns the failure of a data folder that is not restored.
pub(super) fn interrupted(data: &Path) -> Check {
    let message = format!("`restore` into `{}` was interrupted", data.display());
    Check::failure("database", message, "run it again, or empty the folder")
}

/// Returns the failure of a file that this user cannot read or open.
pub(super) fn unreadable(what: &str, path: &Path, error: &dyn Display) -> Check {
    let message = format!("cannot {what} `{}`: {error}", path.display());
    Check::failure("database", message, AS_SERVER)
}

/// Returns the failure of a damaged database.
pub(super) fn damaged(path: &Path, finding: &str) -> Check {
    Check::failure(
        "database",
        format!("`{}` is damaged ({finding})", path.display()),
        "stop the server, move the file aside with its -wal and -shm files, and restore the newest backup",
    )
}

/// Returns the failure of a database without the migrations of a server.
pub(super) fn of_another_program(path: &Path, error: &dyn Display) -> Check {
    Check::failure(
        "migrations",
        format!(
            "`{}` is not a database of the server: {error}",
            path.display()
        ),
        "set --data-dir to the server's data folder, or restore a backup",
    )
}

/// Judges the migrations of a database.
pub(super) fn judge(schema: &Schema) -> Check {
    const NAME: &str = "migrations";
    match schema {
        Schema::Current { count } => Check::ok(NAME, format!("all {count} are applied")),
        Schema::Older { applied, known } => Check::warning(
            NAME,
            format!("{applied} of {known} are applied: an older version wrote the database"),
            "run `buildbtw-server backup`, then restart the server, which applies the others",
        ),
        Schema::Newer { version } => Check::failure(
            NAME,
            format!("a newer version wrote the database: this program lacks migration {version}"),
            "install the version that wrote it, or restore a backup of this version",
        ),
        Schema::Different { version } => Check::failure(
            NAME,
            format!("migration {version} of the database differs from that of this program"),
            "install the version that wrote it, or restore a backup of this version",
        ),
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::*;
    use crate::db::Database;
    use crate::time::Clock;

    #[test]
    fn judges_schema_of_other_versions() {
        let older = judge(&Schema::Older {
            applied: 3,
            known: 4,
        });
        assert_eq!(older.status, Status::Warning);
        assert!(older.message.starts_with("3 of 4"), "{older:?}");
        for schema in [
            Schema::Newer { version: 9 },
            Schema::Different { version: 9 },
        ] {
            let check = judge(&schema);
            assert_eq!(check.status, Status::Failure);
            assert!(check.message.contains("migration 9"), "{check:?}");
        }
    }

    #[tokio::test]
    async fn checks_database_at_rest_and_a_damaged_one() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        assert_eq!(check(data, false).await.checks[0].status, Status::Skipped);
        let path = data.join(DATABASE_FILE);
        let database = Database::open(&path, Clock::default()).await.unwrap();
        database.close().await;
        let found = check(data, false).await;
        let states: Vec<_> = found.checks.iter().map(|check| check.status).collect();
        assert_eq!(states, [Status::Ok, Status::Ok]);
        fs_err::write(
            &path,
            "not a database, but long enough to have a header of one",
        )
        .unwrap();
        let found = check(data, false).await;
        let states = found.checks.iter().map(|check| check.status);
        assert!(states.clone().all(|status| status == Status::Failure));
        fs_err::write(data.join(RESTORING_FILE), "").unwrap();
        let found = check(data, false).await;
        assert!(found.checks[0].message.contains("interrupted"));
    }
}
