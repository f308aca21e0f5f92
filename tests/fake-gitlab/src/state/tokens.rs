//! Users and their tokens.

use jiff::Timestamp;

/// A user.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) username: String,
    pub(crate) name: String,
}

/// A personal access token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) user: u64,
    pub(crate) scopes: Vec<String>,
    pub(crate) admin: bool,
    pub(crate) revoked: bool,
    pub(crate) expires_at: Option<Timestamp>,
    /// Whether the user can see the code of projects.
    pub(crate) code_access: bool,
    pub(crate) created_at: Timestamp,
}

impl Token {
    pub(crate) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }

    pub(crate) fn has_any(&self, scopes: &[&str]) -> bool {
        scopes.iter().any(|scope| self.has(scope))
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}
