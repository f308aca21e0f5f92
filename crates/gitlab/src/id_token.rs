//! ID tokens of CI jobs: signed by GitLab, verified with the keys that it publishes. What a job may do with one is
//! decided by the caller.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buildbtw_model::{JobId, PipelineId, ProjectId};
use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Deserializer};
use tokio::time::Instant;

use crate::client::Gitlab;
use crate::error::{GitlabError, GitlabErrorKind};
use crate::http::{Http, RetryBudget, Subject};

/// The tolerated difference between the clocks.
const LEEWAY_S: u64 = 60;
/// GitLab allows caching its keys for a day.
const KEYS_TTL: Duration = Duration::from_secs(24 * 3600);
/// Tokens with unknown key IDs cannot cause more frequent requests.
const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(10);
/// GitLab's tokens are shorter, even with all claims.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Verifies ID tokens of one GitLab for one audience.
pub struct IdTokens {
    http: Arc<Http>,
    issuer: String,
    audience: String,
    keys: Mutex<Keys>,
    /// Held while the keys are requested from GitLab.
    fetching: tokio::sync::Mutex<()>,
}

/// The result of looking up a key by its ID.
enum CachedKey {
    /// The key, fetched within [`KEYS_TTL`].
    Fresh(DecodingKey),
    /// The key, fetched longer ago.
    Stale(DecodingKey),
    /// No key of this ID.
    Missing,
}

#[derive(Default)]
struct Keys {
    by_id: HashMap<String, DecodingKey>,
    fetched_at: Option<Instant>,
    attempted_at: Option<Instant>,
}

/// The claims of a job's ID token.
#[derive(Clone, Debug, Deserialize)]
pub struct JobClaims {
    /// The unique ID of the token.
    pub jti: String,
    /// When it expires, in seconds.
    pub exp: i64,
    /// When it was issued, in seconds.
    #[serde(default)]
    pub iat: Option<i64>,
    /// The job.
    #[serde(deserialize_with = "number")]
    pub job_id: JobId,
    /// Its pipeline.
    #[serde(deserialize_with = "number")]
    pub pipeline_id: PipelineId,
    /// What triggered the pipeline.
    #[serde(default)]
    pub pipeline_source: Option<String>,
    /// The project of the source: for the merge request of a fork, the fork.
    #[serde(deserialize_with = "number")]
    pub project_id: ProjectId,
    /// The project that runs the job, if GitLab reports it separately.
    #[serde(default, deserialize_with = "optional_number")]
    pub job_project_id: Option<ProjectId>,
    /// The branch or tag.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The commit of the pipeline.
    #[serde(default)]
    pub sha: Option<String>,
    /// Whether the ref is protected.
    #[serde(default)]
    pub ref_protected: Option<String>,
    /// The origin of the CI configuration: null unless it comes from the project itself, absent in versions of
    /// GitLab that do not report it.
    #[serde(default, deserialize_with = "present")]
    pub ci_config_ref_uri: Option<Option<String>>,
}

impl JobClaims {
    /// Returns the lifetime of the token, which GitLab sets to the timeout of the job.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        let lifetime = u64::try_from(self.exp.checked_sub(self.iat?)?).ok()?;
        (lifetime > 0).then(|| Duration::from_secs(lifetime))
    }
}

/// The reason for which an ID token is not accepted.
#[derive(Debug)]
pub enum IdTokenError {
    /// The token is invalid.
    Refused(String),
    /// It has a key ID that GitLab did not know when its keys were fetched a moment ago.
    UnknownKey(GitlabError),
    /// GitLab's keys cannot be fetched.
    Unavailable(GitlabError),
}

