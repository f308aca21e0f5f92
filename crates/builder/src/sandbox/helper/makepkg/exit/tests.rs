use super::*;

const MAKEPKG: &str = "/usr/bin/makepkg";
const PKGBUILD: &str = "/startdir/PKGBUILD";

fn exited(code: i32, frames: &[(&str, &str)]) -> ExitContext {
    let frames: String = frames
        .iter()
        .map(|(function, file)| format!("{function}\t{file}\t7\n"))
        .collect();
    ExitContext {
        code,
        exit: ExitRecord::parse(&format!("{code}\n{frames}")),
        ..ExitContext::default()
    }
}

fn of_makepkg(code: i32, function: &str) -> Failure {
    exited(code, &[(function, MAKEPKG), ("main", MAKEPKG)])
        .failure()
        .unwrap()
}

#[test]
fn blames_package_for_exit_in_a_function_with_any_code() {
    for code in 0..=16 {
        let failure = exited(
            code,
            &[
                ("helper", "/startdir/common.sh"),
                ("build", PKGBUILD),
                ("run_function", MAKEPKG),
                ("main", MAKEPKG),
            ],
        )
        .failure()
        .unwrap();
        assert_eq!(failure.kind, FailureKind::Package, "{code}");
        assert_eq!(
            failure.message,
            format!("build() ended with exit code {code}")
        );
    }
}

#[test]
fn names_line_of_an_exit_at_the_top_level() {
    let frames = [
        ("source", PKGBUILD),
        ("source_safe", "/usr/share/makepkg/util/util.sh"),
        ("main", MAKEPKG),
    ];
    let failure = exited(15, &frames).failure().unwrap();
    assert_eq!(failure.kind, FailureKind::Package);
    assert!(
        failure.message.contains("exit code 15 in line 7"),
        "{failure}"
    );
}

#[test]
fn classifies_failures_by_exit_code_of_makepkg() {
    assert!(ExitContext::default().failure().is_none());
    for (code, function, kind) in [
        (1, "verify_integrity_sums", FailureKind::Package),
        (2, "main", FailureKind::Infrastructure),
        (6, "load_makepkg_config", FailureKind::Infrastructure),
        (6, "missing_source_file", FailureKind::Package),
        (8, "main", FailureKind::Package),
        (8, "resolve_deps", FailureKind::Infrastructure),
        (11, "main", FailureKind::Infrastructure),
        (12, "main", FailureKind::Package),
        (15, "main", FailureKind::Package),
    ] {
        assert_eq!(of_makepkg(code, function).kind, kind, "{code} {function}");
    }
    assert_eq!(
        of_makepkg(4, "error_function").message,
        "makepkg: a function in the PKGBUILD failed (exit 4)"
    );
}

#[test]
fn blames_package_for_missing_program_of_the_pkgbuild() {
    let mut exit_context = exited(15, &[("main", MAKEPKG)]);
    let failure = exit_context.failure().unwrap();
    assert_eq!(failure.kind, FailureKind::Package);
    assert_eq!(
        failure.message,
        "makepkg: a program that the PKGBUILD or its options need is missing (exit 15)"
    );
    exit_context.lacks_own_program = true;
    let failure = exit_context.failure().unwrap();
    assert_eq!(failure.kind, FailureKind::Infrastructure);
    exit_context.lacks_git = true;
    let failure = exit_context.failure().unwrap();
    assert!(failure.message.contains("needs git"), "{failure}");
}

#[test]
fn blames_package_for_failed_packaging_step() {
    for code in 1..=16 {
        let mut exit_context = exited(code, &[("enter_fakeroot", MAKEPKG), ("main", MAKEPKG)]);
        assert_eq!(
            exit_context.failure().unwrap().kind,
            FailureKind::Package,
            "{code}"
        );
        exit_context.stage.line("==> Starting package_x()...");
        assert_eq!(
            exit_context.failure().unwrap().message,
            format!("package_x() ended with exit code {code}")
        );
    }
}

#[test]
fn does_not_let_a_function_shift_blame_to_makepkg() {
    for log in [
        "==> Starting build()...\n",
        "==> Starting build()...\n==> ERROR: no\n",
        "==> Starting build()...\n==> Making package: x\n",
    ] {
        for code in 0..=16 {
            let mut forged = exited(code, &[("main", MAKEPKG)]);
            log.lines().for_each(|line| forged.stage.line(line));
            let kind = forged.failure().map(|failure| failure.kind);
            assert_ne!(kind, Some(FailureKind::Infrastructure), "{code} {log}");
        }
    }
}

#[test]
fn blames_package_without_further_evidence() {
    for code in [1, 2, 8, 15, 138] {
        let exit_context = ExitContext {
            code,
            ..ExitContext::default()
        };
        assert_eq!(exit_context.failure().unwrap().kind, FailureKind::Package);
    }
}

#[test]
fn does_not_report_missing_source_for_unreadable_pkgbuild() {
    let frames = [
        ("source_safe", "/usr/share/makepkg/util/util.sh"),
        ("source_buildfile", MAKEPKG),
        ("main", MAKEPKG),
    ];
    assert!(exited(6, &frames).is_unreadable());
}

/// Every exit of makepkg that is told apart, with the function that it passed through.
#[test]
fn failures_match_snapshot() {
    let codes = [1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13, 15];
    let mut failures: Vec<(String, Failure)> = codes
        .into_iter()
        .map(|code| (format!("exit code {code}"), of_makepkg(code, "main")))
        .collect();
    for (code, function) in [
        (6, "load_makepkg_config"),
        (1, "check_checksums"),
        (1, "download_local"),
        (1, "download_sources"),
        (1, "extract_sources"),
        (2, "check_software"),
        (8, "resolve_deps"),
        (4, "error_function"),
        (4, "enter_fakeroot"),
        (5, "enter_fakeroot"),
        (6, "enter_fakeroot"),
        (7, "enter_fakeroot"),
        (12, "enter_fakeroot"),
        (1, "enter_fakeroot"),
    ] {
        let name = format!("exit code {code} in {function}()");
        failures.push((name, of_makepkg(code, function)));
    }
    let missing = || exited(15, &[("main", MAKEPKG)]);
    let mut add = |name: &str, context: ExitContext| {
        failures.push((name.to_owned(), context.failure().unwrap()));
    };
    add(
        "no git",
        ExitContext {
            lacks_git: true,
            ..missing()
        },
    );
    add(
        "no program of makepkg",
        ExitContext {
            lacks_own_program: true,
            ..missing()
        },
    );
    let bootstrap = exited(8, &[("main", MAKEPKG)]);
    add(
        "bootstrap build",
        ExitContext {
            is_bootstrap: true,
            ..bootstrap
        },
    );
    add(
        "exit in build()",
        exited(3, &[("build", PKGBUILD), ("run_function", MAKEPKG)]),
    );
    add(
        "exit outside of functions",
        exited(3, &[("source", PKGBUILD)]),
    );
    add("killed", exited(137, &[]));
    insta::assert_snapshot!(crate::failure::recorded(failures));
}
