//! `backup`: copies the database while the server runs.

use std::path::Path;

use anyhow::Context as _;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::repos::sync_folder;
use crate::run::DATABASE_FILE;

/// Copies the database of a data folder to `target`, which must not exist. The copy is complete and durable
/// on success, and does not exist on failure.
///
/// # Errors
/// When there is no database, `target` exists, or the copy cannot be written.
pub async fn backup(data: &Path, target: &Path) -> anyhow::Result<u64> {
    let database = data.join(DATABASE_FILE);
    anyhow::ensure!(
        database.try_exists()?,
        "there is no database `{}`; set --data-dir to the server's data folder",
        database.display()
    );
    anyhow::ensure!(
        target.symlink_metadata().is_err(),
        "`{}` already exists; backups overwrite nothing",
        target.display()
    );
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // The copy has token hashes: it must not be readable by others, even while it is written.
    let place = tempfile::Builder::new()
        .prefix(".backup-")
        .tempdir_in(folder)
        .with_context(|| format!("cannot write to {}", folder.display()))?;
    let partial = place.path().join("database");
    let mut connection = SqliteConnectOptions::new()
        .filename(&database)
        .busy_timeout(std::time::Duration::from_secs(60))
        .connect()
        .await
        .with_context(|| format!("cannot open {}", database.display()))?;
    let name = partial.to_str().context("the path is not UTF-8")?;
    // VACUUM INTO reads one consistent state despite concurrent writes (SQLite, lang_vacuum).
    sqlx::query("vacuum into ?")
        .bind(name)
        .execute(&mut connection)
        .await
        .context("cannot copy the database")?;
    sqlx::Connection::close(connection).await?;
    let file = fs_err::File::open(&partial)?;
    fs_err::set_permissions(
        &partial,
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )?;
    file.sync_all()?;
    let size = file.metadata()?.len();
    // Unlike a rename, a link never replaces a file that was created meanwhile.
    fs_err::hard_link(&partial, target)?;
    sync_folder(folder)?;
    Ok(size)
}
