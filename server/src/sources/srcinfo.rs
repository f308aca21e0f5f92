//! Parses and stores `.SRCINFO` texts.

use buildbtw_model::{Pkgbase, Sha256Digest, SourceProblemKind};
use buildbtw_planner::{SourcePackage, parse_srcinfo};

use crate::db::source_repositories::SourceProblem;
use crate::db::srcinfos::{self, SrcinfoRow};
use crate::db::{Database, WriteTransaction};
use crate::error::Error;

use super::catalog::PARSER;
use super::kind::{REGENERATE, TreeAtCommit, invalid_srcinfo};

/// Parses the `.SRCINFO` of a tree. `expected` is its required pkgbase, if that is known.
pub(super) fn parse(
    tree: &TreeAtCommit,
    expected: Option<&Pkgbase>,
) -> Result<SourcePackage, SourceProblem> {
    let text = tree.srcinfo.as_ref().map_err(Clone::clone)?;
    let package =
        parse_srcinfo(text).map_err(|error| invalid_srcinfo(format!(".SRCINFO: {error}")))?;
    match expected {
        Some(expected) if expected != package.pkgbase() => Err(SourceProblem::new(
            SourceProblemKind::Misnamed,
            format!(
                ".SRCINFO has pkgbase `{}` instead of `{expected}`",
                package.pkgbase()
            ),
        )
        .hint(REGENERATE)),
        _ => Ok(package),
    }
}

/// Returns the digest of a text.
pub(super) fn digest(text: &str) -> Sha256Digest {
    use sha2::Digest as _;
    Sha256Digest::from_bytes(&sha2::Sha256::digest(text.as_bytes()).into())
}

/// Stores a text with its parsed form.
pub(super) async fn put(
    tx: &mut WriteTransaction,
    sha256: &Sha256Digest,
    text: &str,
    package: &SourcePackage,
) -> Result<(), Error> {
    let row = SrcinfoRow {
        sha256: sha256.clone(),
        text: text.to_owned(),
        parsed: package.as_stored().to_owned(),
        parser: PARSER,
    };
    srcinfos::put(tx, &row).await?;
    Ok(())
}

/// Returns the digest of an `.SRCINFO` that was read.
pub(super) fn digest_of(text: &Result<String, SourceProblem>) -> Result<Sha256Digest, Error> {
    Ok(digest(readable(text)?))
}

fn readable(text: &Result<String, SourceProblem>) -> Result<&String, Error> {
    let read = text.as_ref();
    Ok(read.map_err(|problem| anyhow::anyhow!("{}", problem.message))?)
}

/// Stores the `.SRCINFO` of an origin changeset.
pub(super) async fn store(
    database: &Database,
    text: &Result<String, SourceProblem>,
    package: &SourcePackage,
) -> Result<Sha256Digest, Error> {
    let text = readable(text)?;
    let sha256 = digest(text);
    // Most often it is stored already. It is stored again if it could be deleted as unused before the plan refers
    // to it.
    if srcinfos::is_kept(database.read(), &sha256).await? {
        return Ok(sha256);
    }
    let mut tx = database.write().await?;
    put(&mut tx, &sha256, text, package).await?;
    tx.commit().await?;
    Ok(sha256)
}
