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

/// "I have to reboot a machine; no build should be lost."
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

/// "It was killed for memory. There is a machine with more, so why does it not go there?"
#[test]
fn build_that_was_killed_for_memory_goes_to_a_larger_machine() {
    let site = Site::new(&["chromium"]);
    let admin = site.admin();
    // It is known before there is anything to build.
    assert!(site.claims_with("large", 32_768).is_none());
    admin.says(&["new", "chromium", "--name", "web"]);
    let build = site.claims_with("small", 8_192).unwrap();
    site.lacks_memory(&build);
    has(
        &admin.says(&["why", "web", "chromium"]),
        &["more than 8192 MiB"],
    );
    assert!(site.claims_with("small", 8_192).is_none());
    let build = site.claims_with("large", 32_768).unwrap();
    site.succeeds(&build);
    has(&admin.says(&["watch", "web"]), &["web done"]);
}

/// "Anna started first, so everyone else waits for a machine today."
#[test]
fn second_person_gets_a_worker_before_the_first_one_is_done() {
    let site = Site::new(&["liba", "libb", "libc", "libd"]);
    let (anna, ben) = (site.person("anna"), site.person("ben"));
    let origins = ["liba", "libb", "libc"];
    anna.says(&[&["new", "--name", "large"][..], &origins].concat());
    let first = site.claims_any();
    assert!(origins.contains(&first.pkgbase.as_str()));
    ben.says(&["new", "libd", "--name", "small"]);
    site.succeeds(&first);
    let second = site.claims("libd");
    site.succeeds(&second);
    has(&ben.says(&["watch", "small"]), &["small done"]);
    eventually("the first build of the other rebuild is published", || {
        let listed = anna.says(&["list", "--mine"]);
        listed.contains("1/3").then_some(())
    });
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
