//! Injected faults.

pub(crate) mod limits;
pub(crate) mod tamper;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use crate::lock;

/// The requests that a fault affects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// Every request.
    Any,
    /// GraphQL requests.
    Graphql,
    /// GraphQL requests with an operation of this name.
    Operation(String),
    /// REST requests.
    Rest,
    /// Git over HTTP.
    Git,
    /// Requests whose path begins with this.
    Path(String),
    /// Requests with this method whose path ends with this.
    Method {
        /// For example `POST`.
        method: String,
        /// For example `/pipeline`.
        end: String,
    },
    /// Requests that create a pipeline: through REST, or by a GraphQL operation of the name `pipelineCreate` in any
    /// case.
    PipelineCreation,
    /// Requests of runners.
    Runner,
}

/// How many of the matching requests a fault affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next ones, up to this number.
    Next(u32),
    /// All but the next ones of this number, until it is removed.
    After(u32),
    /// Every n-th of them, until it is removed.
    Every(u32),
    /// All of them, until it is removed.
    Always,
}

/// A fault.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The request waits before it is processed.
    Latency(Duration),
    /// The request is not processed, and gets this response.
    Respond {
        /// The status.
        status: u16,
        /// Additional headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// The request is not processed, and gets 429 with the headers of a rate limit and this `Retry-After`, in seconds.
    RateLimited {
        /// The seconds.
        retry_after: u64,
    },
    /// The request is not processed, and the connection is closed.
    DropBeforeResponse,
    /// The connection is closed in the middle of the response body.
    DropInBody,
    /// The request is processed, and the connection is closed without a response.
    LoseResponse,
    /// The request is processed, and the response is delayed.
    SlowResponse(Duration),
    /// A field of a GraphQL response is null, as if it had timed out.
    NullField {
        /// For example `group.projects.nodes[3].repository`; `[*]` is every element, and `[name=glibc]` every one with
        /// this text in a field of the response.
        path: String,
        /// The error message; GitLab's would be `Timeout on <Type>.<field>`.
        message: String,
    },
    /// A GraphQL response deviates from the schema.
    Drift(Drift),
}

/// How a response deviates from the schema. It applies to the field wherever it occurs.
#[derive(Clone, Debug)]
pub enum Drift {
    /// The field is missing.
    Omit {
        /// The field.
        field: String,
    },
    /// The field has another name.
    Rename {
        /// The field.
        field: String,
        /// Its new name.
        to: String,
    },
    /// The field has another value, for example a new variant of an enum.
    Replace {
        /// The field.
        field: String,
        /// The value.
        value: Value,
    },
    /// Objects with a field have an additional one.
    Add {
        /// The existing field.
        sibling: String,
        /// The new field.
        field: String,
        /// Its value.
        value: Value,
    },
}

impl Fault {
    /// Returns the error response of a proxy, or of a GitLab instance that is down: 500, 502, 503, 504.
    pub fn status(status: u16) -> Self {
        Self::Respond {
            status,
            headers: vec![("Content-Type".to_owned(), "text/html".to_owned())],
            body: format!("<html><body><h1>{status}</h1></body></html>"),
        }
    }
}

/// Identifies a rule for its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

#[derive(Debug)]
struct Rule {
    id: u64,
    on: On,
    times: Times,
    fault: Fault,
    seen: u32,
}

#[derive(Debug)]
struct Random {
    generator: StdRng,
    per_mille: u32,
}

#[derive(Debug, Default)]
struct Inner {
    rules: Mutex<Vec<Rule>>,
    random: Mutex<Option<Random>>,
    last_id: Mutex<u64>,
    down: AtomicBool,
}

/// The faults of a stand-in.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Inner>);

/// The properties of a request by which faults are chosen.
pub(crate) struct RequestInfo<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// Names of GraphQL operations; anonymous ones are empty.
    pub(crate) operations: Option<&'a [String]>,
    pub(crate) is_git: bool,
}

impl RequestInfo<'_> {
    fn is(&self, on: &On) -> bool {
        match on {
            On::Any => true,
            On::Graphql => self.operations.is_some(),
            On::Operation(name) => self.operations.is_some_and(|own| own.contains(name)),
            On::Rest => self.path.starts_with("/api/v4"),
            On::Git => self.is_git,
            On::Path(start) => self.path.starts_with(start.as_str()),
            On::Method { method, end } => {
                self.method == method && self.path.ends_with(end.as_str())
            }
            On::PipelineCreation => self.creates_pipeline(),
            On::Runner => ["/api/v4/jobs/", "/api/v4/runners"]
                .iter()
                .any(|start| self.path.starts_with(start)),
        }
    }

    fn creates_pipeline(&self) -> bool {
        let by_rest = self.method == "POST"
            && self.path.starts_with("/api/v4/projects/")
            && self.path.ends_with("/pipeline");
        let is_named = |name: &String| name.eq_ignore_ascii_case("pipelineCreate");
        by_rest || self.operations.is_some_and(|own| own.iter().any(is_named))
    }
}

