//! Protocols by which workers fetch sources, as stated in their claims. Kept in memory: after a restart the
//! server learns them within seconds.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use buildbtw_model::WorkerName;

/// Protocols that every worker fetches.
const ALWAYS: &[&str] = &["ftp", "git", "http", "https"];
/// Bounds of the memory used, above what a server has; more is ignored.
const MAX_WORKERS: usize = 4_096;
const MAX_PROTOCOLS: usize = 64;

/// The protocols of each worker.
#[derive(Debug, Default)]
pub struct FetchedProtocols(Mutex<HashMap<WorkerName, BTreeSet<String>>>);

impl FetchedProtocols {
    /// Records the protocols of a worker.
    pub fn note(&self, worker: &WorkerName, protocols: &[String]) {
        let protocols: BTreeSet<String> = protocols
            .iter()
            .filter(|protocol| protocol.len() <= 32)
            .take(MAX_PROTOCOLS)
            .cloned()
            .collect();
        let mut workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if workers.len() < MAX_WORKERS || workers.contains_key(worker) {
            workers.insert(worker.clone(), protocols);
        }
    }

    /// Returns the protocols that at least one worker fetches; `None` before the first claim.
    pub fn known(&self) -> Option<BTreeSet<String>> {
        let workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if workers.is_empty() {
            return None;
        }
        let always = ALWAYS.iter().map(|protocol| (*protocol).to_owned());
        let protocols = workers.values().flatten().cloned();
        Some(always.chain(protocols).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_protocol_supported_by_any_worker() {
        let fetched = FetchedProtocols::default();
        assert_eq!(fetched.known(), None);
        let worker = |name: &str| name.parse::<WorkerName>().unwrap();
        fetched.note(&worker("one"), &[]);
        assert!(!fetched.known().unwrap().contains("hg"));
        fetched.note(&worker("two"), &["hg".to_owned()]);
        let known = fetched.known().unwrap();
        assert!(known.contains("hg") && known.contains("git"));
        fetched.note(&worker("two"), &[]);
        assert!(!fetched.known().unwrap().contains("hg"));
    }
}
