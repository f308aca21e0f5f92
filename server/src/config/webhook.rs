//! How webhooks of GitLab are verified.

use std::sync::{Arc, PoisonError, RwLock};

use buildbtw_gitlab::WebhookSecrets;

/// Verification of webhooks.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// The group whose webhooks are accepted.
    pub group: String,
    /// Their secrets.
    pub secrets: SharedSecrets,
}

/// The secrets of webhooks, which can be replaced while the server runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SharedSecrets(Arc<RwLock<WebhookSecrets>>);

impl SharedSecrets {
    /// Wraps the secrets.
    #[must_use]
    pub fn new(secrets: WebhookSecrets) -> Self {
        Self(Arc::new(RwLock::new(secrets)))
    }

    /// Returns the current secrets.
    #[must_use]
    pub fn current(&self) -> WebhookSecrets {
        let secrets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        secrets.clone()
    }

    /// Replaces the secrets.
    pub fn replace(&self, new: WebhookSecrets) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
    }
}
