//! What goes wrong on purpose.

pub(crate) mod limits;
pub(crate) mod tamper;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use crate::lock;

/// Which requests a fault befalls.
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
    /// Requests whose path begins like this.
    Path(String),
    /// Requests with this method whose path ends like this.
    Method {
        /// For example `POST`.
        method: String,
        /// For example `/pipeline`.
        end: String,
    },
    /// Requests that make a pipeline: by REST, or by a GraphQL operation of the name
    /// `pipelineCreate`, in whatever case.
    PipelineCreation,
    /// Requests of runners.
    Runner,
}

/// How often a fault befalls the requests that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next so many of them.
    Next(u32),
    /// All but the next so many of them, until it is cleared.
    After(u32),
    /// Every so manieth of them, until it is cleared.
    Every(u32),
    /// All of them, until it is cleared.
    Always,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The request waits before anything is done.
    Latency(Duration),
    /// Nothing is done and this is answered.
    Answer {
        /// The status.
        status: u16,
        /// Headers besides those that every answer has.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// Nothing is done and 429 is answered, with the headers of a rate limit and this
    /// `Retry-After`, in seconds.
    RateLimited {
        /// The seconds.
        retry_after: u64,
    },
    /// Nothing is done and the connection is closed.
    DropBeforeAnswer,
    /// The connection is closed in the middle of the answer's body.
    DropInBody,
    /// All is done and then the connection is closed.
    LoseReply,
    /// All is done and then the answer takes long.
    SlowReply(Duration),
    /// A field of a GraphQL answer is null instead, as if it had taken too long.
    NullField {
        /// For example `group.projects.nodes[3].repository`; `[*]` is every element.
        path: String,
        /// The text of the error; `Timeout on <Type>.<field>` is what GitLab would say.
        message: String,
    },
    /// A GraphQL answer is not what the schema said.
    Drift(Drift),
}

/// How an answer differs from the schema. It is done to the field wherever it occurs.
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
    /// The field has another value, for example of an enum that got new ones.
    Replace {
        /// The field.
        field: String,
        /// The value.
        value: Value,
    },
    /// Objects that have a field have another one too.
    Add {
        /// The field that they have.
        beside: String,
        /// The new field.
        field: String,
        /// Its value.
        value: Value,
    },
}

impl Fault {
    /// An answer of a proxy or of GitLab itself that is down: 500, 502, 503, 504.
    pub fn status(status: u16) -> Self {
        Self::Answer {
            status,
            headers: vec![("Content-Type".to_owned(), "text/html".to_owned())],
            body: format!("<html><body><h1>{status}</h1></body></html>"),
        }
    }
}

/// Names a rule, to clear it.
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

/// What is known about a request when faults are chosen.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// Names of GraphQL operations; one without a name is empty.
    pub(crate) operations: Option<&'a [String]>,
    pub(crate) is_git: bool,
}

impl Asked<'_> {
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
            On::PipelineCreation => self.makes_pipeline(),
            On::Runner => ["/api/v4/jobs/", "/api/v4/runners"]
                .iter()
                .any(|start| self.path.starts_with(start)),
        }
    }

    fn makes_pipeline(&self) -> bool {
        let by_rest = self.method == "POST"
            && self.path.starts_with("/api/v4/projects/")
            && self.path.ends_with("/pipeline");
        let is_named = |name: &String| name.eq_ignore_ascii_case("pipelineCreate");
        by_rest || self.operations.is_some_and(|own| own.iter().any(is_named))
    }
}

impl Faults {
    /// Makes something go wrong.
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

    /// Takes one rule away.
    pub fn remove(&self, rule: RuleId) {
        lock(&self.0.rules).retain(|other| other.id != rule.0);
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        lock(&self.0.rules).clear();
        *lock(&self.0.random) = None;
        self.set_down(false);
    }

    /// Whether connections are closed at once, as if the server were down.
    pub fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    /// Makes this many of a thousand requests go wrong in some way; the same seed gives the same
    /// faults for the same sequence of requests.
    pub fn random(&self, seed: u64, per_mille: u32) {
        *lock(&self.0.random) = Some(Random {
            generator: StdRng::seed_from_u64(seed),
            per_mille,
        });
    }

    pub(crate) fn is_down(&self) -> bool {
        self.0.down.load(Ordering::SeqCst)
    }

    /// What befalls a request.
    pub(crate) fn choose(&self, asked: &Asked<'_>) -> Vec<Fault> {
        let mut chosen = Vec::new();
        let mut rules = lock(&self.0.rules);
        for rule in rules.iter_mut().filter(|rule| asked.is(&rule.on)) {
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
            5 => Fault::DropBeforeAnswer,
            6 => Fault::DropInBody,
            7 => Fault::LoseReply,
            _ => Fault::Latency(Duration::from_millis(20)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(faults: &Faults, operation: &str) -> usize {
        let operations = [operation.to_owned()];
        let asked = Asked {
            method: "POST",
            path: "/api/graphql",
            operations: Some(&operations),
            is_git: false,
        };
        faults.choose(&asked).len()
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
