//! Verifies that a webhook comes from GitLab: the headers before the body is read, the signature while the body
//! arrives.

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::settings::{Secret, SigningKey, WebhookSecrets};

/// The accepted age of a signed webhook, in either direction (Standard Webhooks, "verifying").
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
/// Longer delivery IDs are ignored.
const MAX_ID_LENGTH: usize = 200;
/// Further signatures are ignored; keys are rotated one at a time.
const MAX_SIGNATURES: usize = 8;

/// The reason for which a webhook is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerificationError {
    /// It has neither a token nor a signature that this server can verify.
    #[error("it has neither a secret token nor a signature that this server verifies")]
    Unsigned,
    /// The token differs from the configured one.
    #[error("its secret token is wrong")]
    WrongToken,
    /// The signature was not created with the configured key.
    #[error("its signature is wrong")]
    WrongSignature,
    /// The signature is too old, or from the future.
    #[error("its timestamp differs from the server's clock by more than five minutes")]
    Stale,
}

/// The sender of a webhook with valid headers.
#[derive(Debug)]
pub(super) struct Sender {
    id: String,
    is_known: bool,
    signature: Option<Signature>,
}

/// The expected signatures of a body, and its MAC so far.
#[derive(Debug)]
struct Signature {
    mac: Hmac<Sha256>,
    expected: Vec<Vec<u8>>,
}

impl Sender {
    /// Verifies the headers of a webhook.
    ///
    /// Each configured secret that the webhook uses must be right, and it must use at least one.
    ///
    /// # Errors
    /// When it does not come from GitLab, or is too old.
    pub(super) fn of(
        secrets: &WebhookSecrets,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Self, VerificationError> {
        let header = |name| {
            let value = headers.get(name)?;
            value.to_str().ok()
        };
        let mut is_known = false;
        if let (Some(expected), Some(token)) = (&secrets.token, header("x-gitlab-token")) {
            if !is_token(expected, token) {
                return Err(VerificationError::WrongToken);
            }
            is_known = true;
        }
        if let (Some(key), Some(signatures)) = (&secrets.signing_key, header("webhook-signature")) {
            let id = header("webhook-id").ok_or(VerificationError::WrongSignature)?;
            let timestamp = header("webhook-timestamp").ok_or(VerificationError::WrongSignature)?;
            let signature = Signature::of(key, id, timestamp, signatures)?;
            let signed_at = timestamp
                .parse()
                .ok()
                .and_then(|at| Timestamp::from_second(at).ok());
            let age = signed_at.map(|at| now.duration_since(at).abs());
            if age.is_none_or(|age| age > TOLERANCE) {
                return Err(VerificationError::Stale);
            }
            return Ok(Self {
                // The signed ID takes precedence over the other headers.
                id: delivery_id(Some(id)),
                is_known,
                signature: Some(signature),
            });
        }
        if !is_known {
            return Err(VerificationError::Unsigned);
        }
        let id = header("idempotency-key").or_else(|| header("webhook-id"));
        Ok(Self {
            id: delivery_id(id),
            is_known,
            signature: None,
        })
    }

    /// Returns whether the secret token has already verified the sender.
    pub(super) fn is_verified(&self) -> bool {
        self.is_known
    }

    /// Processes the next chunk of the body.
    pub(super) fn update(&mut self, piece: &[u8]) {
        if let Some(signature) = &mut self.signature {
            signature.mac.update(piece);
        }
    }

    /// Verifies the signature, and returns the sender's ID of the webhook: repeated deliveries have the same.
    ///
    /// # Errors
    /// When the body is not the one that was signed.
    pub(super) fn finish(self) -> Result<String, VerificationError> {
        match self.signature {
            Some(signature) if !signature.is_valid() => Err(VerificationError::WrongSignature),
            _ => Ok(self.id),
        }
    }
}

impl Signature {
    /// Parses the signatures of Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`,
    /// separated by spaces.
    fn of(
        key: &SigningKey,
        id: &str,
        timestamp: &str,
        signatures: &str,
    ) -> Result<Self, VerificationError> {
        let expected: Vec<Vec<u8>> = signatures
            .split(' ')
            .filter_map(|signature| {
                let encoded = signature.strip_prefix("v1,")?;
                base64::engine::general_purpose::STANDARD
                    .decode(encoded)
                    .ok()
            })
            .filter(|decoded| decoded.len() == Sha256::output_size())
            .take(MAX_SIGNATURES)
            .collect();
        let mac = Hmac::<Sha256>::new_from_slice(key.reveal()).ok();
        let mut mac = mac
            .filter(|_| !expected.is_empty())
            .ok_or(VerificationError::WrongSignature)?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        Ok(Self { mac, expected })
    }

