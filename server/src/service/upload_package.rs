//! Receives a package: hashes it while it is received, checks it against the plan, and stores it with the uploads
//! until the outcome of its attempt is accepted.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use buildbtw_model::api::{ExpectedPackage, UploadedPackage};
use buildbtw_model::{AttemptId, PackageFileName, Pkgbase, Sha256Digest};
use buildbtw_telemetry::spawn_blocking_named;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::Digest as _;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::db::expectations::{self, ForUpload};
use crate::db::packages::{self, Contents, Entries, PackageRow};
use crate::db::{Database, TokenId, attempts};
use crate::error::Error;
use crate::repos::package_file::{PackageError, PackageMetadata};
use crate::repos::{WorkPermit, sync_folder};
use crate::state::parts::AttemptParts;

use super::attempt_guard::{active_attempt, attempt_ended, check_owner, no_attempt};
use super::package_refusals;
use super::tokens::not_valid;

/// The announced properties of an upload.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The attempt it belongs to.
    pub attempt: AttemptId,
    /// Its file name.
    pub file_name: PackageFileName,
    /// The digest it must have.
    pub sha256: Sha256Digest,
    /// Its size in bytes, if the request says it.
    pub size: Option<u64>,
}

/// Stores a package of an attempt. A repeated upload of the same package gets the stored response.
///
/// # Errors
/// When the attempt has ended or belongs to another token, the build has no package of this name, the digest differs
/// from the announced one, or the file is not a package of this name.
pub async fn upload_package<E: std::fmt::Display>(
    parts: AttemptParts<'_>,
    token: TokenId,
    upload: &Upload,
    shutdown: &CancellationToken,
    body: impl Stream<Item = Result<Bytes, E>> + Send,
) -> Result<UploadedPackage, Error> {
    let permit = parts.reports.acquire().await?;
    let (reader, id) = (parts.database.read(), upload.attempt);
    let expected = expectations::for_upload(reader, id, &upload.file_name).await?;
    let expected = check_expected(expected, token, upload)?;
    let folder = parts.repos.uploads(upload.attempt);
    let path = folder.join(upload.file_name.as_str());
    if let Some(size) = expected.stored_size
        && expected.stored_sha256.as_ref() == Some(&upload.sha256)
        && fs_err::tokio::try_exists(&path).await?
    {
        return Ok(response(upload, size));
    }
    // A larger one is refused for its size, which is final.
    let announced = upload.size.unwrap_or_default();
    let announced = announced.min(parts.config.max_package_bytes);
    parts.disk.ensure_room_for(announced)?;
    // The upload may take long.
    drop(permit);
    fs_err::tokio::create_dir_all(&folder).await?;
    let partial = Partial::new(&folder, &upload.file_name);
    let size = receive(parts, &partial, &upload.sha256, body).await?;
    let permit = parts.repos.acquire_read_permit(token, size).await?;
    // The rest is not awaited when the server shuts down, or when the client has disconnected.
    let stop = shutdown.child_token();
    let _stop_when_gone = stop.clone().drop_guard();
    let limit = reading_limit(size);
    let reading = Reading { limit, stop };
    let read = read_metadata(
        &partial.path,
        upload,
        expected.pkgbase,
        size,
        permit,
        reading,
    )
    .await;
    let (row, contents, permit) = match read {
        Ok(read) => read,
        Err(error) => {
            // The uploads of an attempt that ended meanwhile are removed, and this file with them.
            active_attempt(parts.database, token, upload.attempt).await?;
            return Err(error);
        }
    };
    // A large row keeps its memory until it is stored. Uploads with the same token would wait for a commit each
    // if small rows did so, too.
    let _permit = (contents.size() > MAX_SIZE_WITHOUT_PERMIT).then_some(permit);
    keep(parts.database, token, &partial, &folder, &row, &contents).await?;
    Ok(response(upload, size))
}

/// The maximum size in bytes of a row that is stored after its permit is released.
const MAX_SIZE_WITHOUT_PERMIT: usize = 1 << 20;

