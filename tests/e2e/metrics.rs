//! Metrics of all programs, and what is made of them: the alerts and the dashboard in `packaging/` name only metrics
//! and labels that exist, and Prometheus can evaluate each of their expressions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use buildbtw_tests::{
    Forge, Process, Server, Worker, cli, eventually, has_tool, pacman_upgrades, printed, program,
};
use regex::Regex;
use serde_json::Value;

const SRCINFO: &str =
    "pkgbase = hello\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = hello\n";
const PKGBUILD: &str = "pkgname=hello\npkgver=1\npkgrel=1\narch=(x86_64)\npackage() { :; }\n";
/// Labels that Prometheus adds, and those of histograms.
const OTHER_LABELS: [&str; 3] = ["instance", "job", "le"];

fn packaging(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().join("packaging").join(name)
}

fn get(url: &str, query: &[(&str, &str)]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--get", url]);
    for (name, value) in query {
        command
            .arg("--data-urlencode")
            .arg(format!("{name}={value}"));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{url}: {}", printed(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A server with sources in GitLab, a worker and an executor, which all serve metrics, after one build.
struct Site {
    server: Server,
    /// The addresses by the names that the example configuration gives to the jobs.
    targets: BTreeMap<&'static str, String>,
    _worker: Worker,
    _executor: Process,
    _forge: Forge,
}

impl Site {
    fn start(folder: &Path) -> Self {
        let forge = Forge::new(folder);
        forge.push("hello", SRCINFO, PKGBUILD);
        let server = Server::start_with_gitlab(folder, &forge);
        let arguments = ["--metrics-listen", "127.0.0.1:0"];
        let scratch = folder.join("scratch");
        let mut worker = Worker::simulated_and(&server, &scratch, &arguments);
        let line = worker.process.wait_for_line("metrics are available");
        let worker_address = address_in(&line);
        let settings = folder.join("executor.toml");
        let state = folder.join("state");
        let text = format!(
            "server = '{}'\nstate_dir = '{}'\nbuilder = {{ simulated = {{ seconds = 0 }} }}\n",
            server.url(),
            state.display()
        );
        std::fs::create_dir_all(&state).unwrap();
        std::fs::write(&settings, text).unwrap();
        let mut command = Command::new(program("buildbtw-executor"));
        command
            .args(["metrics", "--listen", "127.0.0.1:0", "--config"])
            .arg(&settings);
        let mut executor = Process::start("executor", &mut command);
        let line = executor.wait_for_line("metrics are available");
        let executor_address = address_in(&line);
        let output = cli(
            &server,
            &["new", "hello/main", "--name", "hello", "--follow"],
        );
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        pacman_upgrades(folder, &server, "hello");
        let own = server.url().trim_start_matches("http://").to_owned();
        Self {
            server,
            targets: [
                ("buildbtw", own),
                ("buildbtw-worker", worker_address),
                ("buildbtw-executor", executor_address),
            ]
            .into(),
            _worker: worker,
            _executor: executor,
            _forge: forge,
        }
    }

    fn texts(&self) -> Vec<String> {
        let texts = self.targets.values();
        texts
            .map(|address| get(&format!("http://{address}/metrics"), &[]))
            .collect()
    }
}

/// Returns the address in a line of a log.
fn address_in(line: &str) -> String {
    let pattern = Regex::new(r"127\.0\.0\.1:\d+").unwrap();
    pattern.find(line).unwrap().as_str().to_owned()
}

/// The samples of all programs by name, with their labels.
#[derive(Default)]
struct Known {
    labels: BTreeMap<String, BTreeSet<String>>,
    /// The values of the label `state`; gauges have all of them from the start.
    states: BTreeMap<String, BTreeSet<String>>,
    /// The names as registered, without the suffixes of samples.
    families: BTreeSet<String>,
}

impl Known {
    fn read(texts: &[String]) -> Self {
        let mut known = Self::default();
        let label = Regex::new(r#"([a-z_]+)=""#).unwrap();
        let state = Regex::new(r#"\bstate="([^"]*)""#).unwrap();
        for line in texts.iter().flat_map(|text| text.lines()) {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').unwrap();
                known.families.insert(name.to_owned());
                let suffixes: &[&str] = match kind {
                    "counter" => &["_total"],
                    "histogram" => &["_bucket", "_sum", "_count"],
                    "info" => &["_info"],
                    "gauge" => &[""],
                    other => panic!("{name} is a {other}"),
                };
                for suffix in suffixes {
                    known.labels.entry(format!("{name}{suffix}")).or_default();
                }
            } else if !line.starts_with('#') {
                let end = line.find(['{', ' ']).unwrap();
                let own = known.labels.get_mut(&line[..end]);
                let own = own.unwrap_or_else(|| panic!("a sample without a type: {line}"));
                let names = label.captures_iter(line);
                own.extend(names.map(|found| found[1].to_owned()));
                let states = known.states.entry(line[..end].to_owned()).or_default();
                states.extend(state.captures_iter(line).map(|found| found[1].to_owned()));
            }
        }
        known
    }

    /// Returns what an expression names that does not exist.
    fn unknown_in(&self, expression: &str) -> Vec<String> {
        let metric = Regex::new(r"\b((?:buildbtw|process)_[a-z0-9_]+)(?:\{([^}]*)\})?").unwrap();
        let matcher = Regex::new(r"([a-z_]+)\s*(?:=~|!~|!=|=)").unwrap();
        let state = Regex::new(r#"\bstate\s*(?:=~|!~|!=|=)\s*"([^"]*)""#).unwrap();
        let grouping = Regex::new(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)").unwrap();
        let mut unknown = Vec::new();
        let mut all: BTreeSet<&str> = OTHER_LABELS.into();
        for found in metric.captures_iter(expression) {
            let name = &found[1];
            let Some(own) = self.labels.get(name) else {
                unknown.push(name.to_owned());
                continue;
            };
            all.extend(own.iter().map(String::as_str));
            let matchers = found.get(2).map_or("", |found| found.as_str());
            for label in matcher.captures_iter(matchers) {
                let label = &label[1];
                if !own.contains(label) && !OTHER_LABELS.contains(&label) {
                    unknown.push(format!("{name}{{{label}}}"));
                }
            }
            let states = self.states.get(name);
            for values in state.captures_iter(matchers) {
                let values = values.get(1).map_or("", |found| found.as_str()).split('|');
                let absent = values.filter(|value| states.is_none_or(|own| !own.contains(*value)));
                unknown.extend(absent.map(|value| format!("{name}{{state={value}}}")));
            }
        }
        for labels in grouping.captures_iter(expression) {
            for label in labels[1].split(',').map(str::trim) {
                if !label.is_empty() && !all.contains(label) {
                    unknown.push(format!("by ({label})"));
                }
            }
        }
        unknown
    }
}

/// Returns the expressions of the dashboard, with values for its variables.
fn dashboard() -> Vec<String> {
    let text = std::fs::read_to_string(packaging("grafana/buildbtw.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let expressions = targets.map(|target| {
        let expression = target["expr"].as_str().unwrap();
        expression
            .replace("$instance", ".*")
            .replace("$__rate_interval", "1m")
    });
    expressions.collect()
}

/// Returns the expressions of the alerts. Those of several lines are folded (`>-`).
fn alerts() -> Vec<String> {
    let text = std::fs::read_to_string(packaging("prometheus/buildbtw.rules.yml")).unwrap();
    let mut expressions = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(first) = line.trim_start().strip_prefix("expr: ") else {
            continue;
        };
        let mut expression = first.trim_start_matches(">-").to_owned();
        let indentation = line.len() - line.trim_start().len();
        while let Some(next) =
            lines.next_if(|next| next.len() - next.trim_start().len() > indentation)
        {
            expression.push(' ');
            expression.push_str(next.trim());
        }
        expressions.push(expression);
    }
    expressions
}

#[test]
fn alerts_and_dashboard_name_existing_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path());
    let known = Known::read(&site.texts());
    let (dashboard, alerts) = (dashboard(), alerts());
    assert!(dashboard.len() > 40 && alerts.len() > 15);
    let unknown: Vec<_> = dashboard
        .iter()
        .chain(&alerts)
        .map(|expression| (expression, known.unknown_in(expression)))
        .filter(|(_, unknown)| !unknown.is_empty())
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    // The check itself finds what does not exist.
    for (expression, expected) in [
        ("sum(buildbtw_nothing)", "buildbtw_nothing"),
        (
            "buildbtw_builds{status=\"ready\"}",
            "buildbtw_builds{status}",
        ),
        (
            "buildbtw_workers{state=~\"free|asleep\"}",
            "buildbtw_workers{state=asleep}",
        ),
        ("sum by (package) (buildbtw_builds)", "by (package)"),
        ("buildbtw_attempts", "buildbtw_attempts"),
    ] {
        assert_eq!(known.unknown_in(expression), [expected]);
    }

    let note = packaging("../notes/monitoring.md");
    let note = std::fs::read_to_string(note).unwrap();
    let missing: Vec<&String> = known
        .families
        .iter()
        .filter(|family| !note.contains(&format!("`{family}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "not in notes/monitoring.md: {missing:?}"
    );
    let written = Regex::new(r"`((?:buildbtw|process)_[a-z_]+)`").unwrap();
    let unknown: Vec<&str> = written
        .captures_iter(&note)
        .map(|found| found.get(1).unwrap().as_str())
        .filter(|name| !known.families.contains(*name))
        .collect();
    assert!(
        unknown.is_empty(),
        "only in notes/monitoring.md: {unknown:?}"
    );
    drop(site.server);
}

/// A Prometheus that scrapes a site.
struct Prometheus {
    url: String,
    _process: Process,
}

impl Prometheus {
    fn start(folder: &Path, site: &Site) -> Self {
        let mut config = format!(
            "global:\n  scrape_interval: 250ms\n  scrape_timeout: 250ms\n  evaluation_interval: 250ms\n\
             rule_files: ['{}']\nscrape_configs:\n",
            packaging("prometheus/buildbtw.rules.yml").display()
        );
        for (job, address) in &site.targets {
            config += &format!(
                "  - job_name: {job}\n    static_configs: [{{ targets: ['{address}'] }}]\n"
            );
        }
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("tsdb").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0");
        let mut process = Process::start("prometheus", &mut command);
        let line = process.wait_for_line("Listening on");
        // Before it has loaded its storage it answers queries with 503.
        process.wait_for_line("Server is ready to receive web requests");
        Self {
            url: format!("http://{}", address_in(&line)),
            _process: process,
        }
    }

    /// Evaluates an expression, and returns its series.
    fn query(&self, expression: &str) -> Vec<Value> {
        let url = format!("{}/api/v1/query", self.url);
        let response: Value = serde_json::from_str(&get(&url, &[("query", expression)])).unwrap();
        assert_eq!(response["status"], "success", "{expression}: {response}");
        let result = response["data"]["result"].as_array().unwrap();
        result.clone()
    }

    /// Returns all rules with their health: whether their expression was evaluated.
    fn rules(&self) -> Vec<(String, String, Value)> {
        let text = get(&format!("{}/api/v1/rules", self.url), &[]);
        let response: Value = serde_json::from_str(&text).unwrap();
        let groups = response["data"]["groups"].as_array().unwrap().clone();
        let rules = groups
            .into_iter()
            .flat_map(|group| group["rules"].as_array().unwrap().clone());
        rules
            .map(|rule| {
                let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
                (text("name"), text("health"), rule["lastError"].clone())
            })
            .collect()
    }
}

#[test]
fn prometheus_evaluates_every_query_and_alert() {
    if !has_tool("prometheus") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path());
    let prometheus = Prometheus::start(folder.path(), &site);
    eventually("all programs are scraped", || {
        (prometheus.query("up == 1").len() == site.targets.len()).then_some(())
    });
    // Rates need two samples.
    eventually("rates can be computed", || {
        let rates = [
            "rate(buildbtw_plan_seconds_count[1m])",
            "rate(buildbtw_worker_attempt_seconds_count[1m])",
            "rate(buildbtw_executor_attempt_seconds_count[1m])",
        ];
        let has_result = |rate: &&str| !prometheus.query(rate).is_empty();
        rates.iter().all(has_result).then_some(())
    });
    let empty: Vec<String> = dashboard()
        .into_iter()
        .filter(|expression| prometheus.query(expression).is_empty())
        // Shown only after a failure.
        .filter(|expression| !expression.ends_with("> 0"))
        .collect();
    assert!(empty.is_empty(), "queries without a result: {empty:#?}");
    let rules = eventually("all alerts are evaluated", || {
        let rules = prometheus.rules();
        let is_known = rules.iter().all(|(_, health, _)| health != "unknown");
        is_known.then_some(rules)
    });
    assert_eq!(rules.len(), alerts().len());
    let failed: Vec<_> = rules
        .iter()
        .filter(|(_, health, _)| health != "ok")
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn alerts_pass_their_own_tests() {
    if !has_tool("promtool") {
        return;
    }
    let output = Command::new("promtool")
        .args(["test", "rules", "buildbtw.test.yml"])
        .current_dir(packaging("prometheus"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", printed(&output));
}
