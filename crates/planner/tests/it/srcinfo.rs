//! Tests of parsing `.SRCINFO` files with the peculiarities of real ones.

use std::sync::Arc;

use alpm_srcinfo::SourceInfoV1;
use buildbtw_model::Architecture;
use buildbtw_planner::{SourcePackage, SrcinfoError, parse_srcinfo};

use crate::generate::{corpus, texts};

/// A line that alpm-srcinfo rejects and the lenient parser ignores.
const POISON: &str = "\tbackup = not/a/file/\n";

fn architecture(name: &str) -> Architecture {
    name.parse().unwrap()
}

#[test]
fn agrees_with_alpm_srcinfo_on_files_both_accept() {
    let mut all = texts(500);
    for name in ["archlinuxcn", "mingw"] {
        // A sample suffices, and is fast.
        all.extend(corpus(name).unwrap_or_default().into_iter().step_by(7));
    }
    let mut compared = 0;
    for text in &all {
        if SourceInfoV1::from_string(text).is_err() {
            continue;
        }
        let end_of_first_line = text.find("\tpkgver").unwrap();
        let (head, tail) = text.split_at(end_of_first_line);
        let poisoned = format!("{head}{POISON}{tail}");
        assert!(
            SourceInfoV1::from_string(&poisoned).is_err(),
            "the inserted line is not rejected"
        );
        assert_eq!(parse_srcinfo(text), parse_srcinfo(&poisoned));
        compared += 1;
    }
    assert!(compared > 400, "{compared}");
}

#[test]
fn reads_every_file_of_the_corpora() {
    for name in ["archlinuxcn", "mingw"] {
        for text in corpus(name).unwrap_or_default() {
            let package = parse_srcinfo(&text).unwrap();
            let stored = SourcePackage::from_stored(package.as_stored()).unwrap();
            assert_eq!(stored, package);
            for problem in package.problems() {
                println!(
                    "{}: line {}: {}",
                    package.pkgbase(),
                    problem.line,
                    problem.reason
                );
            }
        }
    }
}

const SPLIT: &str = "
pkgbase = split
	pkgver = 1.0
	pkgrel = 2
	epoch = 3
	arch = x86_64
	arch = aarch64
	depends = glibc
	depends_x86_64 = libasm
	makedepends = cmake
	checkdepends_aarch64 = qemu
	provides = thing
	source = one.tar.gz::https://example.org/1
	source_x86_64 = two

pkgname = split
	provides = libsplit.so=1-64

pkgname = split-data
	arch = any
	depends = 
	provides = 

pkgname = split-tools
	depends = split
	depends_x86_64 = 
";

#[test]
fn split_packages_override_single_fields() {
    let package = parse_srcinfo(SPLIT).unwrap();
    let x86 = architecture("x86_64");
    let arm = architecture("aarch64");
    assert_eq!(package.version().as_str(), "3:1.0-2");
    assert_eq!(
        package.build_dependencies(&x86),
        ["glibc", "libasm", "cmake"]
    );
    assert_eq!(package.build_dependencies(&arm), ["glibc", "cmake", "qemu"]);
    assert_eq!(
        package.sources(&x86),
        ["one.tar.gz::https://example.org/1", "two"]
    );
    let of = |name: &str| {
        package
            .packages()
            .find(|p| p.pkgname().as_str() == name)
            .unwrap()
    };
    assert_eq!(of("split").depends(&x86), ["glibc", "libasm"]);
    assert_eq!(of("split").provides(&x86), ["libsplit.so=1-64"]);
    assert!(of("split-data").depends(&x86).is_empty());
    assert!(of("split-data").provides(&x86).is_empty());
    assert_eq!(of("split-tools").depends(&x86), ["split"]);
    assert_eq!(of("split-tools").provides(&arm), ["thing"]);
    let output: Vec<String> = package
        .pkgnames_for(&arm)
        .map(|(name, architecture)| format!("{name} {architecture}"))
        .collect();
    assert_eq!(
        output,
        ["split aarch64", "split-data any", "split-tools aarch64"]
    );
    assert!(
        package.builds_for(&architecture("riscv64")),
        "one of its packages is for any"
    );
    assert!(!package.is_any());
}

#[test]
fn skips_only_the_bad_line() {
    let text = "pkgbase = odd\n\tpkgver = 1\n\tpkgrel = 21.1\n\tarch = aarach64\n\tarch = x86_64\n\
                \tdepends = guile>=\n\tdepends = glibc\n\tmakedepends = a b\n\tnonsense\n\npkgname = Odd\n";
    let package = parse_srcinfo(text).unwrap();
    assert_eq!(
        package.build_dependencies(&architecture("x86_64")),
        ["glibc"]
    );
    assert_eq!(package.version().pkgrel(), "21.1");
    let lines: Vec<usize> = package
        .problems()
        .iter()
        .map(|problem| problem.line)
        .collect();
    assert_eq!(lines, [6, 8, 9]);
    let json = serde_json::to_string(&package).unwrap();
    assert_eq!(
        serde_json::from_str::<SourcePackage>(&json).unwrap(),
        package
    );
}

#[test]
fn requires_name_and_version() {
    let head = "pkgbase = a\npkgver = 1\npkgrel = 1\narch = any\n";
    assert_eq!(parse_srcinfo(head), Err(SrcinfoError::Missing("pkgname")));
    assert_eq!(parse_srcinfo(""), Err(SrcinfoError::Missing("pkgbase")));
    for text in [
        "pkgbase = ../a\npkgver = 1\npkgrel = 1\npkgname = a",
        "pkgbase = a\npkgrel = 1\npkgname = a",
    ] {
        assert!(
            matches!(parse_srcinfo(text), Err(SrcinfoError::Invalid(_))),
            "{text}"
        );
    }
    assert!(SourcePackage::from_stored("anything").is_err());
    let good = Arc::new(parse_srcinfo(SPLIT).unwrap());
    assert!(SourcePackage::from_stored(good.as_stored()).is_ok());
}

