//! The builds of an iteration as a graph of needs.

use std::collections::{BTreeSet, HashMap, HashSet};

use buildbtw_model::{Architecture, BuildId, BuildStatus, Pkgbase};
use buildbtw_planner::simulate::{self, Policy};
use petgraph::algo::{Cycle, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, IntoNodeIdentifiers, NodeFiltered, Reversed, Visitable};

use crate::db::builds::PlannedBuild;
use crate::error::Error;

/// The graph of an iteration; its edges lead from a build to those it needs. Its vertices are in the order of the rows.
pub(super) struct IterationGraph<'r, B> {
    graph: DiGraph<&'r B, ()>,
    nodes: HashMap<BuildId, NodeIndex>,
}

impl<'r, B: PlannedBuild> IterationGraph<'r, B> {
    /// Creates the graph from the builds of an iteration, and pairs of a build and one that it needs.
    pub(super) fn new(rows: &'r [B], edges: &[(BuildId, BuildId)]) -> Self {
        let mut graph = DiGraph::with_capacity(rows.len(), edges.len());
        let nodes = rows.iter().map(|row| (row.id(), graph.add_node(row)));
        let nodes: HashMap<BuildId, NodeIndex> = nodes.collect();
        for (build, needed) in edges {
            if let (Some(&build), Some(&needed)) = (nodes.get(build), nodes.get(needed)) {
                graph.add_edge(build, needed, ());
            }
        }
        Self { graph, nodes }
    }