/// Moves a package into the folder of its attempt, unless that has ended. Durable when it returns.
async fn keep(
    database: &Database,
    token: TokenId,
    partial: &Partial,
    folder: &Path,
    row: &PackageRow,
    contents: &Contents,
) -> Result<(), Error> {
    let mut tx = database.write().await?;
    // The packages of an ended attempt must not change, on disk or in the database. The token may have been revoked
    // during the upload.
    if !packages::put(&mut tx, token, row, contents).await? {
        let current = attempts::by_id(&mut *tx.connection(), row.attempt).await?;
        tx.undo().await?;
        let is_active = current.is_some_and(|attempt| !attempt.status.is_final());
        return Err(match is_active {
            true => not_valid(),
            false => attempt_ended(row.attempt),
        });
    }
    // No attempt ends before this transaction does.
    fs_err::tokio::rename(&partial.path, folder.join(row.file_name.as_str())).await?;
    // The bytes have been durable since they were received. The name becomes durable together with the row: without
    // either, the worker repeats the upload, which overwrites a row without a file.
    let folder = folder.to_owned();
    let synced = spawn_blocking_named("sync uploads", move || sync_folder(&folder));
    tx.commit().await?;
    synced.await??;
    Ok(())
}

fn response(upload: &Upload, size: u64) -> UploadedPackage {
    UploadedPackage {
        file_name: upload.file_name.clone(),
        size,
        sha256: upload.sha256.clone(),
    }
}

/// Checks that a token may upload a package to an attempt.
fn check_expected(
    expected: Option<ForUpload>,
    token: TokenId,
    upload: &Upload,
) -> Result<ForUpload, Error> {
    let expected = expected.ok_or_else(|| no_attempt(upload.attempt))?;
    check_owner(expected.token, token)?;
    if expected.status.is_final() {
        return Err(attempt_ended(upload.attempt));
    }
    check_name(&upload.file_name, &expected.outputs)?;
    Ok(expected)
}

/// Checks that a file is one of the build's packages or its `-debug` package.
fn check_name(file: &PackageFileName, expected: &[ExpectedPackage]) -> Result<(), Error> {
    let (name, architecture) = (file.pkgname(), file.architecture());
    let plain_name = name
        .as_str()
        .strip_suffix("-debug")
        .unwrap_or(name.as_str());
    let found = expected
        .iter()
        .find(|package| package.name == name || package.name.as_str() == plain_name);
    match found {
        None => Err(package_refusals::not_of_build(file, expected)),
        Some(package) if package.name == name && package.architecture != architecture => {
            Err(package_refusals::other_architecture(file, package))
        }
        Some(_) => Ok(()),
    }
}

/// A file that is being received; removed unless it is renamed.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn new(folder: &Path, file: &PackageFileName) -> Self {
        // Concurrent uploads of one file must not write to the same path.
        let unique: u64 = rand::random();
        let name = format!(".{unique:016x}.part");
        debug_assert!(!file.as_str().starts_with('.'));
        Self {
            path: folder.join(name),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a successful upload it no longer exists.
        let _ = fs_err::remove_file(&self.path);
    }
}

/// How many bytes are received between two measurements of the disk.
const MEASURED_EVERY: u64 = 64 << 20;

async fn receive<E: std::fmt::Display>(
    parts: AttemptParts<'_>,
    partial: &Partial,
    expected: &Sha256Digest,
    body: impl Stream<Item = Result<Bytes, E>> + Send,
) -> Result<u64, Error> {
    let limit = parts.config.max_package_bytes;
    let mut measure_at = MEASURED_EVERY;
    let mut file = fs_err::tokio::File::create(&partial.path).await?;
    let mut hasher = sha2::Sha256::new();
    let mut size = 0_u64;
    let mut body = std::pin::pin!(body);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(package_refusals::interrupted)?;
        size += chunk.len() as u64;
        if size > limit {
            return Err(package_refusals::too_large(limit));
        }
        if size >= measure_at {
            measure_at = size + MEASURED_EVERY;
            parts.disk.ensure_room()?;
        }
        hasher.update(&chunk);
        file.write_all(&chunk).await?;
    }
    let found = Sha256Digest::from_bytes(&hasher.finalize().into());
    if found != *expected {
        return Err(package_refusals::other_digest(expected, &found));
    }
    file.flush().await?;
    file.sync_all().await?;
    Ok(size)
}

