//! Webhooks: whether they come from GitLab, and what they are about. Nothing else in them is used:
//! whoever handles one asks GitLab how things are now.

use std::str::FromStr;

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::settings::{Secret, SigningKey, WebhookSecrets};

/// How old, or how far in the future, a signed webhook may be (Standard Webhooks, "verifying").
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
/// No sender's id of a webhook is longer.
const LONGEST_ID: usize = 200;

/// What a webhook is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookKind {
    /// Branches moved.
    Push,
    /// Tags moved.
    TagPush,
    /// A merge request changed.
    MergeRequest,
    /// A project came, went or was renamed (system hooks only).
    Project,
    /// A pipeline changed.
    Pipeline,
    /// A job changed.
    Job,
}

impl WebhookKind {
    /// The word for it in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::TagPush => "tag_push",
            Self::MergeRequest => "merge_request",
            Self::Project => "project",
            Self::Pipeline => "pipeline",
            Self::Job => "job",
        }
    }

    /// Whether what the sources hold may have changed.
    #[must_use]
    pub fn moves_sources(self) -> bool {
        !self.is_of_pipelines()
    }

    /// Whether a pipeline may stand elsewhere.
    #[must_use]
    pub fn is_of_pipelines(self) -> bool {
        matches!(self, Self::Pipeline | Self::Job)
    }
}

impl FromStr for WebhookKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [
            Self::Push,
            Self::TagPush,
            Self::MergeRequest,
            Self::Project,
            Self::Pipeline,
            Self::Job,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or(())
    }
}

/// A webhook that says it is about something of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// What it is about.
    pub kind: WebhookKind,
    /// The project.
    pub project_id: i64,
    /// Its full path, if it is told.
    pub path: Option<String>,
    /// The pipeline, job or merge request.
    pub object_id: Option<i64>,
}

/// Why a webhook is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// There is neither a token nor a signature that this server could check.
    #[error("it carries neither the secret token nor a signature that this server checks")]
    Unsigned,
    /// The token is not the configured one.
    #[error("its secret token is wrong")]
    WrongToken,
    /// The signature is not made with the configured key.
    #[error("its signature is wrong")]
    WrongSignature,
    /// It was signed too long ago, or in the future.
    #[error("it was signed more than five minutes ago, or the clocks differ by as much")]
    Stale,
}

/// Checks where a webhook comes from, and returns the sender's id of it: repetitions have the same.
///
/// Whatever it carries that is configured has to be right, and one of them has to be there.
///
/// # Errors
/// When it does not come from GitLab, or not now.
pub fn verify(
    secrets: &WebhookSecrets,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<String, Forged> {
    let header = |name| {
        let value = headers.get(name)?;
        value.to_str().ok()
    };
    let mut is_checked = false;
    if let (Some(expected), Some(token)) = (&secrets.token, header("x-gitlab-token")) {
        if !is_token(expected, token) {
            return Err(Forged::WrongToken);
        }
        is_checked = true;
    }
    if let (Some(key), Some(signature)) = (&secrets.signing_key, header("webhook-signature")) {
        let id = header("webhook-id").ok_or(Forged::WrongSignature)?;
        let timestamp = header("webhook-timestamp").ok_or(Forged::WrongSignature)?;
        check_signature(key, id, timestamp, body, signature)?;
        let signed_at = timestamp
            .parse()
            .ok()
            .and_then(|at| Timestamp::from_second(at).ok());
        let age = signed_at.map(|at| now.duration_since(at).abs());
        if age.is_none_or(|age| age > TOLERANCE) {
            return Err(Forged::Stale);
        }
        // The signed id, whatever the other headers say.
        return Ok(delivery_id(Some(id)));
    }
    if !is_checked {
        return Err(Forged::Unsigned);
    }
    let id = header("idempotency-key").or_else(|| header("webhook-id"));
    Ok(delivery_id(id))
}

/// Refuses what [`verify`] would refuse whatever its body is.
///
/// # Errors
/// When a token is wrong, or there is neither a token nor a signature.
pub fn check_headers(secrets: &WebhookSecrets, headers: &HeaderMap) -> Result<(), Forged> {
    let token = headers
        .get("x-gitlab-token")
        .and_then(|value| value.to_str().ok());
    let checked = match (&secrets.token, token) {
        (Some(expected), Some(token)) if !is_token(expected, token) => {
            return Err(Forged::WrongToken);
        }
        (expected, token) => expected.is_some() && token.is_some(),
    };
    let is_signed = secrets.signing_key.is_some() && headers.contains_key("webhook-signature");
    if checked || is_signed {
        Ok(())
    } else {
        Err(Forged::Unsigned)
    }
}

/// The sender's id. Old versions of GitLab send none; then each is taken for a new one, since two pushes
/// may look alike.
fn delivery_id(id: Option<&str>) -> String {
    match id.filter(|id| !id.is_empty() && id.len() <= LONGEST_ID) {
        Some(id) => id.to_owned(),
        None => format!("{:032x}", rand::random::<u128>()),
    }
}

/// Compares without telling by the time it takes how much is right: digests differ everywhere.
fn is_token(expected: &Secret, token: &str) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    let (one, other) = (digest(expected.reveal()), digest(token));
    one.iter().zip(&other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; several
/// signatures are separated by spaces.
fn check_signature(
    key: &SigningKey,
    id: &str,
    timestamp: &str,
    body: &[u8],
    signatures: &str,
) -> Result<(), Forged> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.reveal()) else {
        return Err(Forged::WrongSignature);
    };
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    let is_right = signatures.split(' ').any(|signature| {
        let encoded = signature.strip_prefix("v1,");
        let decoded = encoded.and_then(|encoded| {
            base64::engine::general_purpose::STANDARD
                .decode(encoded)
                .ok()
        });
        decoded.is_some_and(|decoded| mac.clone().verify_slice(&decoded).is_ok())
    });
    is_right.then_some(()).ok_or(Forged::WrongSignature)
}

