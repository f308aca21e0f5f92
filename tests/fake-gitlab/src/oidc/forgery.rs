//! Valid and forged tokens for tests.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::claims;
use super::keys::header;
use crate::state::jobs::JobId;
use crate::{FakeGitlab, ProjectId};

/// Who signs a token, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The key of job tokens, which is the right one.
    Ci,
    /// The key of login tokens.
    LoginProvider,
    /// An unpublished key with the id of the right one.
    UnpublishedKey,
    /// No key: `alg` is `none` and the signature is empty.
    Unsigned,
    /// The public half of the right key, used as an HS256 secret.
    PublicKeyAsSecret,
}

/// A token that is not signed yet.
#[derive(Clone)]
pub struct IdToken {
    gitlab: FakeGitlab,
    claims: Map<String, Value>,
    key_id: Option<String>,
    signer: Signer,
}

impl FakeGitlab {
    /// Returns the valid token of a job for an audience.
    pub fn job_id_token(&self, job: JobId, audience: &str) -> Result<String> {
        self.id_token(job, audience)?.sign()
    }

    /// Returns the token of a job for an audience, to be changed before it is signed.
    pub fn id_token(&self, job: JobId, audience: &str) -> Result<IdToken> {
        let state = self.state();
        let row = state.jobs.get(&job.0).cloned();
        let row = row.with_context(|| format!("job {job} does not exist"))?;
        let claims = claims::of_job(self, &state, &row, &json!(audience))?;
        drop(state);
        Ok(self.unsigned(claims, Signer::Ci))
    }

    /// Returns the token of a user who logs in to an application: its key is published, too, but it belongs to no job.
    pub fn login_token(&self, user: u64, client: &str) -> Result<IdToken> {
        let claims = claims::of_login(self, &self.state(), user, client)?;
        Ok(self.unsigned(claims, Signer::LoginProvider))
    }

    fn unsigned(&self, claims: Map<String, Value>, signer: Signer) -> IdToken {
        IdToken {
            gitlab: self.clone(),
            claims,
            key_id: None,
            signer,
        }
    }

    /// Rotates the key of job tokens. The old key stays published if requested.
    pub fn rotate_keys(&self, keep_old: bool) {
        self.shared.keys.rotate(keep_old);
    }
}

impl IdToken {
    /// Sets or adds a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Removes a claim.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Returns the current claims.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Changes the audience.
    #[must_use]
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// Changes the issuer.
    #[must_use]
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", issuer)
    }

    /// Changes the project to another one.
    pub fn other_project(self, project: ProjectId) -> Result<Self> {
        let row = self.gitlab.project(project)?;
        let this = self
            .claim("project_id", project.to_string())
            .claim("project_path", row.full_path.clone())
            .claim("namespace_path", row.namespace())
            .claim("job_project_id", project.to_string())
            .claim("job_project_path", row.full_path.clone())
            .claim("job_namespace_path", row.namespace());
        Ok(this)
    }

    /// Changes the token to that of a fork's merge request: the project is the fork, the job runs in the same place.
    pub fn from_fork(self, fork: ProjectId) -> Result<Self> {
        let row = self.gitlab.project(fork)?;
        let this = self
            .claim("project_id", fork.to_string())
            .claim("project_path", row.full_path.clone())
            .claim("namespace_path", row.namespace())
            .claim("pipeline_source", "merge_request_event")
            .claim("ref_protected", "false");
        Ok(this)
    }

    /// Makes the token expire an hour ago.
    #[must_use]
    pub fn expired(self) -> Self {
        let now = self.gitlab.clock().now().as_second();
        self.claim("iat", now - 7_200)
            .claim("nbf", now - 7_205)
            .claim("exp", now - 3_600)
    }

    /// Sets the key id, whatever the signing key.
    #[must_use]
    pub fn key_id(mut self, id: &str) -> Self {
        self.key_id = Some(id.to_owned());
        self
    }

    /// Sets the signer.
    #[must_use]
    pub fn signer(mut self, signer: Signer) -> Self {
        self.signer = signer;
        self
    }

    /// Signs the token.
    pub fn sign(&self) -> Result<String> {
        let keys = &self.gitlab.shared.keys;
        let named = |own: &str| self.key_id.clone().unwrap_or_else(|| own.to_owned());
        match self.signer {
            Signer::Ci => keys.ci().sign(&header(&named(&keys.ci().id)), &self.claims),
            Signer::LoginProvider => {
                let key = keys.provider();
                key.sign(&header(&named(&key.id)), &self.claims)
            }
            Signer::UnpublishedKey => {
                let id = named(&keys.ci().id);
                keys.unpublished_key().sign(&header(&id), &self.claims)
            }
            Signer::Unsigned => {
                let id = named(&keys.ci().id);
                Ok(format!("{}.", self.body("none", &id)))
            }
            Signer::PublicKeyAsSecret => {
                let key = keys.ci();
                let body = self.body("HS256", &named(&key.id));
                let mut mac = Hmac::<Sha256>::new_from_slice(key.modulus.as_bytes())?;
                mac.update(body.as_bytes());
                let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
                Ok(format!("{body}.{signature}"))
            }
        }
    }

    /// Returns header and claims without a signature.
    fn body(&self, algorithm: &str, id: &str) -> String {
        let header = json!({ "typ": "JWT", "alg": algorithm, "kid": id });
        let claims = Value::Object(self.claims.clone());
        format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        )
    }
}
