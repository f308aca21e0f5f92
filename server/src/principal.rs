//! Who sends a request that changes something.

use buildbtw_model::TokenScope;

use crate::db::TokenId;
use crate::planning::queue::Caller;

/// The token that a request was sent with. Its name is recorded with what it changes.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The token.
    pub token: TokenId,
    /// The name of the token.
    pub name: String,
    /// What it allows.
    pub scope: TokenScope,
}

impl Principal {
    /// Returns the caller whose plans share a queue.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::Token(self.token)
    }

    /// Returns whether it may do what administrators do.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.scope.allows(TokenScope::Admin)
    }
}
