//! ID tokens of CI jobs: signed by GitLab, checked against the keys it publishes. What a job may do
//! with one is decided elsewhere.

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
use crate::http::{Http, Patience, Subject};

/// How far the clocks may be apart.
const LEEWAY_S: u64 = 60;
/// GitLab lets its keys be kept for a day.
const KEYS_LAST: Duration = Duration::from_secs(24 * 3600);
/// Tokens with unknown keys cannot make us ask more often.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// No token of GitLab is longer, even with all claims there are.
const MAX_TOKEN: usize = 16 * 1024;

/// Checks ID tokens of one GitLab for one audience.
pub struct IdTokens {
    http: Arc<Http>,
    issuer: String,
    audience: String,
    keys: Mutex<Keys>,
    /// Held by the one who asks GitLab for its keys.
    asking: tokio::sync::Mutex<()>,
}

/// A key by its name.
enum Known {
    /// GitLab has it.
    Fresh(DecodingKey),
    /// GitLab had it a day ago.
    Stale(DecodingKey),
    /// GitLab was not asked, or did not have it.
    Nothing,
}

#[derive(Default)]
struct Keys {
    known: HashMap<String, DecodingKey>,
    fetched_at: Option<Instant>,
    asked_at: Option<Instant>,
}

/// What a job's ID token says about it.
#[derive(Clone, Debug, Deserialize)]
pub struct JobClaims {
    /// The token's own id: no other token has it.
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
    /// What made the pipeline.
    #[serde(default)]
    pub pipeline_source: Option<String>,
    /// The project whose source it is: for the merge request of a fork, the fork.
    #[serde(deserialize_with = "number")]
    pub project_id: ProjectId,
    /// The project that runs the job, where GitLab tells it apart.
    #[serde(default, deserialize_with = "optional_number")]
    pub job_project_id: Option<ProjectId>,
    /// The branch or tag.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The commit that the pipeline is of.
    #[serde(default)]
    pub sha: Option<String>,
    /// Whether only some may push to it.
    #[serde(default)]
    pub ref_protected: Option<String>,
    /// Where the CI configuration came from: null unless from the project itself, and not there at all
    /// in a GitLab that does not say.
    #[serde(default, deserialize_with = "present")]
    pub ci_config_ref_uri: Option<Option<String>>,
    /// The runner.
    #[serde(default)]
    pub runner_id: Option<u64>,
}

impl JobClaims {
    /// How long the token lives, in seconds: GitLab makes that how long the job may run.
    #[must_use]
    pub fn lifetime_s(&self) -> Option<i64> {
        let lifetime = self.exp.checked_sub(self.iat?)?;
        (lifetime > 0).then_some(lifetime)
    }
}

