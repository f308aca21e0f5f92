//! What was built for whom within the last day. Dispatch reads it for every choice, so it is kept in memory: it is read
//! from the database again every few seconds, and what is dispatched meanwhile is charged at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buildbtw_model::Architecture;

use crate::db::NamespaceId;
use crate::db::builds::Candidate;
use crate::db::work::WorkRow;
use crate::time::Millis;

/// How long the work of the database is used until it is read again.
const MAX_AGE: Duration = Duration::from_secs(10);

/// The work for an architecture within the last day, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    persons: HashMap<String, i64>,
    namespaces: HashMap<NamespaceId, i64>,
    dispatched_at: HashMap<NamespaceId, Millis>,
}

impl Usage {
    /// Returns the work for all namespaces of a person.
    #[must_use]
    pub fn of_person(&self, person: &str) -> i64 {
        self.persons.get(person).copied().unwrap_or(0)
    }

    /// Returns the work for a namespace.
    #[must_use]
    pub fn of_namespace(&self, namespace: NamespaceId) -> i64 {
        self.namespaces.get(&namespace).copied().unwrap_or(0)
    }

    /// Returns when a build of a namespace was dispatched last, as far as it is known.
    #[must_use]
    pub fn last_dispatch(&self, namespace: NamespaceId) -> Option<Millis> {
        self.dispatched_at.get(&namespace).copied()
    }

    /// Adds work.
    pub fn add(&mut self, person: &str, namespace: Option<NamespaceId>, duration: i64) {
        // A person who is known costs no allocation.
        match self.persons.get_mut(person) {
            Some(known) => *known += duration,
            None => drop(self.persons.insert(person.to_owned(), duration)),
        }
        if let Some(namespace) = namespace {
            *self.namespaces.entry(namespace).or_default() += duration;
        }
    }

    /// Charges a build that is dispatched at a time with its expected duration.
    pub fn charge(&mut self, build: &Candidate, at: Millis) {
        let expected = build.estimate_s.max(1) * 1_000;
        self.add(&build.person, Some(build.namespace), expected);
        self.note_dispatch(build.namespace, at);
    }

    /// Notes when a build of a namespace was dispatched.
    pub fn note_dispatch(&mut self, namespace: NamespaceId, at: Millis) {
        self.dispatched_at.insert(namespace, at);
    }
}

/// The work of the last day, by architecture. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shares(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    usage: HashMap<Architecture, Usage>,
    read_at: Option<Millis>,
}

impl Shares {
    /// Returns whether the work has to be read from the database again.
    #[must_use]
    pub fn is_outdated(&self, now: Millis) -> bool {
        let read_at = self.lock().read_at;
        // The clock may have been set back.
        read_at.is_none_or(|at| now < at || now.since(at) >= MAX_AGE)
    }

    /// Has the work read from the database before the next choice.
    pub fn expire(&self) {
        self.lock().read_at = None;
    }

    /// Replaces the work with that of the database at a time.
    pub fn replace(&self, rows: Vec<WorkRow>, at: Millis) {
        let mut known = self.lock();
        let mut usage: HashMap<Architecture, Usage> = HashMap::new();
        for row in rows {
            let of_architecture = usage.entry(row.architecture).or_default();
            of_architecture.add(&row.person, row.namespace, row.duration);
        }
        for (architecture, before) in known.usage.drain() {
            usage.entry(architecture).or_default().dispatched_at = before.dispatched_at;
        }
        *known = Known {
            usage,
            read_at: Some(at),
        };
    }

    /// Calls a function with the work for an architecture.
    pub fn with<T>(&self, architecture: &Architecture, read: impl FnOnce(&mut Usage) -> T) -> T {
        let mut known = self.lock();
        match known.usage.get_mut(architecture) {
            Some(usage) => read(usage),
            None => read(known.usage.entry(architecture.clone()).or_default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(person: &str, namespace: Option<i64>, duration: i64) -> WorkRow {
        WorkRow {
            architecture: "x86_64".parse().unwrap(),
            person: person.to_owned(),
            namespace: namespace.map(NamespaceId),
            duration,
        }
    }

    #[test]
    fn counts_deleted_namespaces_for_their_person() {
        let shares = Shares::default();
        let rows = vec![
            row("anna", Some(1), 5),
            row("anna", None, 7),
            row("ben", Some(2), 1),
        ];
        shares.replace(rows, Millis(0));
        shares.with(&"x86_64".parse().unwrap(), |usage| {
            assert_eq!(usage.of_person("anna"), 12);
            assert_eq!(usage.of_namespace(NamespaceId(1)), 5);
            assert_eq!(usage.of_person("ben"), 1);
        });
        shares.with(&"aarch64".parse().unwrap(), |usage| {
            assert_eq!(usage.of_person("anna"), 0);
        });
    }

    #[test]
    fn is_outdated_after_a_while_and_when_the_clock_is_set_back() {
        let shares = Shares::default();
        assert!(shares.is_outdated(Millis(0)));
        shares.replace(Vec::new(), Millis(20_000));
        assert!(!shares.is_outdated(Millis(20_001)));
        assert!(shares.is_outdated(Millis(30_000)));
        assert!(shares.is_outdated(Millis(19_999)));
    }
}
