//! One worker with its machine and builds.

use buildbtw_model::api::WorkerSummary;
use jiff::Timestamp;

use super::text::{drained, gib, gib_of_mib, joined, status};
use crate::output::{clean, style, time};

/// Returns the fields of a worker, and last its builds.
pub(super) fn lines(worker: &WorkerSummary, now: Timestamp) -> Vec<String> {
    let field = |label: &str, value: String| format!("{label:13} {value}");
    let name = style::paint(style::HEADER, &worker.name);
    let seen = worker.last_contact_at;
    let seen = format!("{} ({})", time::date(seen), time::ago(now, seen));
    let mut lines = vec![
        field("worker", name),
        field("state", status(worker.status).to_owned()),
        field("last contact", seen),
        field("architectures", joined(&worker.architectures)),
    ];
    if let Some(machine) = &worker.machine {
        if !machine.tags.is_empty() {
            lines.push(field("tags", joined(&machine.tags)));
        }
        lines.push(field("version", clean(&machine.version)));
        lines.push(field("cores", machine.cores.to_string()));
        let (memory, of_build) = (machine.memory_mib, machine.build_memory_mib);
        let (memory, of_build) = (gib_of_mib(memory), gib_of_mib(of_build));
        lines.push(field("memory", format!("{memory}, {of_build} per build")));
    }
    if let Some(load) = &worker.load {
        let (free, total) = (gib(load.disk_free_bytes), gib(load.disk_total_bytes));
        lines.push(field("load", format!("{:.1}", load.load)));
        lines.push(field("disk", format!("{free} of {total} free")));
    }
    if let Some(at) = worker.drained_at {
        let why = drained(worker).unwrap_or_default();
        let text = format!("{} {why}", time::date(at));
        lines.push(field("drained", text.trim_end().to_owned()));
    }
    let (running, jobs) = (worker.builds.len(), worker.jobs);
    lines.push(field("builds", format!("{running} of {jobs}")));
    for build in &worker.builds {
        let took = time::between(build.started_at, Some(now));
        let took = took.unwrap_or_else(|| "starting".to_owned());
        let (namespace, pkgbase) = (&build.namespace, &build.pkgbase);
        let architecture = &build.architecture;
        lines.push(format!("  {namespace} {pkgbase} {architecture}  {took}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shows_the_machine_who_drained_it_and_its_builds() {
        let worker: WorkerSummary = serde_json::from_value(json!({
            "name": "w1", "status": "lost-contact", "architectures": ["x86_64", "aarch64"], "jobs": 2,
            "builds": [{ "id": 1, "namespace": "space", "pkgbase": "libgreet", "architecture": "x86_64",
                         "started_at": "2026-11-29T11:57:00Z" }],
            "machine": { "version": "0.1.0", "tags": ["big"], "cores": 16, "memory_mib": 65_536,
                         "build_memory_mib": 8_192 },
            "load": { "load": 2.25, "disk_free_bytes": 1_u64 << 33, "disk_total_bytes": 1_u64 << 34 },
            "last_contact_at": "2026-11-29T11:48:00Z",
            "drained_at": "2026-11-29T11:00:00Z", "drained_by": "jane", "drain_reason": "new\nmemory",
        }))
        .unwrap();
        let now = "2026-11-29T12:00:00Z".parse().unwrap();
        let lines = lines(&worker, now);
        let plain: Vec<String> = lines
            .iter()
            .map(|line| console::strip_ansi_codes(line).into_owned())
            .collect();
        let text = plain.join("\n");
        for part in [
            "worker        w1\nstate         lost\n",
            "(12 min ago)\narchitectures x86_64,aarch64\ntags          big\n",
            "memory        64.0 GiB, 8.0 GiB per build\n",
            "disk          8.0 GiB of 16.0 GiB free\ndrained       ",
            " by jane: new memory\nbuilds        1 of 2\n  space libgreet x86_64  3 min 00 s",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