/// Why an ID token is not accepted.
#[derive(Debug)]
pub enum IdTokenError {
    /// It is not good.
    Refused(String),
    /// It names a key that GitLab did not have a moment ago, when it was asked last.
    UnknownKey(GitlabError),
    /// GitLab's keys are not to be had now.
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
    /// Checks the tokens of a GitLab that are meant for `audience`. `issuer` is what GitLab calls itself
    /// in them, its address unless it is told otherwise.
    #[must_use]
    pub fn new(gitlab: &Gitlab, issuer: Option<String>, audience: String) -> Self {
        let address = gitlab.settings().url.as_str().trim_end_matches('/');
        Self {
            http: Arc::clone(&gitlab.http),
            issuer: issuer.unwrap_or_else(|| address.to_owned()),
            audience,
            keys: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The claims of a token that GitLab made for a job and for us. Only with `may_ask` is GitLab asked for
    /// a key that is not known.
    ///
    /// # Errors
    /// When it did not, or its keys cannot be read.
    pub async fn verify(&self, token: &str, may_ask: bool) -> Result<JobClaims, IdTokenError> {
        let refused = |reason: String| IdTokenError::Refused(reason);
        if token.len() > MAX_TOKEN {
            return Err(refused("it is too long for an ID token".to_owned()));
        }
        let header =
            decode_header(token).map_err(|_| refused("it is not a signed ID token".to_owned()))?;
        // Pinned: what the token itself says about how to check it is never followed.
        if header.alg != Algorithm::RS256 {
            return Err(refused(format!(
                "it is signed with {:?} instead of RS256",
                header.alg
            )));
        }
        let Some(key_id) = header.kid else {
            return Err(refused("it has no key ID".to_owned()));
        };
        let key = self.key(&key_id, may_ask).await?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let claims = decode::<serde_json::Value>(token, &key, &validation)
            .map_err(|error| refused(self.in_words(&error)))?
            .claims;
        // The same keys sign the tokens of people who log in.
        if claims.get("job_id").is_none() || claims.get("pipeline_id").is_none() {
            return Err(refused("it is not the token of a CI job".to_owned()));
        }
        serde_json::from_value(claims)
            .map_err(|error| refused(format!("its claims are not those of a CI job: {error}")))
    }

    fn in_words(&self, error: &jsonwebtoken::errors::Error) -> String {
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
            other => format!("{other:?}"),
        }
    }

    /// The key of a name. While GitLab is asked, tokens with known keys are checked all the same.
    async fn key(&self, id: &str, may_ask: bool) -> Result<DecodingKey, IdTokenError> {
        match self.known(id) {
            Known::Fresh(key) => return Ok(key),
            // One asks; the others take the key of yesterday meanwhile.
            Known::Stale(key) => match self.asking.try_lock() {
                Ok(_asking) => return self.ask(id).await,
                Err(_) => return Ok(key),
            },
            Known::Nothing if !may_ask => return Err(unknown_key()),
            Known::Nothing => {}
        }
        let _asking = self.asking.lock().await;
        // Whoever asked before may have brought it.
        match self.known(id) {
            Known::Fresh(key) => Ok(key),
            Known::Stale(_) | Known::Nothing => self.ask(id).await,
        }
    }

    fn known(&self, id: &str) -> Known {
        let keys = self.keys();
        let is_fresh = keys.fetched_at.is_some_and(|at| at.elapsed() < KEYS_LAST);
        match keys.known.get(id).cloned() {
            Some(key) if is_fresh => Known::Fresh(key),
            Some(key) => Known::Stale(key),
            None => Known::Nothing,
        }
    }

    /// Asks GitLab for its keys, unless that was done a moment ago, and takes the one of a name.
    async fn ask(&self, id: &str) -> Result<DecodingKey, IdTokenError> {
        let may_ask = {
            let mut keys = self.keys();
            let may_ask = keys.asked_at.is_none_or(|at| at.elapsed() >= ASK_AGAIN);
            if may_ask {
                keys.asked_at = Some(Instant::now());
            }
            may_ask
        };
        if may_ask {
            match self.fetch().await {
                Ok(fetched) => {
                    let mut keys = self.keys();
                    keys.known = fetched;
                    keys.fetched_at = Some(Instant::now());
                }
                // A GitLab that is down for a while has not changed its keys.
                Err(error) => match self.keys().known.get(id).cloned() {
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
        match self.keys().known.get(id).cloned() {
            Some(key) => Ok(key),
            None if may_ask => Err(IdTokenError::Refused(
                "GitLab has no key with its key ID".to_owned(),
            )),
            // GitLab may have new ones, which it will be asked for.
            None => Err(unknown_key()),
        }
    }

    /// The keys that are known now. Nothing is waited for while they are held.
    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the keys that GitLab signs with (RFC 7517).
    async fn fetch(&self) -> Result<HashMap<String, DecodingKey>, GitlabError> {
        let subject = Subject {
            request: "read signing keys",
            about: "ID tokens",
        };
        let answer = self
            .http
            .get(subject, "oauth/discovery/keys", Patience::Short)
            .await?;
        let set: JwkSet = answer.json(subject)?;
        let keys = set.keys.iter().filter_map(|key| {
            let AlgorithmParameters::RSA(_) = &key.algorithm else {
                return None;
            };
            Some((key.common.key_id.clone()?, DecodingKey::from_jwk(key).ok()?))
        });
        Ok(keys.collect())
    }
}

fn unknown_key() -> IdTokenError {
    IdTokenError::UnknownKey(GitlabError {
        request: "read signing keys",
        about: "ID tokens".to_owned(),
        request_id: None,
        kind: GitlabErrorKind::Paused {
            status: 429,
            pause: Some(ASK_AGAIN),
        },
    })
}

/// Tells null from nothing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// Numbers of GitLab's things are texts in its tokens.
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
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::{CloneBy, GitlabSettings, WebhookSecrets};

    /// Verifies the tokens of a GitLab at this address.
    fn id_tokens(folder: &std::path::Path, address: std::net::SocketAddr) -> IdTokens {
        let token_file = folder.join("token");
        fs_err::write(&token_file, "glpat-x").unwrap();
        let settings = GitlabSettings {
            url: format!("http://{address}").parse().unwrap(),
            group: "packages".to_owned(),
            token_file,
            proxy: None,
            ca: None,
            poll: Duration::from_secs(60),
            clone_by: CloneBy::Https,
            webhook: WebhookSecrets::default(),
            writes: true,
        };
        let gitlab = Gitlab::new(settings).unwrap();
        IdTokens::new(&gitlab, None, "here".to_owned())
    }

    #[tokio::test]
    async fn uses_known_keys_while_fetching_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        // Accepts connections and never responds.
        let gitlab = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tokens = id_tokens(folder.path(), gitlab.local_addr().unwrap());
        {
            let mut keys = tokens.keys();
            let key = DecodingKey::from_secret(b"secret");
            keys.known.insert("known".to_owned(), key);
            keys.fetched_at = Some(Instant::now());
        }
        let mut unknown = std::pin::pin!(tokens.key("unknown", true));
        let _connection = tokio::select! {
            _ = &mut unknown => panic!("a result without GitLab"),
            connection = gitlab.accept() => connection.unwrap(),
        };
        assert!(tokens.key("known", true).await.is_ok());
        // The previous keys are used while new ones are requested.
        tokens.keys().fetched_at = None;
        assert!(tokens.key("known", true).await.is_ok());
        assert!(matches!(
            futures_util::poll!(unknown),
            std::task::Poll::Pending
        ));
    }
}