/// What aborts the reading of a package.
struct Reading {
    limit: Duration,
    stop: CancellationToken,
}

async fn read_metadata(
    path: &Path,
    upload: &Upload,
    pkgbase: Pkgbase,
    size: u64,
    permit: WorkPermit,
    reading: Reading,
) -> Result<(PackageRow, Contents, WorkPermit), Error> {
    let (path, upload) = (path.to_owned(), upload.clone());
    let Reading { limit, stop } = reading;
    spawn_blocking_named("read package", move || {
        let end = Instant::now() + limit;
        let Upload {
            attempt,
            file_name,
            sha256,
            ..
        } = upload;
        let is_over = || stop.is_cancelled() || Instant::now() >= end;
        let metadata = PackageMetadata::read(&path, &file_name, &pkgbase, &is_over);
        let metadata = metadata.map_err(|error| match error {
            PackageError::Stopped if !stop.is_cancelled() => {
                package_refusals::slow_package(&file_name, limit)
            }
            error => package_refusals::unusable(&file_name, error),
        })?;
        let contents = Contents {
            sonames: metadata.sonames(),
            entries: Entries {
                desc: metadata.desc(&file_name, size, &sha256),
                files: metadata.into_files(),
            },
        };
        let row = PackageRow {
            attempt,
            pkgname: file_name.pkgname(),
            version: file_name.version(),
            architecture: file_name.architecture(),
            size,
            file_name,
            sha256,
        };
        Ok((row, contents, permit))
    })
    .await?
}

/// Returns the time limit for reading a package of this size: many times as long as a real package takes.
fn reading_limit(size: u64) -> Duration {
    const AT_LEAST_S: u64 = 30;
    const BYTES_PER_S: u64 = 8 << 20;
    Duration::from_secs(AT_LEAST_S.saturating_add(size / BYTES_PER_S))
}

#[cfg(test)]
mod tests {
    use buildbtw_model::api::ProblemKind;

    use super::*;

    /// Reads a package that never sends data, within a time limit.
    async fn read_within(limit: Duration, stop: CancellationToken) -> Error {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        let archive = zstd::bulk::compress(&vec![0; 8 << 20], 1).unwrap();
        fs_err::write(&path, archive).unwrap();
        let upload = Upload {
            attempt: AttemptId::new(),
            file_name: "a-1-1-any.pkg.tar.zst".parse().unwrap(),
            sha256: Sha256Digest::from_bytes(&[0; 32]),
            size: None,
        };
        let repos = crate::repos::Repos::new(folder.path()).unwrap();
        let permit = repos.acquire_read_permit(TokenId(1), 0).await.unwrap();
        let pkgbase = "a".parse().unwrap();
        let read = read_metadata(&path, &upload, pkgbase, 0, permit, Reading { limit, stop }).await;
        read.err().unwrap()
    }

    #[tokio::test]
    async fn rejects_slow_package_permanently_but_not_on_shutdown() {
        let over = read_within(Duration::ZERO, CancellationToken::new()).await;
        let problem = over.into_problem();
        assert_eq!(problem.kind, ProblemKind::UnexpectedPackage);
        assert!(problem.detail.unwrap().contains("took longer"));
        let stop = CancellationToken::new();
        stop.cancel();
        let stopped = read_within(Duration::ZERO, stop).await;
        assert_eq!(stopped.into_problem().kind, ProblemKind::Unavailable);
        assert!(reading_limit(1 << 30) < Duration::from_secs(200));
    }
}
