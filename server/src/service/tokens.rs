//! Tokens: random, stored as digests, shown once.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use buildbtw_model::TokenScope;
use buildbtw_model::api::{CreateToken, CreatedToken, Page, ProblemKind, TokenSummary};
use jiff::Timestamp;
use sha2::Digest as _;

use crate::db::tokens::{self, TokenRow};
use crate::db::{Database, TokenId};
use crate::error::{Error, Refusal};
use crate::service::read::paging::{List, Paging, page};
use crate::state::claim_queue::ClaimQueue;
use crate::state::token_cache::TokenCache;

/// The file in the data folder that the first admin token is written to.
pub const ADMIN_TOKEN_FILE: &str = "admin-token";

pub(super) fn hash(token: &str) -> [u8; 32] {
    sha2::Sha256::digest(token.as_bytes()).into()
}

/// Generates 256 random bits as text, with a prefix that people and secret scanners recognize.
fn random_token() -> String {
    let secret: [u8; 32] = rand::random();
    format!("bbtw_{}", URL_SAFE_NO_PAD.encode(secret))
}

/// Creates a token.
///
/// # Errors
/// When the name is empty or too long, or the token would expire at once.
pub async fn create(database: &Database, request: &CreateToken) -> Result<CreatedToken, Error> {
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Refusal::new(
            ProblemKind::InvalidRequest,
            "a token needs a name of 1 to 100 characters, without control characters",
        )
        .hint("say what it is for, for example `worker builder1`")
        .into());
    }
    if request.expires_in_s == Some(0) {
        let title = "`expires_in_s` is 0: the token would already have expired";
        return Err(Refusal::new(ProblemKind::InvalidRequest, title)
            .hint("leave it out for a token that does not expire")
            .into());
    }
    if request.scope == TokenScope::Attempt {
        let title = "tokens of scope `attempt` are created by the server, for jobs in GitLab";
        return Err(Refusal::new(ProblemKind::InvalidRequest, title)
            .hint("workers need the scope `worker`")
            .into());
    }
    let token = random_token();
    let mut tx = database.write().await?;
    let expires_at = request
        .expires_in_s
        .map(|seconds| tx.now() + Duration::from_secs(seconds.into()));
    let id = tokens::insert(&mut tx, name, request.scope, &hash(&token), expires_at).await?;
    let row = tokens::by_id(&mut *tx.connection(), id).await?;
    tx.commit().await?;
    let row = row.ok_or_else(|| anyhow::anyhow!("token {id} vanished"))?;
    tracing::info!(token.id = id.0, token.name = name, token.scope = %request.scope, "created token");
    Ok(CreatedToken {
        summary: summary(row),
        token,
    })
}

/// Returns a page of the tokens, the newest first.
///
/// # Errors
/// When the cursor or the limit is invalid.
pub async fn list(database: &Database, paging: &Paging) -> Result<Page<TokenSummary>, Error> {
    let before = paging.number(&List::Tokens.whole())?.unwrap_or(i64::MAX);
    let mut rows = tokens::page(database.read(), before, paging.rows()?).await?;
    let next = paging.cut(&List::Tokens.whole(), &mut rows, |row| row.id.0.to_string())?;
    Ok(page(rows, next, summary))
}

/// Revokes a token with immediate effect, also for claims that wait with it. `force` revokes even the last valid
/// admin token; a token that expires earlier does not replace it.
///
/// # Errors
/// When there is no token with this id, or it is the last valid admin token.
pub async fn revoke(
    database: &Database,
    cache: &TokenCache,
    claims: &ClaimQueue,
    number: TokenId,
    force: bool,
) -> Result<TokenSummary, Error> {
    let mut tx = database.write().await?;
    let row = tokens::by_id(&mut *tx.connection(), number).await?;
    let row = row.ok_or_else(|| no_token(number))?;
    let now = tx.now();
    if !force && row.is_valid(now) && row.scope == TokenScope::Admin {
        let scope = TokenScope::Admin;
        if !tokens::any_valid(&mut *tx.connection(), scope, Some(&row), now).await? {
            let is_only = tokens::all(&mut *tx.connection())
                .await?
                .iter()
                .all(|other| other.id == number || other.scope != scope || !other.is_valid(now));
            tx.undo().await?;
            return Err(last_admin_token(&row, is_only));
        }
    }
    tokens::revoke(&mut tx, number).await?;
    let row = tokens::by_id(&mut *tx.connection(), number).await?;
    tx.commit().await?;
    cache.clear();
    claims.revoked(number);
    let row = row.ok_or_else(|| no_token(number))?;
    tracing::info!(token.id = number.0, token.name = row.name, "revoked token");
    Ok(summary(row))
}

pub(super) fn no_token(number: TokenId) -> Error {
    Error::not_found(format!("token {number}")).hint("`buildbtw token list` lists all tokens")
}

