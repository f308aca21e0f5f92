//! Packages that decompress to far more than their size, or with contradictory metadata.

use buildbtw_model::api::ProblemKind;

use crate::support::expect_problem;
use crate::uploads::{building, leftover_uploads, upload_package_file};

/// Returns a member of an archive, with any name and header size.
fn member(name: &str, kind: tar::EntryType, size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    let mut bytes = [header.as_bytes().as_slice(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn regular(name: &str, content: &[u8]) -> Vec<u8> {
    member(name, tar::EntryType::Regular, content.len() as u64, content)
}

/// Compresses members and the end of their archive.
fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    let end = vec![0; 1024];
    zstd::bulk::compress(&[members.concat(), end].concat(), 1).unwrap()
}

const GREETER: &str = "pkgname = libgreet\npkgbase = libgreet\npkgver = 2.0-1\narch = x86_64\n";

#[tokio::test]
async fn rejects_decompression_bombs_permanently() {
    let (server, worker, job) = building().await;
    let name = "libgreet-2.0-1-x86_64.pkg.tar.zst";
    let huge = |kind: u8| {
        let kind = tar::EntryType::new(kind);
        let content = vec![b'a'; 300 << 20];
        let size = content.len() as u64;
        archive(&[
            regular(".PKGINFO", GREETER.as_bytes()),
            member("x", kind, size, &content),
            regular("usr", b""),
        ])
    };
    let unpacked = archive(&[
        regular(".PKGINFO", GREETER.as_bytes()),
        member("usr", tar::EntryType::Regular, 1_300 << 20, b""),
    ]);
    for bomb in [huge(b'L'), huge(b'x'), unpacked] {
        assert!(bomb.len() < 100_000);
        let response = upload_package_file(&server, &worker, &job, name, &bomb).await;
        let problem = expect_problem(response, 422, ProblemKind::UnexpectedPackage).await;
        let detail = problem.detail.unwrap();
        assert!(detail.contains("more than"), "{detail}");
    }
    assert!(leftover_uploads(&server, &job).is_empty());
}

#[tokio::test]
async fn requires_single_textual_package_metadata() {
    let (server, worker, job) = building().await;
    let name = "libgreet-2.0-1-x86_64.pkg.tar.zst";
    let lie = GREETER.replace("2.0-1", "99-1").replace("libgreet", "bash");
    let with = |line: &str| vec![regular(".PKGINFO", format!("{GREETER}{line}\n").as_bytes())];
    let honest = regular(".PKGINFO", GREETER.as_bytes());
    let long = format!("depend = {}", "x".repeat(600 << 10));
    let mut refused = vec![
        vec![honest.clone(), regular(".PKGINFO", lie.as_bytes())],
        vec![honest.clone(), regular("./.PKGINFO", GREETER.as_bytes())],
        vec![member(".PKGINFO", tar::EntryType::Symlink, 0, b"")],
        vec![
            honest.clone(),
            member(".PKGINFO", tar::EntryType::Link, 0, b""),
        ],
        with("pkgdesc = a\0b"),
        with("url = \u{1b}[31m"),
        with(&long),
    ];
    for key in [
        "pkgname",
        "pkgbase",
        "pkgver",
        "pkgdesc",
        "url",
        "builddate",
        "packager",
        "size",
        "arch",
    ] {
        refused.push(with(&format!("{key} = 1\n{key} = 1")));
    }
    for members in refused {
        let response = upload_package_file(&server, &worker, &job, name, &archive(&members)).await;
        let problem = expect_problem(response, 422, ProblemKind::UnexpectedPackage).await;
        assert!(problem.detail.is_some(), "{problem:?}");
    }
    assert!(leftover_uploads(&server, &job).is_empty());
    // At any position, as makepkg does not put it first.
    let late = archive(&[regular(".MTREE", b"x"), regular("usr", b""), honest]);
    let response = upload_package_file(&server, &worker, &job, name, &late).await;
    assert!(response.status().is_success(), "{response:?}");
}