impl fmt::Display for IdTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => f.write_str(reason),
            Self::UnknownKey(error) | Self::Unavailable(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for IdTokenError {}

impl IdTokens {
    /// Creates a verifier of tokens for `audience`. `issuer` is the expected issuer claim, by default GitLab's URL.
    #[must_use]
    pub fn new(gitlab: &Gitlab, issuer: Option<String>, audience: String) -> Self {
        let address = gitlab.settings().url.as_str().trim_end_matches('/');
        Self {
            http: Arc::clone(&gitlab.http),
            issuer: issuer.unwrap_or_else(|| address.to_owned()),
            audience,
            keys: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Verifies a token of a job and returns its claims. Unknown keys are requested from GitLab only if
    /// `may_fetch`.
    ///
    /// # Errors
    /// When the token is invalid, or its key is not available.
    pub async fn verify(&self, token: &str, may_fetch: bool) -> Result<JobClaims, IdTokenError> {
        let refused = |reason: String| IdTokenError::Refused(reason);
        if token.len() > MAX_TOKEN_BYTES {
            return Err(refused("it is too long for an ID token".to_owned()));
        }
        let header =
            decode_header(token).map_err(|_| refused("it is not a signed ID token".to_owned()))?;
        // Pinned: the algorithm that the token itself names is never used.
        if header.alg != Algorithm::RS256 {
            return Err(refused(format!(
                "it is signed with {:?} instead of RS256",
                header.alg
            )));
        }
        let Some(key_id) = header.kid else {
            return Err(refused("it has no key ID".to_owned()));
        };
        let key = self.key(&key_id, may_fetch).await?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let claims = decode::<serde_json::Value>(token, &key, &validation)
            .map_err(|error| refused(self.describe(&error)))?
            .claims;
        job_claims(claims).map_err(refused)
    }

    fn describe(&self, error: &jsonwebtoken::errors::Error) -> String {
        use jsonwebtoken::errors::ErrorKind;
        match error.kind() {
            ErrorKind::ExpiredSignature => "it has expired".to_owned(),
            ErrorKind::ImmatureSignature => {
                "it is not valid yet; compare the clocks of GitLab and this server".to_owned()
            }
            ErrorKind::InvalidIssuer => format!("it was not issued by {}", self.issuer),
            ErrorKind::InvalidAudience => {
                format!("it is for another audience than {}", self.audience)
            }
            ErrorKind::InvalidSignature => "its signature is wrong".to_owned(),
            ErrorKind::MissingRequiredClaim(claim) => format!("it has no claim `{claim}`"),
            other => format!("{other:?}"),
        }
    }

    /// Returns the key of an ID. While keys are being fetched, tokens with known keys are verified with the cached
    /// ones.
    async fn key(&self, id: &str, may_fetch: bool) -> Result<DecodingKey, IdTokenError> {
        match self.cached(id) {
            CachedKey::Fresh(key) => return Ok(key),
            // One task fetches; the others use the stale key meanwhile.
            CachedKey::Stale(key) => match self.fetching.try_lock() {
                Ok(_fetching) => return self.refresh(id).await,
                Err(_) => return Ok(key),
            },
            CachedKey::Missing if !may_fetch => return Err(unknown_key()),
            CachedKey::Missing => {}
        }
        let _fetching = self.fetching.lock().await;
        // The previous holder of the lock may have fetched it.
        match self.cached(id) {
            CachedKey::Fresh(key) => Ok(key),
            CachedKey::Stale(_) | CachedKey::Missing => self.refresh(id).await,
        }
    }

    fn cached(&self, id: &str) -> CachedKey {
        let keys = self.keys();
        let is_fresh = keys.fetched_at.is_some_and(|at| at.elapsed() < KEYS_TTL);
        match keys.by_id.get(id).cloned() {
            Some(key) if is_fresh => CachedKey::Fresh(key),
            Some(key) => CachedKey::Stale(key),
            None => CachedKey::Missing,
        }
    }

    /// Fetches GitLab's keys, unless that was attempted within [`MIN_FETCH_INTERVAL`], and returns the one of an
    /// ID.
    async fn refresh(&self, id: &str) -> Result<DecodingKey, IdTokenError> {
        let may_fetch = {
            let mut keys = self.keys();
            let may_fetch = keys
                .attempted_at
                .is_none_or(|at| at.elapsed() >= MIN_FETCH_INTERVAL);
            if may_fetch {
                keys.attempted_at = Some(Instant::now());
            }
            may_fetch
        };
        if may_fetch {
            match self.fetch().await {
                Ok(fetched) => {
                    let mut keys = self.keys();
                    keys.by_id = fetched;
                    keys.fetched_at = Some(Instant::now());
                }
                // During an outage of GitLab its keys most likely stay the same.
                Err(error) => match self.keys().by_id.get(id).cloned() {
                    Some(key) => {
                        tracing::warn!(
                            error = error.to_string(),
                            "cannot refresh GitLab's signing keys; using the cached ones"
                        );
                        return Ok(key);
                    }
                    None => return Err(IdTokenError::Unavailable(error)),
                },
            }
        }
        match self.keys().by_id.get(id).cloned() {
            Some(key) => Ok(key),
            None if may_fetch => Err(no_key()),
            // GitLab may have a new key by now; the next fetch shows it.
            None => Err(unknown_key()),
        }
    }

    /// Returns the cached keys. The guard must not be held across an await.
    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches the keys that GitLab signs with (RFC 7517).
    async fn fetch(&self) -> Result<HashMap<String, DecodingKey>, GitlabError> {
        let subject = Subject {
            request: "read signing keys",
            about: "ID tokens",
        };
        let response = self
            .http
            .get(subject, "oauth/discovery/keys", RetryBudget::Interactive)
            .await?;
        let set: JwkSet = response.json(subject)?;
        let keys = set.keys.iter().filter_map(|key| {
            let AlgorithmParameters::RSA(_) = &key.algorithm else {
                return None;
            };
            Some((key.common.key_id.clone()?, DecodingKey::from_jwk(key).ok()?))
        });
        Ok(keys.collect())
    }
}

fn no_key() -> IdTokenError {
    IdTokenError::Refused("GitLab has no key with its key ID".to_owned())
}

/// Returns the claims of a job, or why they are others. The same keys sign the tokens of users who log in.
fn job_claims(claims: serde_json::Value) -> Result<JobClaims, String> {
    if claims.get("job_id").is_none() || claims.get("pipeline_id").is_none() {
        return Err("it is not the token of a CI job".to_owned());
    }
    serde_json::from_value(claims)
        .map_err(|error| format!("its claims are not those of a CI job: {error}"))
}

fn unknown_key() -> IdTokenError {
    IdTokenError::UnknownKey(GitlabError {
        request: "read signing keys",
        about: "ID tokens".to_owned(),
        request_id: None,
        kind: GitlabErrorKind::Paused {
            status: 429,
            pause: Some(MIN_FETCH_INTERVAL),
        },
    })
}

/// Distinguishes null from a missing field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// Reads an ID: they are strings in GitLab's tokens.
fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + FromStr<Err: fmt::Display>,
{
    optional_number(deserializer)?.ok_or_else(|| serde::de::Error::custom("a number is missing"))
}

fn optional_number<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + FromStr<Err: fmt::Display>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        Number(T),
        Text(String),
    }
    match Option::<Either<T>>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Either::Number(number)) => Ok(Some(number)),
        Some(Either::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests;
