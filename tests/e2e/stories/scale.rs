//! Wishes about rebuilds of thousands of packages: one screen, few bytes, and a fix that does not wait.

use super::relay::Relay;
use super::site::{Person, Site, has};

/// The builds of the rebuild.
const BUILDS: usize = 3_700;
/// The lines of the terminal.
const SCREEN: usize = 24;

/// Starts a rebuild of a library and all its users, some of which have failed.
fn mass_rebuild(failed: usize, others: usize) -> Site {
    let site = Site::start(&[], |sources| {
        let needs = |number: usize| match number {
            1..BUILDS => vec![0],
            _ => Vec::new(),
        };
        sources.write_graph((0..BUILDS + others).map(needs));
    });
    let new = ["new", "p0", "--name", "mass", "--max-builds", "5000"];
    site.admin().says(&new);
    site.succeeds(&site.claims("p0"));
    for _ in 0..failed {
        let build = site.claims_any();
        site.fails(&build, "build() failed: no header y.h");
    }
    site
}

fn fits(person: &Person<'_>, args: &[&str]) -> String {
    let said = person.run(args);
    assert_eq!(said.code, 0, "{args:?}: {}", said.stderr);
    assert!(said.lines() <= SCREEN, "{args:?}: {}", said.stdout);
    let wide = said.stdout.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "{args:?}");
    said.stdout
}

/// "I do not want 3,700 lines."
#[test]
fn thousands_of_builds_fit_one_screen_and_few_bytes() {
    let site = mass_rebuild(30, 0);
    let relay = Relay::start(site.server.address(), None);
    let admin = site.admin().at(&relay.url());
    let shown = fits(&admin, &["show", "mass"]);
    has(&shown, &["failed", "no header y.h", " more (`--all`"]);
    let failures = shown.lines().skip(1).take(5);
    assert!(
        failures.clone().all(|line| line.contains("failed")),
        "{shown}"
    );
    assert!(shown.contains("1 of 3700 built, 30 failed"), "{shown}");
    let (requests, bytes) = relay.take_counts();
    assert!(
        requests <= 3 && bytes <= 64 << 10,
        "{requests} requests, {bytes} bytes"
    );
    for args in [
        &["list"][..],
        &["status"],
        &["show", "mass", "--failed"],
        &["sources"],
        &["activity"],
        &["workers"],
        &["retry", "mass"],
    ] {
        fits(&admin, args);
    }
    let all = admin.says(&["show", "mass", "--all"]);
    assert!(all.lines().count() > BUILDS);
}

/// "A security fix must not wait for the mass rebuild."
#[test]
fn urgent_fix_gets_the_next_worker_during_a_mass_rebuild() {
    let site = mass_rebuild(0, 1);
    let (anna, admin) = (site.person("anna"), site.admin());
    let running = site.claims_any();
    let fix = format!("p{BUILDS}");
    anna.says(&["new", &fix, "--name", "fix"]);
    let refused = anna.is_refused(&["prioritize", "fix", "urgent"]);
    has(&refused, &["urgent", "`high`"]);
    let reason = ["-m", "CVE-2026-1"];
    let urgent = [&["prioritize", "fix", "urgent"][..], &reason].concat();
    has(&admin.says(&urgent), &["fix has the priority urgent"]);
    site.succeeds(&running);
    let next = site.claims(&fix);
    let listed = anna.says(&["list"]);
    let line = listed.lines().find(|line| line.starts_with("fix"));
    has(line.unwrap(), &["urgent", "anna"]);
    let activity = anna.says(&["activity", "--namespace", "fix"]);
    let line = activity.lines().find(|line| line.contains("prioritized"));
    has(line.unwrap(), &["urgent", "CVE-2026-1"]);
    site.succeeds(&next);
    has(&anna.says(&["watch", "fix"]), &["fix done"]);
}
