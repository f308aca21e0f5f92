//! Output of rebuilds of thousands of builds.

use buildbtw_model::IterationStatus;

use super::fake::{Fake, TOKEN, valid_tokens};
use super::program::{Running, buildbtw, run};

/// The lines of a terminal of the usual size.
const SCREEN: usize = 24;

async fn large() -> Fake {
    let names: Vec<String> = (0..3_700)
        .map(|number| format!("package{number:04}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fake = Fake::start(&names).await;
    fake.spread(300, 1_000);
    fake
}

#[tokio::test]
async fn shows_failures_first_and_the_summary_last_on_one_screen() {
    let (fake, home) = (large().await, tempfile::tempdir().unwrap());
    let ran = run(home.path(), &fake.url, &["show", "space"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(
        lines.len() + ran.stderr.lines().count() <= SCREEN,
        "{}",
        ran.stdout
    );
    assert!(
        lines[1].starts_with("package0000  2.0-1    failed"),
        "{}",
        ran.stdout
    );
    assert!(lines[2].ends_with("x.c:1: no y.h"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nand 36"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("more (`--all` prints them)"),
        "{}",
        ran.stdout
    );
    assert!(
        lines
            .iter()
            .rev()
            .take(2)
            .any(|line| line.contains("1000 of 3700 built, 300 failed"))
    );

    let count = async |args: &[&str]| {
        let ran = run(home.path(), &fake.url, args).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
            .lines()
            .filter(|line| line.starts_with("package"))
            .count()
    };
    assert_eq!(count(&["show", "space", "--all"]).await, 3_700);
    assert_eq!(count(&["show", "space", "--failed", "--all"]).await, 300);
    assert_eq!(
        count(&["show", "space", "--state", "built,failed", "--all"]).await,
        1_300
    );
    assert_eq!(
        count(&["show", "space", "--state=failed", "--state=failed", "--all"]).await,
        300
    );
    assert_eq!(count(&["show", "space", "--limit", "40"]).await, 40);
    assert_eq!(count(&["show", "space", "--limit", "0"]).await, 0);
}

#[tokio::test]
async fn ends_with_the_result_of_a_large_rebuild_on_one_screen() {
    let (fake, home) = (large().await, tempfile::tempdir().unwrap());
    fake.end(IterationStatus::Failed);
    let ran = run(home.path(), &fake.url, &["watch", "space"]).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines.len() < SCREEN, "{}", ran.stdout);
    let last = *lines.last().unwrap();
    assert!(
        last.starts_with("space failed: 1000 of 3700 built"),
        "{last}"
    );
    let text = &ran.stdout;
    assert!(text.contains("failed package0000"), "{text}");
    assert!(
        text.contains(
            "  blocks package1300, package1301, package1302, package1303, package1304 and 2395 more"
        ),
        "{text}"
    );
    assert!(
        text.contains("more failed builds (`buildbtw show space --failed --all` lists them)"),
        "{text}"
    );
}

#[tokio::test]
async fn following_begins_with_the_failures_that_block_most() {
    let (fake, home) = (large().await, tempfile::tempdir().unwrap());
    // A later build blocks more than the first.
    fake.change(|inner| {
        let last = inner.iteration.builds[299].pkgbase.clone();
        let blocked = inner.iteration.builds.iter_mut().skip(1_400);
        blocked.for_each(|build| build.blocked_by = vec![last.clone()]);
    });
    let mut run = Running::start(buildbtw(home.path(), &fake.url, &["watch", "space"]));
    let mut lines = vec![run.line("failed before").await];
    lines.push(run.line("failed package").await);
    assert_eq!(
        lines[0],
        "300 builds failed before; the 17 that block most:"
    );
    assert!(
        lines[1].contains("failed package0299 2.0-1: build() failed"),
        "{lines:?}"
    );
    let second = run.line("failed package").await;
    assert!(second.contains("failed package0000 2.0-1: "), "{second}");
    fake.end(IterationStatus::Failed);
    let ran = run.end().await;
    let summary = ran.stdout.lines().position(str::is_empty).unwrap();
    assert_eq!(summary, 2 + 17, "{}", ran.stdout);
}

#[tokio::test]
async fn retry_names_few_of_many_newer_commits() {
    let (fake, home) = (large().await, tempfile::tempdir().unwrap());
    let newer = (0..3_700).map(|number| format!("package{number:04}"));
    fake.change(|inner| inner.newer = newer.collect());
    let retry = async |more: &[&str]| {
        let mut command = buildbtw(
            home.path(),
            &fake.url,
            &[&["retry", "space"], more].concat(),
        );
        let output = command.env("BUILDBTW_TOKEN", TOKEN).output().await.unwrap();
        assert!(output.status.success());
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let text = retry(&[]).await;
    let last = "package0002 aaaaaaaaaa -> bbbbbbbbbb and 3697 more\n";
    assert!(text.contains(last), "{text}");
    let reasons = "package0003 is broken: [2J\nand 3696 more reasons\n";
    assert!(text.contains(reasons), "{text}");
    assert!(text.lines().count() < SCREEN, "{text}");
    let all = retry(&["--all"]).await;
    assert!(all.contains("package3699 aaaaaaaaaa"), "{all}");
    assert!(all.contains("package3699 is broken: [2J\n"), "{all}");
}

/// The commands that read, with a table.
const TABLES: &[&[&str]] = &[
    &["show", "space"],
    &["show", "space", "--failed"],
    &["list"],
    &["status"],
    &["status", "--everyone"],
    &["sources"],
    &["activity"],
    &["workers"],
    &["workers", "w1"],
    &["token", "list"],
    &["diff", "space/1", "space/2"],
    &["config"],
];

#[tokio::test]
async fn fits_lines_to_narrow_and_wide_screens() {
    let (fake, home) = (large().await, tempfile::tempdir().unwrap());
    fake.change(|inner| inner.tokens = valid_tokens(40));
    for columns in [20, 60, 80, 120, 200] {
        for args in TABLES {
            let mut command = buildbtw(home.path(), &fake.url, args);
            command
                .env("COLUMNS", columns.to_string())
                .env("BUILDBTW_TOKEN", TOKEN);
            let output = command.output().await.unwrap();
            assert!(output.status.success(), "{args:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.lines().count() <= SCREEN, "{args:?}: {text}");
            for line in text.lines() {
                // Counts are never cut.
                let is_result = ["and ", "mine: ", "space/1 and "]
                    .iter()
                    .any(|start| line.starts_with(start))
                    || line.contains(" running, ");
                assert!(
                    line.chars().count() <= columns || is_result,
                    "{args:?} at {columns}: {line}"
                );
            }
        }
    }
}

/// Writes a library, and programs that need it and something that is missing.
fn write_tree(tree: &std::path::Path, programs: usize) {
    let write = |name: &str, depends: &str| {
        let text = format!(
            "pkgbase = {name}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = any\n{depends}\npkgname = {name}\n"
        );
        fs_err::create_dir_all(tree.join(name)).unwrap();
        fs_err::write(tree.join(name).join(".SRCINFO"), text).unwrap();
    };
    write("lib", "");
    for number in 0..programs {
        let depends = format!("\tdepends = lib\n\tmakedepends = missing{number}\n");
        write(&format!("program{number:03}"), &depends);
    }
}

#[tokio::test]
async fn plans_on_one_screen_with_the_summary_last() {
    let home = tempfile::tempdir().unwrap();
    write_tree(&home.path().join("tree"), 100);
    let tree = format!("--srcinfo={}", home.path().join("tree").display());
    let plan = async |more: &[&str]| {
        let arguments = [&["plan", &tree, "lib", "--arch=x86_64"][..], more].concat();
        let ran = run(home.path(), "", &arguments).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran
    };
    let summary = "101 builds of 101 packages in 2 levels for x86_64, scope transitive";
    let ran = plan(&[]).await;
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let all = lines.len() + ran.stderr.lines().count();
    assert!(all <= SCREEN, "{}", ran.stdout);
    assert_eq!(lines[lines.len() - 2], summary, "{}", ran.stdout);
    assert_eq!(lines[..2], ["level 0", "  lib 1-1"], "{}", ran.stdout);
    let hint = "hint: `--all` prints the whole plan\n";
    assert_eq!(ran.stderr, hint);

    let ran = plan(&["--limit=3"]).await;
    assert!(ran.stdout.contains("\n  and 98 more\n"), "{}", ran.stdout);
    let unresolved = "  program002: missing2 (makedepends)\n  and 97 more lines\n";
    assert!(ran.stdout.contains(unresolved), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");

    let cases: [(&[&str], bool); 2] = [(&[], true), (&["--all"], false)];
    for (more, is_cut) in cases {
        let arguments = [&["plan", &tree, "lib", "--arch=x86_64"][..], more].concat();
        let mut command = buildbtw(home.path(), "", &arguments);
        let output = command.env("COLUMNS", "20").output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let of_packages = text.lines().filter(|line| line.starts_with("  "));
        let widest = of_packages.map(|line| line.chars().count()).max();
        assert_eq!(widest.unwrap() <= 20, is_cut, "{text}");
        assert!(text.contains(summary), "{text}");
    }

    let ran = plan(&["--all"]).await;
    assert!(ran.stdout.contains("  program099 1-1.1"), "{}", ran.stdout);
    assert!(!ran.stdout.contains(" more"), "{}", ran.stdout);
    let json = plan(&["--json=builds", "--limit=3"]).await;
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["builds"].as_array().unwrap().len(), 101);
}
