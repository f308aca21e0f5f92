//! `build NAMESPACE PKGBASE`, up to the sandbox: which attempt is repeated, and why none is.

use buildbtw_model::{AttemptId, BuildStatus};

use super::fake::Fake;
use super::program::run;

/// Runs `build` with arguments, which fails, and returns the lines of the error.
async fn fails(fake: &Fake, args: &[&str]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let all = [&["build"], args].concat();
    let ran = run(home.path(), &fake.url, &all).await;
    assert_eq!(ran.code, 3, "{args:?}: {}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "", "{args:?}");
    ran.stderr.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn says_why_no_attempt_is_repeated() {
    let fake = Fake::start(&["libgreet", "greet"]).await;
    let unknown = fails(&fake, &["space", "libgret"]).await;
    assert_eq!(
        unknown,
        [
            "error: namespace `space` has no build of `libgret`",
            "hint: did you mean `libgreet`? `buildbtw show space --all` lists its builds",
        ]
    );
    let ready = fails(&fake, &["space", "libgreet"]).await;
    assert_eq!(
        ready,
        [
            "error: `libgreet` has no attempt to repeat: it is ready but not dispatched",
            "hint: `buildbtw watch space` follows the rebuild",
        ]
    );
    let nowhere = fails(&fake, &["nowhere", "libgreet"]).await;
    assert_eq!(nowhere[0], "error: namespace `nowhere` not found");
    let folder = fails(&fake, &["./space", "libgreet"]).await;
    assert!(folder[0].contains("`./space`"), "{folder:?}");
    assert!(
        folder[1].contains("`buildbtw build DIR` builds a folder"),
        "{folder:?}"
    );
    let alone = fails(&fake, &["space"]).await;
    assert!(
        alone[0].starts_with("error: cannot read `space/.SRCINFO`: "),
        "{alone:?}"
    );
    assert_eq!(
        alone[1],
        "hint: `buildbtw build NAMESPACE PKGBASE` repeats an attempt, `buildbtw build DIR` builds a folder"
    );
}

#[tokio::test]
async fn refuses_attempts_for_other_machines_and_of_other_builds() {
    let fake = Fake::start(&["libgreet", "greet"]).await;
    let attempt = AttemptId::new();
    fake.change(|inner| inner.iteration.builds[0].attempt = Some(attempt));
    fake.build("libgreet", BuildStatus::Failed, Some("build() failed"));
    let other = fails(&fake, &["space", "libgreet"]).await;
    let machine = "error: the attempt at `libgreet` was for pdp11, and this machine is one for ";
    assert!(other[0].starts_with(machine), "{other:?}");
    assert_eq!(
        other[1],
        "hint: repeat it on a machine for pdp11, or add `--arch pdp11` if its programs run here"
    );
    let named = attempt.to_string();
    let greet = fails(&fake, &["space", "greet", "--attempt", &named]).await;
    assert_eq!(
        greet,
        [
            format!("error: attempt {named} is one at `libgreet` of namespace `space`"),
            format!("hint: `buildbtw build space libgreet --attempt {named}` repeats it"),
        ]
    );
}

#[tokio::test]
async fn options_of_folders_do_not_change_what_is_repeated() {
    let fake = Fake::start(&["libgreet"]).await;
    for option in [
        "--repository=base=http://server/base",
        "--pkgrel=2",
        "--network=prepare",
        "--missing-keys=warn",
    ] {
        let refused = fails(&fake, &["space", "libgreet", option]).await;
        assert!(
            refused[0].contains("cannot be used with"),
            "{option}: {refused:?}"
        );
    }
    let folder = fails(&fake, &["--stage=2"]).await;
    assert!(
        folder.iter().any(|line| line.contains("PKGBASE")),
        "{folder:?}"
    );
}
