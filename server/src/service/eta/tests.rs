use super::*;

const WORKERS: usize = 4;
const BUILDS: i64 = 200;
/// How long builds take, in percent of the median. A quarter of them takes less than 80, a quarter more than 125.
const SPREAD: [u64; 7] = [60, 80, 90, 100, 110, 125, 160];

fn architecture() -> Architecture {
    "x86_64".parse().unwrap()
}

fn at(seconds: u64) -> Timestamp {
    let start: Timestamp = "2026-12-01T10:00:00Z".parse().unwrap();
    let seconds = SignedDuration::from_secs(saturating(seconds));
    start.checked_add(seconds).unwrap()
}

fn median_s(id: BuildId) -> u64 {
    30 + id.0.unsigned_abs() * 7_919 % 571
}

fn node(id: BuildId, status: BuildStatus) -> NodeRow {
    let median: u32 = saturating(median_s(id));
    NodeRow {
        id,
        pkgbase: format!("p{}", id.0).parse().unwrap(),
        architecture: architecture(),
        status,
        estimate_s: median,
        estimate_low_s: Some(median * 80 / 100),
        estimate_high_s: Some(median * 125 / 100),
    }
}

fn nodes(status: impl Fn(BuildId) -> BuildStatus) -> Vec<NodeRow> {
    let ids = (1..=BUILDS).map(BuildId);
    ids.map(|id| node(id, status(id))).collect()
}

/// Each build is needed by three others.
fn edges() -> Vec<(BuildId, BuildId)> {
    let edges = (3..=BUILDS).map(|id| (BuildId(id), BuildId(id / 3)));
    edges.collect()
}

/// A rebuild whose builds take `slowness` times as long as earlier ones.
struct Run {
    slowness: u64,
    /// When each build ends, in seconds.
    ends: HashMap<BuildId, u64>,
}

impl Run {
    fn new(slowness: u64) -> Self {
        let (nodes, edges) = (nodes(|_| BuildStatus::Ready), edges());
        let graph = IterationGraph::new(&nodes, &edges);
        let mut run = Self {
            slowness,
            ends: HashMap::new(),
        };
        let took_s = |node: &NodeRow| run.took_s(node.id);
        let ends = graph.ends(&architecture(), took_s, WORKERS).unwrap();
        run.ends = ends.into_iter().collect();
        run
    }

    fn took_s(&self, id: BuildId) -> u64 {
        let place = usize::try_from(id.0 * 31 % 7).unwrap();
        median_s(id) * SPREAD[place] * self.slowness / 100
    }

    fn last_s(&self) -> u64 {
        self.ends.values().copied().max().unwrap()
    }

    fn status(&self, id: BuildId, now_s: u64) -> BuildStatus {
        let end = self.ends[&id];
        if end <= now_s {
            BuildStatus::Built
        } else if end - self.took_s(id) < now_s {
            BuildStatus::Building
        } else {
            BuildStatus::Ready
        }
    }

    /// Returns what is expected at some time of the run.
    fn expected_at(&self, now_s: u64) -> Range {
        let (nodes, edges) = (nodes(|id| self.status(id, now_s)), edges());
        let of_status = |status: BuildStatus| {
            let nodes = nodes.iter().filter(move |node| node.status == status);
            nodes.map(move |node| (node.id, self.took_s(node.id)))
        };
        let ended: HashMap<BuildId, u64> = of_status(BuildStatus::Built).collect();
        let started = of_status(BuildStatus::Building);
        let started = started.map(|(id, took_s)| (id, at(self.ends[&id] - took_s)));
        let started: HashMap<BuildId, Timestamp> = started.collect();
        let rest = Rest {
            nodes: &nodes,
            graph: &IterationGraph::new(&nodes, &edges),
            ended: &ended,
            started: &started,
        };
        let workers = HashMap::from([(architecture(), WORKERS)]);
        estimate(&rest, &workers, at(now_s)).unwrap().last.unwrap()
    }
}

#[test]
fn contains_the_true_end_of_a_run() {
    // Before anything has ended, only the history is known.
    for (slowness, quarters) in [(1, 0..4), (2, 1..4)] {
        let run = Run::new(slowness);
        let end = at(run.last_s());
        for quarter in quarters {
            let range = run.expected_at(run.last_s() * quarter / 4);
            let contains = range.from <= end && end <= range.to;
            assert!(contains, "{slowness}, {quarter}: {end} is not in {range:?}");
        }
    }
}

#[test]
fn narrows_as_builds_end() {
    let run = Run::new(1);
    let widths = [0, 1, 2, 3].map(|quarter| {
        let range = run.expected_at(run.last_s() * quarter / 4);
        range.to.duration_since(range.from)
    });
    assert!(widths.is_sorted_by(|a, b| a > b), "{widths:?}");
}

#[test]
fn moves_when_builds_take_twice_as_long() {
    let run = Run::new(2);
    let before = run.expected_at(0);
    assert!(before.to < at(run.last_s()), "{before:?}");
    let after = run.expected_at(run.last_s() / 2);
    assert!(before.to < after.from, "{before:?} {after:?}");
}

#[test]
fn knows_no_end_without_any_duration() {
    let mut nodes = vec![
        node(BuildId(1), BuildStatus::Built),
        node(BuildId(2), BuildStatus::Ready),
        node(BuildId(3), BuildStatus::Ready),
    ];
    for node in &mut nodes {
        (node.estimate_low_s, node.estimate_high_s) = (None, None);
    }
    assert_eq!(unknown_durations(&nodes), 2);
    let graph = IterationGraph::new(&nodes, &[]);
    let expected = |ended: &[(BuildId, u64)], workers: usize| {
        let ended: HashMap<BuildId, u64> = ended.iter().copied().collect();
        let rest = Rest {
            nodes: &nodes,
            graph: &graph,
            ended: &ended,
            started: &HashMap::new(),
        };
        let workers = HashMap::from([(architecture(), workers)]);
        estimate(&rest, &workers, at(0)).unwrap()
    };
    let etas = expected(&[], 1);
    assert_eq!((etas.builds.len(), etas.last), (0, None));
    // The others are expected to take as long as the first that ended.
    let etas = expected(&[(BuildId(1), 30)], 1);
    assert_eq!(etas.last.map(|last| last.middle), Some(at(60)));
    assert_eq!(etas.builds.len(), 2);
    let etas = expected(&[(BuildId(1), 30)], 0);
    assert_eq!((etas.builds.len(), etas.last), (0, None));
}

#[test]
fn expects_less_of_running_builds() {
    let expected = Estimate {
        low_s: 80,
        seconds: 100,
        high_s: 120,
    };
    let after = |elapsed_s| {
        [Assumed::Low, Assumed::Middle, Assumed::High]
            .map(|assumed| assumed.remaining_s(expected, elapsed_s))
    };
    assert_eq!(after(0), [80, 100, 120]);
    assert_eq!(after(50), [30, 50, 70]);
    assert_eq!(after(130), [0, 0, 65]);
}
