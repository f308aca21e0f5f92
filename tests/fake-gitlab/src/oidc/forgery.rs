//! Tokens as tests want them: true ones, and all that somebody might try.

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
    /// The key for jobs, as it should be.
    Ci,
    /// The key for those who log in.
    LoginProvider,
    /// A key that is not published, under the name of the right one.
    Stranger,
    /// Nobody: `alg` is `none` and the signature is empty.
    Nobody,
    /// The right key's public half, taken for the secret of HS256.
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
    /// The token that a job would get for an audience, signed as it should be.
    pub fn job_id_token(&self, job: JobId, audience: &str) -> Result<String> {
        self.id_token(job, audience)?.sign()
    }

    /// The token that a job would get for an audience, to be changed before it is signed.
    pub fn id_token(&self, job: JobId, audience: &str) -> Result<IdToken> {
        let state = self.state();
        let row = state.jobs.get(&job.0).cloned();
        let row = row.with_context(|| format!("no job {job}"))?;
        let claims = claims::of_job(self, &state, &row, &json!(audience))?;
        drop(state);
        Ok(self.unsigned(claims, Signer::Ci))
    }

    /// The token that a user would get who logs in to an application: signed with a key that is
    /// published too, and of no job.
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

    /// Signs the tokens of jobs with another key from now on. The old one stays published if it is
    /// to be kept.
    pub fn rotate_keys(&self, keep_old: bool) {
        self.shared.keys.rotate(keep_old);
    }
}

impl IdToken {
    /// Says something else, or something more.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves something out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// What is said now.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Is for somebody else.
    #[must_use]
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// Is from somebody else.
    #[must_use]
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", issuer)
    }

    /// Says that another project's job has it.
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

    /// Says that it is of a merge request of a fork: the project is the fork, the job runs where it
    /// did.
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

    /// Ended an hour ago.
    #[must_use]
    pub fn expired(self) -> Self {
        let now = self.gitlab.clock().now().as_second();
        self.claim("iat", now - 7_200)
            .claim("nbf", now - 7_205)
            .claim("exp", now - 3_600)
    }

    /// Names this key, whoever signs it.
    #[must_use]
    pub fn key_id(mut self, id: &str) -> Self {
        self.key_id = Some(id.to_owned());
        self
    }

    /// Is signed by somebody else, or not at all.
    #[must_use]
    pub fn signer(mut self, signer: Signer) -> Self {
        self.signer = signer;
        self
    }

    /// Signs it.
    pub fn sign(&self) -> Result<String> {
        let keys = &self.gitlab.shared.keys;
        let named = |own: &str| self.key_id.clone().unwrap_or_else(|| own.to_owned());
        match self.signer {
            Signer::Ci => keys.ci().sign(&header(&named(&keys.ci().id)), &self.claims),
            Signer::LoginProvider => {
                let key = keys.provider();
                key.sign(&header(&named(&key.id)), &self.claims)
            }
            Signer::Stranger => {
                let id = named(&keys.ci().id);
                keys.stranger().sign(&header(&id), &self.claims)
            }
            Signer::Nobody => {
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

    /// Header and claims, without a signature.
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