/// Reads what a webhook is about; `None` when it is nothing of interest, or does not name its project as
/// GitLab does. GitLab stops sending webhooks that are refused, so only what is not JSON is.
///
/// # Errors
/// When it is not JSON.
pub fn parse(body: &[u8]) -> Result<Option<Webhook>, serde_json::Error> {
    let names: Names = match serde_json::from_slice(body) {
        Ok(names) => names,
        Err(error) if error.is_data() => return Ok(None),
        Err(error) => return Err(error),
    };
    let kind = match names.object_kind.as_str() {
        Some("push") => WebhookKind::Push,
        Some("tag_push") => WebhookKind::TagPush,
        Some("merge_request") => WebhookKind::MergeRequest,
        Some("pipeline") => WebhookKind::Pipeline,
        Some("build") => WebhookKind::Job,
        Some(_) => return Ok(None),
        None => match names.event_name.as_str() {
            Some(
                "project_create" | "project_destroy" | "project_rename" | "project_transfer"
                | "project_update",
            ) => WebhookKind::Project,
            _ => return Ok(None),
        },
    };
    // Only now: what is of no interest may have any form.
    let envelope: Envelope = match serde_json::from_slice(body) {
        Ok(envelope) => envelope,
        Err(error) if error.is_data() => return Ok(None),
        Err(error) => return Err(error),
    };
    let project = envelope.project.unwrap_or_default();
    let Some(project_id) = envelope.project_id.or(project.id) else {
        return Ok(None);
    };
    let object_id = match kind {
        WebhookKind::Job => envelope.build_id,
        WebhookKind::Pipeline => envelope.object_attributes.and_then(|object| object.id),
        WebhookKind::MergeRequest => envelope.object_attributes.and_then(|object| object.iid),
        _ => None,
    };
    Ok(Some(Webhook {
        kind,
        project_id,
        path: project.path_with_namespace.or(envelope.path_with_namespace),
        object_id,
    }))
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    object_kind: serde_json::Value,
    #[serde(default)]
    event_name: serde_json::Value,
}

#[derive(Deserialize)]
struct Envelope {
    project_id: Option<i64>,
    path_with_namespace: Option<String>,
    build_id: Option<i64>,
    project: Option<ProjectPart>,
    object_attributes: Option<ObjectPart>,
}

#[derive(Default, Deserialize)]
struct ProjectPart {
    id: Option<i64>,
    path_with_namespace: Option<String>,
}