/// Returns an `.SRCINFO` with these lines of the base, followed by the packages.
fn large(lines: impl IntoIterator<Item = String>, packages: usize) -> String {
    let mut text = "pkgbase = a\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n".to_owned();
    for line in lines {
        text += &format!("\t{line}\n");
    }
    for number in 0..packages {
        text += &format!("\npkgname = p{number}\n");
    }
    text
}

#[test]
fn rejects_oversized_package() {
    let depends = |count: usize| (0..count).map(|number| format!("depends = d{number}"));
    // At least as much as real packages have.
    for (dependencies, packages) in [(150, 300), (5_000, 1), (0, 1_000)] {
        let package = parse_srcinfo(&large(depends(dependencies), packages)).unwrap();
        assert_eq!(package.pkgnames().len(), packages);
        let last = package.packages().last().unwrap();
        let inherited = last.depends(&architecture("x86_64"));
        assert_eq!(inherited.len(), dependencies);
    }
    let sources = |count: usize, length: usize| {
        (0..count).map(move |number| format!("source = {number}{}", "x".repeat(length)))
    };
    let suffixes = (0..100).map(|number| format!("depends_a{number} = b"));
    let bad = (0..100_001).map(|_| "nonsense".to_owned());
    for (what, text) in [
        ("relations", large(depends(1_000), 1_000)),
        ("pkgname", large(depends(1), 1_001)),
        ("bytes", large(sources(100, 1_000), 1_000)),
        ("architectures", large(suffixes, 1)),
        ("lines", large(bad, 1)),
    ] {
        let error = parse_srcinfo(&text).unwrap_err();
        assert!(error.to_string().contains(what), "{what}: {error}");
        // The lenient parser has the same limits.
        let poisoned = text.replacen("\tpkgver", &format!("{POISON}\tpkgver"), 1);
        assert_eq!(parse_srcinfo(&poisoned), Err(error));
    }
    // The limits also apply to stored forms.
    let stored = |dependencies: usize, packages: usize| {
        let mut text = "b a\nv 1-1\na any\n".to_owned();
        text.extend((0..dependencies).map(|number| format!("d d{number}\n")));
        text.extend((0..packages).map(|number| format!("n p{number}\n")));
        SourcePackage::from_stored(text)
    };
    assert!(stored(150, 300).is_ok());
    assert!(matches!(
        stored(1_000, 1_000),
        Err(SrcinfoError::TooMuch { .. })
    ));
}

/// The packages of case `arch-suffix-in-an-override`, and all other ways in which `package()` can
/// change a field, with what makepkg 6.0.2 writes into their `.PKGINFO`.
#[test]
fn merges_package_fields_like_makepkg() {
    let text = "pkgbase = all
\tpkgver = 1
\tpkgrel = 1
\tarch = x86_64
\tarch = aarch64
\tdepends = lowlib
\tprovides = plain
\tprovides_x86_64 = special
\tdepends_x86_64 = kernelish

pkgname = as-the-base

pkgname = replaced
\tdepends = toolkit

pkgname = more-for-one
\tdepends_x86_64 = only64

pkgname = nothing
\tdepends = 
\tprovides = 

pkgname = added
\tdepends = lowlib
\tdepends = more

pkgname = both
\tdepends = a
\tprovides_x86_64 = third
\tdepends_x86_64 = b
\tdepends_x86_64 = c

pkgname = nothing-for-one
\tdepends_x86_64 = 
";
    let package = parse_srcinfo(text).unwrap();
    let expected: [(&str, &[&str], &[&str]); 7] = [
        (
            "as-the-base",
            &["lowlib", "kernelish"],
            &["plain", "special"],
        ),
        ("replaced", &["toolkit"], &["plain", "special"]),
        (
            "more-for-one",
            &["lowlib", "kernelish", "only64"],
            &["plain", "special"],
        ),
        ("nothing", &[], &[]),
        (
            "added",
            &["kernelish", "lowlib", "more"],
            &["plain", "special"],
        ),
        ("both", &["a", "b", "c"], &["plain", "special", "third"]),
        (
            "nothing-for-one",
            &["lowlib", "kernelish"],
            &["plain", "special"],
        ),
    ];
    let x86 = architecture("x86_64");
    for (output, (name, depends, provides)) in package.packages().zip(expected) {
        assert_eq!(output.pkgname().as_str(), name);
        assert_eq!(output.depends(&x86), depends, "{name}");
        assert_eq!(output.provides(&x86), provides, "{name}");
    }
    let arm = architecture("aarch64");
    let replaced = package.packages().nth(1).unwrap();
    assert_eq!(replaced.depends(&arm), ["toolkit"]);
    assert_eq!(replaced.provides(&arm), ["plain"]);
}

#[test]
fn writes_epoch_like_makepkg() {
    for (epoch, version) in [
        ("1", "1:1-1"),
        ("01", "01:1-1"),
        ("007", "007:1-1"),
        ("0", "1-1"),
        ("00", "1-1"),
        // Not a number for bash, which reads it as octal.
        ("08", "1-1"),
    ] {
        let text = format!(
            "pkgbase = a\n\tpkgver = 1\n\tpkgrel = 1\n\tepoch = {epoch}\n\tarch = any\n\npkgname = a\n"
        );
        for text in [
            text.clone(),
            text.replace("\tarch", "\tbackup = /not/a/file/\n\tarch"),
        ] {
            let package = parse_srcinfo(&text).unwrap();
            assert_eq!(package.version().as_str(), version, "{text}");
        }
    }
}
