//! By which protocols the workers fetch sources, as they say when they claim builds. Kept in memory: a
//! restarted server hears it again within seconds.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use buildbtw_model::WorkerName;

/// What every builder fetches.
const ALWAYS: &[&str] = &["ftp", "git", "http", "https"];
/// More workers and protocols than a server has; what is beyond is not remembered.
const MOST_WORKERS: usize = 4_096;
const MOST_PROTOCOLS: usize = 64;

/// What each worker fetches.
#[derive(Debug, Default)]
pub struct FetchedProtocols(Mutex<HashMap<WorkerName, BTreeSet<String>>>);

impl FetchedProtocols {
    /// Remembers what a worker fetches.
    pub fn note(&self, worker: &WorkerName, protocols: &[String]) {
        let protocols: BTreeSet<String> = protocols
            .iter()
            .filter(|protocol| protocol.len() <= 32)
            .take(MOST_PROTOCOLS)
            .cloned()
            .collect();
        let mut workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if workers.len() < MOST_WORKERS || workers.contains_key(worker) {
            workers.insert(worker.clone(), protocols);
        }
    }

    /// What some worker fetches; `None` while nothing is known.
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
