//! Users and their tokens.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use rand::RngExt as _;

use crate::state::tokens::{Token, User};
use crate::{FakeGitlab, lock};

/// The characters of the random part of a token.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl FakeGitlab {
    /// Creates a user and returns its id.
    pub fn create_user(&self, username: &str) -> u64 {
        let mut state = self.state();
        let id = state.next_id();
        let user = User {
            id,
            username: username.to_owned(),
            name: username.to_owned(),
        };
        state.users.insert(id, Arc::new(user));
        id
    }

    /// Creates a token of the first user.
    pub fn create_token(&self, scopes: &[&str]) -> String {
        self.make_token(None, scopes, false)
    }

    /// Creates a token of another user.
    pub fn create_token_for(&self, user: u64, scopes: &[&str]) -> String {
        self.make_token(Some(user), scopes, false)
    }

    /// Creates a token that makes the first user an administrator.
    pub fn create_admin_token(&self, scopes: &[&str]) -> String {
        self.make_token(None, scopes, true)
    }

    fn make_token(&self, user: Option<u64>, scopes: &[&str], admin: bool) -> String {
        let secret = self.secret("glpat-");
        let created_at = self.clock().now();
        let mut state = self.state();
        let id = state.next_id();
        let user = user.or_else(|| state.users.keys().next().copied());
        let token = Token {
            id,
            name: format!("token {id}"),
            user: user.unwrap_or_default(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            admin,
            revoked: false,
            expires_at: None,
            code_access: true,
            created_at,
        };
        state.tokens.insert(secret.clone(), Arc::new(token));
        secret
    }

    /// Returns a new secret with this prefix.
    pub(crate) fn secret(&self, start: &str) -> String {
        let mut random = lock(&self.shared.random);
        let characters = (0..20).map(|_| {
            let index = random.random_range(0..ALPHABET.len());
            char::from(ALPHABET[index])
        });
        format!("{start}{}", characters.collect::<String>())
    }

    /// Revokes a token.
    pub fn revoke_token(&self, token: &str) -> Result<()> {
        self.change_token(token, |token| token.revoked = true)
    }

    /// Sets when a token expires.
    pub fn expire_token(&self, token: &str, at: Option<Timestamp>) -> Result<()> {
        self.change_token(token, |token| token.expires_at = at)
    }

    /// Sets whether the user of a token may see code. If not, `repository` is null.
    pub fn set_code_access(&self, token: &str, allowed: bool) -> Result<()> {
        self.change_token(token, |token| token.code_access = allowed)
    }

    fn change_token(&self, secret: &str, change: impl FnOnce(&mut Token)) -> Result<()> {
        let mut state = self.state();
        let token = state
            .tokens
            .get_mut(secret)
            .context("the token does not exist")?;
        change(Arc::make_mut(token));
        Ok(())
    }

    pub(crate) fn first_user(&self) -> Result<Arc<User>> {
        let state = self.state();
        let user = state.users.values().next().context("there are no users")?;
        Ok(Arc::clone(user))
    }
}
