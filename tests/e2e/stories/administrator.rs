//! Wishes of administrators: machines that are drained, large, small or too old.

use buildbtw_tests::{eventually, printed};

use super::relay::Relay;
use super::site::{Person, Site, has};

/// Waits until a worker is in a state, as the list says it.
fn wait_for(person: &Person<'_>, worker: &str, state: &str) {
    eventually(&format!("{worker} is {state}"), || {
        let listed = person.says(&["workers"]);
        let mut lines = listed.lines().filter(|line| line.starts_with(worker));
        lines.any(|line| line.contains(state)).then_some(())
    });
}

/// "I have to reboot a machine; nobody should lose a build."
#[test]
fn machine_can_be_drained_and_rebooted_without_losing_a_build() {
    let site = Site::new(&["libgreet", "libwave"]);
    let admin = site.admin();
    admin.says(&["new", "libgreet", "--name", "one"]);
    let build = site.claims("libgreet");
    let drained = admin.says(&["worker", "drain", "builder", "-m", "new disk"]);
    has(
        &drained,
        &["drained builder; it finishes 1 build and gets no new ones"],
    );
    wait_for(&admin, "builder", "draining");
    admin.says(&["new", "libwave", "--name", "two"]);
    site.succeeds(&build);
    has(&admin.says(&["watch", "one"]), &["one done"]);
    wait_for(&admin, "builder", "drained");
    // After the reboot it is still drained.
    site.claims_nothing();
    has(
        &admin.says(&["show", "two"]),
        &["stalled: no worker for x86_64"],
    );
    admin.says(&["worker", "resume", "builder"]);
    site.succeeds(&site.claims("libwave"));
    has(&admin.says(&["watch", "two"]), &["two done"]);
    let activity = admin.says(&["activity"]);
    has(
        &activity,
        &["drained", "resumed", "worker builder", "new disk"],
    );
}

/// "Chromium must go to the large machine."
#[test]
fn big_package_waits_for_the_big_worker_and_others_do_not() {
    let flags = ["--build-tag", "chromium*=big"];
    let site = Site::with(&["chromium", "libgreet"], &flags);
    let admin = site.admin();
    let _small = site.worker("small", &[]);
    admin.says(&["new", "chromium", "--name", "web"]);
    admin.says(&["new", "libgreet", "--name", "lib", "--follow"]);
    let shown = admin.says(&["show", "web"]);
    has(
        &shown,
        &["stalled: no worker for x86_64 with the tag `big`"],
    );
    let _large = site.worker("large", &["--tag", "big"]);
    has(&admin.says(&["watch", "web"]), &["web done"]);
    let filter = "map(select(.machine.tags == [\"big\"]).name)";
    let big = admin.says(&["workers", "--jq", filter]);
    assert_eq!(big.trim(), "[\"large\"]");
}

/// "It failed with something about JSON; the worker was only too old."
#[test]
fn worker_of_another_version_is_told_so_in_one_sentence() {
    let site = Site::new(&["libgreet"]);
    for (version, which) in [
        ("buildbtw-api: 0", "this program is too old for this server"),
        ("buildbtw-api: 9", "this server is too old for this program"),
    ] {
        let relay = Relay::start(site.server.address(), Some(("buildbtw-api: 2", version)));
        let mut worker = site.worker_command(&relay.url(), "w", &[]);
        let output = worker.output().unwrap();
        assert!(!output.status.success(), "{}", printed(&output));
        let errors = String::from_utf8_lossy(&output.stderr);
        has(&errors, &[which, "hint: update "]);
        let person = site.admin().at(&relay.url());
        has(&person.is_refused(&["list"]), &[which, "hint: update "]);
    }
}