impl Faults {
    /// Adds a fault.
    pub fn add(&self, on: On, times: Times, fault: Fault) -> RuleId {
        let id = {
            let mut last = lock(&self.0.last_id);
            *last += 1;
            *last
        };
        lock(&self.0.rules).push(Rule {
            id,
            on,
            times,
            fault,
            seen: 0,
        });
        RuleId(id)
    }

    /// Removes a fault.
    pub fn remove(&self, rule: RuleId) {
        lock(&self.0.rules).retain(|other| other.id != rule.0);
    }

    /// Removes all faults.
    pub fn clear(&self) {
        lock(&self.0.rules).clear();
        *lock(&self.0.random) = None;
        self.set_down(false);
    }

    /// Sets whether connections are closed immediately, as if the server were down.
    pub fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    /// Makes this many of a thousand requests fail at random; equal seeds give equal faults for the same sequence of
    /// requests.
    pub fn random(&self, seed: u64, per_mille: u32) {
        *lock(&self.0.random) = Some(Random {
            generator: StdRng::seed_from_u64(seed),
            per_mille,
        });
    }

    pub(crate) fn is_down(&self) -> bool {
        self.0.down.load(Ordering::SeqCst)
    }

    /// Chooses the faults of a request.
    pub(crate) fn choose(&self, info: &RequestInfo<'_>) -> Vec<Fault> {
        let mut chosen = Vec::new();
        let mut rules = lock(&self.0.rules);
        for rule in rules.iter_mut().filter(|rule| info.is(&rule.on)) {
            rule.seen += 1;
            let applies = match rule.times {
                Times::Next(count) => rule.seen <= count,
                Times::Every(count) => rule.seen.is_multiple_of(count.max(1)),
                Times::After(count) => rule.seen > count,
                Times::Always => true,
            };
            if applies {
                chosen.push(rule.fault.clone());
            }
        }
        rules.retain(|rule| !matches!(rule.times, Times::Next(count) if rule.seen >= count));
        drop(rules);
        if let Some(random) = &mut *lock(&self.0.random) {
            chosen.extend(random.choose());
        }
        chosen
    }
}

impl Random {
    fn choose(&mut self) -> Option<Fault> {
        if self.generator.random_range(0..1_000) >= self.per_mille {
            return None;
        }
        Some(match self.generator.random_range(0..9) {
            0 => Fault::status(500),
            1 => Fault::status(502),
            2 => Fault::status(503),
            3 => Fault::status(504),
            4 => Fault::RateLimited { retry_after: 1 },
            5 => Fault::DropBeforeResponse,
            6 => Fault::DropInBody,
            7 => Fault::LoseResponse,
            _ => Fault::Latency(Duration::from_millis(20)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(faults: &Faults, operation: &str) -> usize {
        let operations = [operation.to_owned()];
        let info = RequestInfo {
            method: "POST",
            path: "/api/graphql",
            operations: Some(&operations),
            is_git: false,
        };
        faults.choose(&info).len()
    }

    #[test]
    fn rules_count_only_matching_requests() {
        let faults = Faults::default();
        faults.add(On::Operation("a".into()), Times::Next(2), Fault::DropInBody);
        let counts = ["b", "a", "a", "a"].map(|name| chosen(&faults, name));
        assert_eq!(counts, [0, 1, 1, 0]);
        let rule = faults.add(On::Graphql, Times::Every(2), Fault::DropInBody);
        assert_eq!(
            ["b", "a", "a", "a"].map(|name| chosen(&faults, name)),
            [0, 1, 0, 1]
        );
        faults.remove(rule);
        assert_eq!(["b", "a"].map(|name| chosen(&faults, name)), [0, 0]);
    }

    #[test]
    fn draws_equal_faults_for_equal_seed() {
        let run = |seed| {
            let faults = Faults::default();
            faults.random(seed, 300);
            (0..200).map(|_| chosen(&faults, "a")).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let count: usize = run(7).iter().sum();
        assert!((30..90).contains(&count), "{count}");
    }
}
