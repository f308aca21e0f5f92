//! The signing keys of tokens. They are public and must not be used outside of tests.

use std::sync::Mutex;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};

use crate::lock;

/// PKCS #1, DER, base64. Generating keys takes seconds in a debug build.
const TEXTS: [&str; 5] = [
    include_str!("keys/1.txt"),
    include_str!("keys/2.txt"),
    include_str!("keys/3.txt"),
    include_str!("keys/4.txt"),
    include_str!("keys/5.txt"),
];

/// A key with its public half.
pub(crate) struct Key {
    secret: EncodingKey,
    pub(crate) id: String,
    pub(crate) modulus: String,
    pub(crate) exponent: String,
}

impl Key {
    fn new(text: &str) -> Result<Self> {
        let packed: String = text.split_whitespace().collect();
        let der = STANDARD.decode(packed).context("a key is not base64")?;
        let secret = EncodingKey::from_rsa_der(&der);
        let public = Jwk::from_encoding_key(&secret, Algorithm::RS256)?;
        let id = public.thumbprint(ThumbprintHash::SHA256);
        let AlgorithmParameters::RSA(parameters) = public.algorithm else {
            anyhow::bail!("a key is not RSA");
        };
        Ok(Self {
            secret,
            id: id?,
            modulus: parameters.n,
            exponent: parameters.e,
        })
    }

    /// Signs claims with any header.
    pub(crate) fn sign(&self, header: &Header, claims: &Map<String, Value>) -> Result<String> {
        Ok(jsonwebtoken::encode(header, claims, &self.secret)?)
    }

    fn published(&self) -> Value {
        json!({
            "kty": "RSA",
            "kid": self.id,
            "e": self.exponent,
            "n": self.modulus,
            "use": "sig",
            "alg": "RS256",
        })
    }
}

/// The indexes of the keys in use.
#[derive(Clone, Debug)]
struct ActiveKeys {
    provider: usize,
    ci: usize,
    /// Former signing keys that are still published.
    old: Vec<usize>,
}

/// The keys of a stand-in.
pub(crate) struct Keys {
    all: Vec<Key>,
    in_use: Mutex<ActiveKeys>,
}

/// The index of the key that is never published.
const STRANGER: usize = 4;

impl Keys {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            all: TEXTS.into_iter().map(Key::new).collect::<Result<_>>()?,
            in_use: Mutex::new(ActiveKeys {
                provider: 0,
                ci: 1,
                old: Vec::new(),
            }),
        })
    }

    pub(crate) fn provider(&self) -> &Key {
        &self.all[lock(&self.in_use).provider]
    }

    pub(crate) fn ci(&self) -> &Key {
        &self.all[lock(&self.in_use).ci]
    }

    pub(crate) fn unpublished_key(&self) -> &Key {
        &self.all[STRANGER]
    }

    pub(crate) fn sign_for_ci(&self, claims: &Map<String, Value>) -> Result<String> {
        let key = self.ci();
        key.sign(&header(&key.id), claims)
    }

    /// Returns the response of `/oauth/discovery/keys`.
    pub(crate) fn published(&self) -> Value {
        let in_use = lock(&self.in_use).clone();
        let places = [in_use.provider, in_use.ci].into_iter().chain(in_use.old);
        let keys: Vec<Value> = places.map(|place| self.all[place].published()).collect();
        json!({ "keys": keys })
    }

    /// Rotates the key of job tokens.
    pub(crate) fn rotate(&self, keep_old: bool) {
        let mut in_use = lock(&self.in_use);
        let old = in_use.ci;
        // Between the login provider's key and the one that is never published.
        in_use.ci = 1 + old % (STRANGER - 1);
        let ci = in_use.ci;
        in_use.old.push(old);
        in_use.old.retain(|place| keep_old && *place != ci);
    }
}

/// Returns the header of a valid token.
pub(crate) fn header(id: &str) -> Header {
    Header {
        kid: Some(id.to_owned()),
        ..Header::new(Algorithm::RS256)
    }
}
