//! A cache of valid tokens, so that not every request of a worker reads the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::db::tokens::TokenRow;

/// Maximum number of tokens; beyond it, the cache is cleared.
const MOST: usize = 4_096;

/// Valid tokens by digest. The caller still checks the expiry.
#[derive(Clone, Debug, Default)]
pub struct KnownTokens(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    tokens: HashMap<[u8; 32], TokenRow>,
    revocations: u64,
}

/// The version of the cache when a lookup in the database began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup(u64);

impl KnownTokens {
    /// Returns the cached token of a digest, or a lookup to pass to [`Self::keep`].
    pub(crate) fn get(&self, hash: &[u8; 32]) -> Result<TokenRow, Lookup> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = known.tokens.get(hash).cloned();
        row.ok_or(Lookup(known.revocations))
    }

    /// Caches a valid token, unless a token was revoked since its lookup began: it may be this one.
    pub(crate) fn keep(&self, lookup: Lookup, hash: [u8; 32], row: TokenRow) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.revocations == lookup.0 {
            if known.tokens.len() >= MOST {
                known.tokens.clear();
            }
            known.tokens.insert(hash, row);
        }
    }

    /// Clears the cache, after a revocation is durable.
    pub(crate) fn forget(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.revocations += 1;
        known.tokens.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::TokenId;
    use crate::time::Millis;

    #[test]
    fn does_not_cache_token_revoked_during_lookup() {
        let known = KnownTokens::default();
        let row = TokenRow {
            id: TokenId(1),
            name: "a".into(),
            scope: buildbtw_model::TokenScope::Worker,
            created_at: Millis(0),
            expires_at: None,
            revoked_at: None,
        };
        let lookup = known.get(&[1; 32]).unwrap_err();
        known.keep(lookup, [1; 32], row.clone());
        assert!(known.get(&[1; 32]).is_ok());
        let lookup = known.get(&[2; 32]).unwrap_err();
        known.forget();
        known.keep(lookup, [2; 32], row);
        assert!(known.get(&[1; 32]).is_err());
        assert!(known.get(&[2; 32]).is_err());
    }
}