    fn is_valid(&self) -> bool {
        let mut expected = self.expected.iter();
        expected.any(|expected| self.mac.clone().verify_slice(expected).is_ok())
    }
}

/// Returns the sender's ID. Old versions of GitLab send none; each delivery gets a new one then, since two pushes
/// may look the same.
fn delivery_id(id: Option<&str>) -> String {
    match id.filter(|id| !id.is_empty() && id.len() <= MAX_ID_LENGTH) {
        Some(id) => id.to_owned(),
        None => format!("{:032x}", rand::random::<u128>()),
    }
}

/// Compares in constant time; the digests have equal lengths.
fn is_token(expected: &Secret, token: &str) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    let (one, other) = (digest(expected.reveal()), digest(token));
    one.as_slice().ct_eq(other.as_slice()).into()
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

    /// Sends the body in two chunks.
    fn verify(
        secrets: &WebhookSecrets,
        headers: &HeaderMap,
        body: &str,
        now: Timestamp,
    ) -> Result<String, VerificationError> {
        let mut sender = Sender::of(secrets, headers, now)?;
        let (head, tail) = body.as_bytes().split_at(body.len() / 2);
        sender.update(head);
        sender.update(tail);
        sender.finish()
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
    fn accepts_secret_token() {
        let now = Timestamp::now();
        let only = secrets(Some("s3cret"), false);
        let right = headers(&[("x-gitlab-token", "s3cret"), ("idempotency-key", "k")]);
        assert_eq!(verify(&only, &right, "{}", now), Ok("k".into()));
        assert!(Sender::of(&only, &right, now).unwrap().is_verified());
        let wrong = headers(&[("x-gitlab-token", "s3cres")]);
        assert_eq!(
            verify(&only, &wrong, "{}", now),
            Err(VerificationError::WrongToken)
        );
        assert_eq!(
            verify(&only, &headers(&[]), "{}", now),
            Err(VerificationError::Unsigned)
        );
        // Without a signing token, a signature is not checked and does not count.
        let signed = headers(&[("webhook-signature", "v1,AAAA")]);
        assert_eq!(
            verify(&only, &signed, "{}", now),
            Err(VerificationError::Unsigned)
        );
    }

    #[test]
    fn verifies_signature_over_id_time_and_body() {
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
        let only = secrets(None, true);
        let check = |headers: &HeaderMap, body: &str, now| verify(&only, headers, body, now);
        let several = format!("v1,AAAA v2,x {signature}");
        assert_eq!(
            check(&with("d1", at, &signature), body, now),
            Ok("d1".into())
        );
        assert_eq!(check(&with("d1", at, &several), body, now), Ok("d1".into()));
        let right = with("d1", at, &signature);
        assert!(!Sender::of(&only, &right, now).unwrap().is_verified());
        let wrong = Err(VerificationError::WrongSignature);
        assert_eq!(check(&with("d2", at, &signature), body, now), wrong);
        assert_eq!(check(&with("d1", at + 1, &signature), body, now), wrong);
        assert_eq!(check(&with("d1", at, &signature), "{}", now), wrong);
        // Requests that cannot be valid are rejected before the body is read.
        let no_digest = with("d1", at, "v1, v1,AAAA");
        assert_eq!(
            Sender::of(&only, &no_digest, now).unwrap_err(),
            VerificationError::WrongSignature
        );
        let later = now + SignedDuration::from_secs(301);
        assert_eq!(
            Sender::of(&only, &right, later).unwrap_err(),
            VerificationError::Stale
        );
        // A valid signature does not excuse a wrong token.
        let mut both = with("d1", at, &signature);
        both.insert("x-gitlab-token", "wrong".parse().unwrap());
        let strict = secrets(Some("s3cret"), true);
        assert_eq!(
            verify(&strict, &both, body, now),
            Err(VerificationError::WrongToken)
        );
        // A valid token does not excuse a wrong signature.
        let mut both = with("d1", at, &sign("d1", at, "{}"));
        both.insert("x-gitlab-token", "s3cret".parse().unwrap());
        assert!(Sender::of(&strict, &both, now).unwrap().is_verified());
        assert_eq!(verify(&strict, &both, body, now), wrong);
    }

    #[test]
    fn errors_match_snapshot() {
        let errors = [
            VerificationError::Unsigned,
            VerificationError::WrongToken,
            VerificationError::WrongSignature,
            VerificationError::Stale,
        ];
        for error in &errors {
            match error {
                VerificationError::Unsigned
                | VerificationError::WrongToken
                | VerificationError::WrongSignature
                | VerificationError::Stale => {}
            }
        }
        insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n"));
    }
}
