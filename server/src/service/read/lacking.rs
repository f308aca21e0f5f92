//! Why ready builds find no worker.

use std::collections::HashMap;

use buildbtw_model::Architecture;

use crate::db::builds::{self, Need};
use crate::db::workers::{self, WORKER_TIMEOUT};
use crate::db::{Database, IterationId};
use crate::state::capability::Capability;
use crate::time::Millis;

/// Returns what no worker has of what the ready builds of an iteration need, by architecture; nothing for architectures
/// with a build that some worker could run.
pub(super) async fn lacking(
    database: &Database,
    iteration: IterationId,
    now: Millis,
) -> sqlx::Result<HashMap<Architecture, String>> {
    let reader = database.read();
    let needs = builds::ready_needs(reader, iteration).await?;
    if needs
        .iter()
        .all(|need| need.tag.is_none() && need.exceeded_memory_mib.is_none())
    {
        return Ok(HashMap::new());
    }
    let machines = workers::machines(reader, now - WORKER_TIMEOUT).await?;
    let workers: Vec<_> = machines
        .into_iter()
        .map(|(architecture, machine)| (architecture, Capability::of(machine.as_ref())))
        .collect();
    Ok(unmet(&needs, &workers))
}

fn unmet(needs: &[Need], workers: &[(Architecture, Capability)]) -> HashMap<Architecture, String> {
    let is_met = |need: &Need| {
        workers.iter().any(|(architecture, worker)| {
            *architecture == need.architecture
                && worker.suffices(need.tag.as_ref(), need.exceeded_memory_mib)
        })
    };
    let mut lacking = HashMap::new();
    for need in needs {
        let architecture = &need.architecture;
        let mut same = needs
            .iter()
            .filter(|other| other.architecture == *architecture);
        if !same.any(is_met) {
            lacking.insert(architecture.clone(), describe(need));
        }
    }
    lacking
}

fn describe(need: &Need) -> String {
    let tag = need.tag.as_ref().map(|tag| format!("with the tag `{tag}`"));
    let memory = need
        .exceeded_memory_mib
        .map(|exceeded| format!("with more than {exceeded} MiB of memory for a build"));
    let what: Vec<String> = tag.into_iter().chain(memory).collect();
    format!("no worker for {} {}", need.architecture, what.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(tag: Option<&str>, exceeded_memory_mib: Option<u32>) -> Need {
        Need {
            architecture: "x86_64".parse().unwrap(),
            tag: tag.map(|tag| tag.parse().unwrap()),
            exceeded_memory_mib,
        }
    }

    #[test]
    fn says_what_no_worker_has() {
        let architecture: Architecture = "x86_64".parse().unwrap();
        let worker = Capability {
            tags: Vec::new(),
            memory_mib: 8_192,
        };
        let workers = [(architecture.clone(), worker)];
        let said = |needs: &[Need]| unmet(needs, &workers).remove(&architecture);
        assert_eq!(
            said(&[need(Some("big"), Some(8_192))]).unwrap(),
            "no worker for x86_64 with the tag `big` and with more than 8192 MiB of memory for a build"
        );
        assert_eq!(said(&[need(Some("big"), None), need(None, None)]), None);
    }
}
