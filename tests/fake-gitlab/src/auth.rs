//! Authentication of requests.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::FakeGitlab;
use crate::state::projects::Project;
use crate::state::tokens::{Token, User};

/// The sender of a request, with a valid token.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) token: Arc<Token>,
    pub(crate) user: Arc<User>,
}

/// Why a token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Unknown,
    Revoked,
    Expired,
}

/// `None` is anonymous.
pub(crate) type MaybeCaller = Option<Caller>;

impl FakeGitlab {
    /// Authenticates a request to the APIs.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<MaybeCaller, Refused> {
        api_token(headers)
            .map(|secret| self.caller_of_token(&secret))
            .transpose()
    }

    /// Authenticates a token, which may also be that of a running job: it can read code.
    pub(crate) fn caller_or_job(&self, secret: &str) -> Result<Caller, Refused> {
        self.caller_of_token(secret).or_else(|refused| {
            let state = self.state();
            let mut jobs = state.jobs.values();
            let job = jobs.find(|job| job.token == secret && !job.status.is_complete());
            let user = job.and_then(|job| state.users.get(&job.user));
            let (job, user) = job.zip(user).ok_or(refused)?;
            Ok(Caller {
                token: Arc::new(Token {
                    id: job.id.0,
                    name: format!("job {}", job.id),
                    user: user.id,
                    scopes: vec!["read_repository".to_owned()],
                    admin: false,
                    revoked: false,
                    expires_at: None,
                    code_access: true,
                    created_at: job.created_at,
                }),
                user: Arc::clone(user),
            })
        })
    }

    /// Authenticates a token of a user.
    pub(crate) fn caller_of_token(&self, secret: &str) -> Result<Caller, Refused> {
        let now = self.clock().now();
        let state = self.state();
        let token = state.tokens.get(secret).ok_or(Refused::Unknown)?;
        if token.revoked {
            return Err(Refused::Revoked);
        }
        if token.is_expired(now) {
            return Err(Refused::Expired);
        }
        let user = state.users.get(&token.user).ok_or(Refused::Unknown)?;
        Ok(Caller {
            token: Arc::clone(token),
            user: Arc::clone(user),
        })
    }
}

/// Returns whether a caller can see a project.
pub(crate) fn sees(who: &MaybeCaller, project: &Project) -> bool {
    who.is_some() || project.public
}

/// Returns whether a caller can read the code of a project.
pub(crate) fn reads_code(who: &MaybeCaller, project: &Project) -> bool {
    match who {
        Some(caller) => caller.token.code_access,
        None => project.public,
    }
}

fn api_token(headers: &HeaderMap) -> Option<String> {
    if let Some(secret) = headers.get("private-token") {
        return Some(secret.to_str().unwrap_or_default().to_owned());
    }
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| secret.trim().to_owned())
}

/// Returns the password of basic authentication.
pub(crate) fn password(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (_user, password) = decoded.split_once(':')?;
    Some(password.to_owned())
}