    /// Returns the builds that a build needs directly, in the order of the rows.
    pub(super) fn needs(&self, build: BuildId) -> impl Iterator<Item = &'r B> {
        let node = self.nodes.get(&build).into_iter();
        let found = node.flat_map(|&node| self.graph.neighbors(node));
        let mut found: Vec<NodeIndex> = found.collect();
        found.sort_unstable();
        found.into_iter().map(|node| self.graph[node])
    }

    /// Returns, for every blocked build, the builds that it needs directly and that have no packages yet.
    pub(super) fn waiting(&self) -> HashMap<BuildId, Vec<Pkgbase>> {
        let names = self.graph.node_indices().map(|node| {
            let needed = self.graph.neighbors(node).map(|needed| self.graph[needed]);
            let missing = needed.filter(|needed| !needed.status().has_packages());
            missing.map(|needed| needed.pkgbase()).collect()
        });
        self.of_blocked(names.collect())
    }

    /// Returns, for every blocked build, the failed or cancelled builds that it needs, directly or not.
    ///
    /// # Errors
    /// When the builds form a cycle, which no plan has.
    pub(super) fn blockers(&self) -> Result<HashMap<BuildId, Vec<Pkgbase>>, Error> {
        let mut names = vec![BTreeSet::new(); self.graph.node_count()];
        let order = toposort(Reversed(&self.graph), None).map_err(|cycle| self.cyclic(&cycle))?;
        for node in order {
            let row = self.graph[node];
            names[node.index()] = match row.status() {
                BuildStatus::Failed | BuildStatus::Cancelled => BTreeSet::from([row.pkgbase()]),
                BuildStatus::Blocked => {
                    let needed = self.graph.neighbors(node);
                    let names = needed.flat_map(|needed| &names[needed.index()]);
                    names.copied().collect()
                }
                BuildStatus::Ready
                | BuildStatus::Dispatched
                | BuildStatus::Building
                | BuildStatus::Built
                | BuildStatus::Reused => BTreeSet::new(),
            };
        }
        Ok(self.of_blocked(names))
    }

    /// Creates the error for a cycle.
    fn cyclic(&self, cycle: &Cycle<NodeIndex>) -> Error {
        let pkgbase = self.graph[cycle.node_id()].pkgbase();
        anyhow::anyhow!("the builds of an iteration form a cycle that contains `{pkgbase}`").into()
    }

    /// Returns the names for those blocked builds that have any.
    fn of_blocked(&self, names: Vec<BTreeSet<&Pkgbase>>) -> HashMap<BuildId, Vec<Pkgbase>> {
        let rows = self.graph.node_weights().zip(names);
        rows.filter(|(row, names)| row.status() == BuildStatus::Blocked && !names.is_empty())
            .map(|(row, names)| (row.id(), names.into_iter().cloned().collect()))
            .collect()
    }

    /// Returns the builds of an architecture that failed or were cancelled, and those that they block.
    pub(super) fn stuck(&self, architecture: &Architecture) -> HashSet<BuildId> {
        let is_failed = |node: NodeIndex| {
            let status = self.graph[node].status();
            matches!(status, BuildStatus::Failed | BuildStatus::Cancelled)
        };
        let can_be_stuck = |node: NodeIndex| {
            let row = self.graph[node];
            let is_stopped = is_failed(node) || row.status() == BuildStatus::Blocked;
            row.architecture() == architecture && is_stopped
        };
        let part = NodeFiltered::from_fn(&self.graph, can_be_stuck);
        let failed = self.graph.node_indices();
        let failed = failed.filter(|&node| is_failed(node) && can_be_stuck(node));
        let mut search = Dfs::from_parts(failed.collect(), self.graph.visit_map());
        let mut stuck = HashSet::new();
        while let Some(node) = search.next(Reversed(&part)) {
            stuck.insert(self.graph[node].id());
        }
        stuck
    }

    /// Returns the builds of an architecture that can still be built, and when they end on `workers` workers, in seconds
    /// from now.
    ///
    /// # Errors
    /// When the builds form a cycle, which no plan has.
    pub(super) fn ends(
        &self,
        architecture: &Architecture,
        remaining_s: impl Fn(&B) -> u64,
        workers: usize,
    ) -> Result<Vec<(BuildId, u64)>, Error> {
        let stuck = self.stuck(architecture);
        let can_be_built = |node: NodeIndex| {
            let row = self.graph[node];
            let is_over = matches!(row.status(), BuildStatus::Built | BuildStatus::Reused);
            row.architecture() == architecture && !is_over && !stuck.contains(&row.id())
        };
        let part = NodeFiltered::from_fn(&self.graph, can_be_built);
        let remaining_s = |node: NodeIndex| remaining_s(self.graph[node]);
        let ends = simulate::ends(&part, remaining_s, workers, Policy::CriticalPath)
            .map_err(|cycle| self.cyclic(&cycle))?;
        let nodes = part.node_identifiers();
        let ends = nodes.map(|node| (self.graph[node].id(), ends[node.index()]));
        Ok(ends.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::builds::BuildRow;
    use crate::db::{IterationId, NamespaceId};
    use buildbtw_model::CommitTime;

    fn row(id: i64, pkgbase: &str, architecture: &str, status: BuildStatus) -> BuildRow {
        BuildRow {
            id: BuildId(id),
            namespace_id: NamespaceId(1),
            namespace: "bump".parse().unwrap(),
            iteration_id: IterationId(1),
            iteration: 1,
            architecture: architecture.parse().unwrap(),
            pkgbase: pkgbase.parse().unwrap(),
            stage: 1,
            level: 0,
            commit: "1".repeat(40).parse().unwrap(),
            tree: None,
            commit_time: CommitTime::EPOCH,
            clone_url: String::new(),
            srcinfo_sha256: "2".repeat(64).parse().unwrap(),
            version: "1-1".parse().unwrap(),
            pkgrel: None,
            reason: String::new(),
            library: None,
            bootstrap: false,
            without: String::new(),
            estimate_s: 60,
            estimate_is_known: true,
            status,
            shared_build_id: None,
            packages_attempt_id: None,
            message: None,
            hint: None,
            finished_at: None,
        }
    }

    /// Returns a failed library, a program that needs it and a built tool, and dependents of the program, one of them
    /// on another architecture.
    fn rows() -> Vec<BuildRow> {
        vec![
            row(1, "library", "x86_64", BuildStatus::Failed),
            row(2, "tool", "x86_64", BuildStatus::Built),
            row(3, "program", "x86_64", BuildStatus::Blocked),
            row(4, "plugin", "x86_64", BuildStatus::Blocked),
            row(5, "plugin", "aarch64", BuildStatus::Blocked),
            row(6, "other", "x86_64", BuildStatus::Ready),
        ]
    }

    const EDGES: [(i64, i64); 4] = [(4, 3), (3, 2), (3, 1), (5, 3)];

    fn names(found: &HashMap<BuildId, Vec<Pkgbase>>, id: i64) -> String {
        let names = found.get(&BuildId(id)).into_iter().flatten();
        let names: Vec<&str> = names.map(|name| name.as_str()).collect();
        names.join(" ")
    }

    #[test]
    fn finds_blockers_and_direct_dependencies() {
        let rows = rows();
        let edges = EDGES.map(|(build, needed)| (BuildId(build), BuildId(needed)));
        let graph = IterationGraph::new(&rows, &edges);
        let (blockers, waiting) = (graph.blockers().unwrap(), graph.waiting());
        assert_eq!((blockers.len(), waiting.len()), (3, 3));
        for (id, waits_for) in [(3, "library"), (4, "program"), (5, "program")] {
            assert_eq!(names(&blockers, id), "library");
            assert_eq!(names(&waiting, id), waits_for);
        }
        let ids = |rows: Vec<&BuildRow>| rows.iter().map(|row| row.id.0).collect::<Vec<_>>();
        assert_eq!(ids(graph.needs(BuildId(3)).collect()), [1, 2]);
        assert_eq!(graph.needs(BuildId(7)).count(), 0);
    }

    #[test]
    fn reports_a_cycle_instead_of_an_empty_result() {
        let rows = [
            row(1, "one", "x86_64", BuildStatus::Blocked),
            row(2, "other", "x86_64", BuildStatus::Blocked),
        ];
        let graph = IterationGraph::new(
            &rows,
            &[(1, 2), (2, 1)].map(|(one, other)| (BuildId(one), BuildId(other))),
        );
        let error = graph.blockers().unwrap_err().to_string();
        assert!(error.contains("form a cycle that contains `"), "{error}");
        let ends = graph.ends(&"x86_64".parse().unwrap(), |_| 60, 1);
        assert_eq!(ends.unwrap_err().to_string(), error);
    }

    #[test]
    fn marks_blocked_builds_as_stuck_per_architecture() {
        let rows = rows();
        let edges = EDGES.map(|(build, needed)| (BuildId(build), BuildId(needed)));
        let graph = IterationGraph::new(&rows, &edges);
        let stuck = graph.stuck(&"x86_64".parse().unwrap());
        assert_eq!(stuck, [1, 3, 4].map(BuildId).into());
        assert!(graph.stuck(&"aarch64".parse().unwrap()).is_empty());
    }

    #[test]
    fn schedules_builds_that_can_still_be_built() {
        let mut rows = rows();
        rows.extend([
            row(7, "first", "x86_64", BuildStatus::Ready),
            row(8, "second", "x86_64", BuildStatus::Blocked),
        ]);
        let edges = EDGES.into_iter().chain([(8, 7), (8, 2)]);
        let edges: Vec<_> = edges
            .map(|(build, needed)| (BuildId(build), BuildId(needed)))
            .collect();
        let graph = IterationGraph::new(&rows, &edges);
        let remaining_s = |row: &BuildRow| match row.pkgbase.as_str() {
            "other" => 10,
            _ => 60,
        };
        let ends = |workers| {
            let ends = graph.ends(&"x86_64".parse().unwrap(), remaining_s, workers);
            ends.unwrap()
                .into_iter()
                .map(|(build, end)| (build.0, end))
                .collect::<Vec<_>>()
        };
        // Those that a failed build blocks have no end, nor those that have ended; the longer chain comes first.
        assert_eq!(ends(2), [(6, 10), (7, 60), (8, 120)]);
        assert_eq!(ends(1), [(6, 130), (7, 60), (8, 120)]);
    }
}
