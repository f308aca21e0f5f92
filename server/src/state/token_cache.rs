//! A cache of valid tokens, so that not every request of a worker reads the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::db::tokens::TokenRow;

/// Maximum number of tokens; beyond it, the cache is cleared.
const MAX_TOKENS: usize = 4_096;

/// Valid tokens by digest. The caller still checks the expiry.
#[derive(Clone, Debug, Default)]
pub struct TokenCache(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    tokens: HashMap<[u8; 32], TokenRow>,
    revocations: u64,
}

/// The version of the cache when a lookup in the database began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup(u64);

impl TokenCache {
    /// Returns the cached token of a digest, or a lookup to pass to [`Self::insert`].
    pub(crate) fn get(&self, hash: &[u8; 32]) -> Result<TokenRow, Lookup> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = entries.tokens.get(hash).cloned();
        row.ok_or(Lookup(entries.revocations))
    }

    /// Caches a valid token, unless a token was revoked since its lookup began: it may be this one.
    pub(crate) fn insert(&self, lookup: Lookup, hash: [u8; 32], row: TokenRow) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.revocations == lookup.0 {
            if entries.tokens.len() >= MAX_TOKENS {
                entries.tokens.clear();
            }
            entries.tokens.insert(hash, row);
        }
    }

    /// Clears the cache, after a revocation is durable.
    pub(crate) fn clear(&self) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.revocations += 1;
        entries.tokens.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::TokenId;
    use crate::time::Millis;

    #[test]
    fn does_not_cache_token_revoked_during_lookup() {
        let cache = TokenCache::default();
        let row = TokenRow {
            id: TokenId(1),
            name: "a".into(),
            scope: buildbtw_model::TokenScope::Worker,
            created_at: Millis(0),
            expires_at: None,
            revoked_at: None,
        };
        let lookup = cache.get(&[1; 32]).unwrap_err();
        cache.insert(lookup, [1; 32], row.clone());
        assert!(cache.get(&[1; 32]).is_ok());
        let lookup = cache.get(&[2; 32]).unwrap_err();
        cache.clear();
        cache.insert(lookup, [2; 32], row);
        assert!(cache.get(&[1; 32]).is_err());
        assert!(cache.get(&[2; 32]).is_err());
    }
}