/// Creates the refusal to revoke an admin token that no other one outlasts.
pub(super) fn last_admin_token(row: &TokenRow, is_only: bool) -> Error {
    let mut title = format!("token {} is the last valid admin token", row.id);
    let mut detail = "without it, tokens can no longer be created or revoked";
    if !is_only {
        match row.expires_at {
            Some(at) => title.push_str(&format!(" that is valid until {}", Timestamp::from(at))),
            None => title.push_str(" that does not expire"),
        }
        detail =
            "the others expire earlier; after that, tokens can no longer be created or revoked";
    }
    Refusal::new(ProblemKind::Conflict, title)
    .detail(detail)
    .hint(format!(
        "create another one first with `buildbtw token create --scope admin --name NAME`, or revoke it \
         with --force; the server then writes a new one to DATA_DIR/{ADMIN_TOKEN_FILE} at its next start"
    ))
    .into()
}

/// Creates the refusal of an invalid token.
pub(crate) fn not_valid() -> Error {
    Refusal::new(
        ProblemKind::Unauthenticated,
        "the token is unknown, expired or revoked",
    )
    .hint("`buildbtw login` stores another one")
    .into()
}

/// Returns how to get a new admin token, if the given token was the last valid one.
///
/// # Errors
/// When the database cannot be read.
pub async fn recovery_hint(database: &Database, token: &str) -> Result<Option<String>, Error> {
    let reader = database.read();
    let row = tokens::by_hash(reader, &hash(token)).await?;
    let was_admin = row.is_some_and(|row| row.scope == TokenScope::Admin);
    let now = database.clock().now();
    if !was_admin || tokens::any_valid(reader, TokenScope::Admin, None, now).await? {
        return Ok(None);
    }
    Ok(Some(format!(
        "no valid admin token is left; restart the server to have a new one written to \
         DATA_DIR/{ADMIN_TOKEN_FILE}"
    )))
}

/// Returns the token with this text, if it is valid.
///
/// # Errors
/// When the database cannot be read.
pub async fn authenticate(
    database: &Database,
    cache: &TokenCache,
    token: &str,
) -> Result<Option<TokenRow>, Error> {
    // Looked up by digest, so that the time of a comparison reveals nothing about a secret.
    let hash = hash(token);
    let is_valid = |row: &TokenRow| row.is_valid(database.clock().now());
    let lookup = match cache.get(&hash) {
        Ok(row) => return Ok(Some(row).filter(is_valid)),
        Err(lookup) => lookup,
    };
    let row = tokens::by_hash(database.read(), &hash).await?;
    let row = row.filter(is_valid);
    if let Some(row) = &row {
        cache.insert(lookup, hash, row.clone());
    }
    Ok(row)
}

/// Creates the first admin token and writes it to a file that only the server's user can read, unless a valid admin
/// token exists.
///
/// # Errors
/// When the file or the database cannot be written.
pub async fn ensure_admin_token(database: &Database, data: &Path) -> Result<(), Error> {
    let now = database.clock().now();
    if tokens::any_valid(database.read(), TokenScope::Admin, None, now).await? {
        return Ok(());
    }
    let token = random_token();
    let path = data.join(ADMIN_TOKEN_FILE);
    // The file first: a token that cannot be read would lock out all administrators.
    write_secret(&path, &token)?;
    let mut tx = database.write().await?;
    tokens::insert(
        &mut tx,
        "first admin token",
        TokenScope::Admin,
        &hash(&token),
        None,
    )
    .await?;
    tx.commit().await?;
    tracing::info!(path = %path.display(), "wrote the first admin token");
    Ok(())
}

fn write_secret(path: &Path, token: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    // Temporary files are created with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{token}")?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn summary(row: TokenRow) -> TokenSummary {
    TokenSummary {
        id: row.id,
        name: row.name,
        scope: row.scope,
        created_at: row.created_at.into(),
        expires_at: row.expires_at.map(Into::into),
        revoked_at: row.revoked_at.map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::open_database;
    use crate::time::Clock;

    fn request(name: &str, scope: TokenScope) -> CreateToken {
        CreateToken {
            name: name.to_owned(),
            scope,
            expires_in_s: None,
        }
    }

    #[tokio::test]
    async fn rejects_token_immediately_after_revocation() {
        let folder = tempfile::tempdir().unwrap();
        let database = &open_database(folder.path(), Clock::default()).await;
        let (cache, claims) = (&TokenCache::default(), &ClaimQueue::default());
        let worker = request("worker", TokenScope::Worker);
        let created = create(database, &worker).await.unwrap();
        let known = authenticate(database, cache, &created.token).await.unwrap();
        assert_eq!(known.unwrap().name, "worker");
        let id = created.summary.id;
        revoke(database, cache, claims, id, false).await.unwrap();
        let known = authenticate(database, cache, &created.token).await.unwrap();
        assert!(known.is_none());
    }

    #[tokio::test]
    async fn keeps_the_last_admin_token() {
        let folder = tempfile::tempdir().unwrap();
        let database = &open_database(folder.path(), Clock::default()).await;
        let (cache, claims) = (&TokenCache::default(), &ClaimQueue::default());
        let admin = request("admin", TokenScope::Admin);
        let first = create(database, &admin).await.unwrap().summary.id;
        let refused = revoke(database, cache, claims, first, false).await;
        let refused = refused.unwrap_err().into_problem();
        assert_eq!(refused.kind, ProblemKind::Conflict);
        create(database, &admin).await.unwrap();
        revoke(database, cache, claims, first, false).await.unwrap();
    }
}