#[derive(Deserialize)]
struct ObjectPart {
    id: Option<i64>,
    iid: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn secrets(token: Option<&str>, signed: bool) -> WebhookSecrets {
        WebhookSecrets {
            token: token.map(Secret::of),
            signing_key: signed.then(|| SigningKey::of(&KEY)),
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = reqwest::header::HeaderName::from_static(name);
            (name, value.parse().unwrap())
        });
        pairs.collect()
    }

    fn sign(id: &str, at: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
        mac.update(format!("{id}.{at}.{body}").as_bytes());
        let signature = mac.finalize().into_bytes();
        format!(
            "v1,{}",
            base64::engine::general_purpose::STANDARD.encode(signature)
        )
    }

    #[test]
    fn a_secret_token_lets_in() {
        let now = Timestamp::now();
        let only = secrets(Some("s3cret"), false);
        let right = headers(&[("x-gitlab-token", "s3cret"), ("idempotency-key", "k")]);
        assert_eq!(verify(&only, &right, b"{}", now), Ok("k".into()));
        let wrong = headers(&[("x-gitlab-token", "s3cres")]);
        assert_eq!(verify(&only, &wrong, b"{}", now), Err(Forged::WrongToken));
        assert_eq!(
            verify(&only, &headers(&[]), b"{}", now),
            Err(Forged::Unsigned)
        );
        // A signature that nobody checks is none.
        let signed = headers(&[("webhook-signature", "v1,AAAA")]);
        assert_eq!(verify(&only, &signed, b"{}", now), Err(Forged::Unsigned));
    }

    #[test]
    fn a_signature_covers_id_time_and_body() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let at = now.as_second();
        let body = r#"{"object_kind":"push"}"#;
        let signature = sign("d1", at, body);
        let with = |id: &str, time: i64, signature: &str| {
            headers(&[
                ("webhook-id", id),
                ("webhook-timestamp", &time.to_string()),
                ("webhook-signature", signature),
            ])
        };
        let check = |headers: &HeaderMap, body: &str, now| {
            verify(&secrets(None, true), headers, body.as_bytes(), now)
        };
        let several = format!("v1,AAAA v2,x {signature}");
        assert_eq!(
            check(&with("d1", at, &signature), body, now),
            Ok("d1".into())
        );
        assert_eq!(check(&with("d1", at, &several), body, now), Ok("d1".into()));
        let wrong = Err(Forged::WrongSignature);
        assert_eq!(check(&with("d2", at, &signature), body, now), wrong);
        assert_eq!(check(&with("d1", at + 1, &signature), body, now), wrong);
        assert_eq!(check(&with("d1", at, &signature), "{}", now), wrong);
        assert_eq!(check(&with("d1", at, "v1,"), body, now), wrong);
        let later = now + SignedDuration::from_secs(301);
        assert_eq!(
            check(&with("d1", at, &signature), body, later),
            Err(Forged::Stale)
        );
        // A right signature does not excuse a wrong token.
        let mut both = with("d1", at, &signature);
        both.insert("x-gitlab-token", "wrong".parse().unwrap());
        let strict = secrets(Some("s3cret"), true);
        assert_eq!(
            verify(&strict, &both, body.as_bytes(), now),
            Err(Forged::WrongToken)
        );
    }

    #[test]
    fn events_are_told_apart() {
        let about = |json: serde_json::Value| parse(json.to_string().as_bytes()).unwrap();
        let push = about(serde_json::json!({
            "object_kind": "push", "project_id": 3,
            "project": {"id": 3, "path_with_namespace": "g/p"},
        }));
        assert_eq!(
            push,
            Some(Webhook {
                kind: WebhookKind::Push,
                project_id: 3,
                path: Some("g/p".into()),
                object_id: None
            })
        );
        let request = about(serde_json::json!({
            "object_kind": "merge_request", "project": {"id": 3},
            "object_attributes": {"id": 900, "iid": 5},
        }));
        assert_eq!(request.unwrap().object_id, Some(5));
        let job = about(serde_json::json!({
            "object_kind": "build", "project_id": 3, "build_id": 77, "pipeline_id": 8,
        }));
        assert_eq!(job.unwrap().object_id, Some(77));
        let renamed = about(serde_json::json!({
            "event_name": "project_rename", "project_id": 3, "path_with_namespace": "g/q",
        }));
        assert_eq!(renamed.unwrap().kind, WebhookKind::Project);
        assert_eq!(about(serde_json::json!({"object_kind": "wiki_page"})), None);
        let odd = serde_json::json!({"object_kind": "shiny", "project": "a string"});
        assert_eq!(about(odd), None);
        assert_eq!(about(serde_json::json!({"object_kind": 7})), None);
        assert_eq!(
            about(serde_json::json!({"event_name": "user_create"})),
            None
        );
        assert_eq!(about(serde_json::json!({"object_kind": "push"})), None);
        assert_eq!(about(serde_json::json!(7)), None);
        assert!(parse(b"[").is_err());
    }
}
