//! Small files that need many resources. Their cost is measured in a separate process.

use std::path::Path;
use std::process::Command;

use crate::archives::{Tar, header};
use crate::{read, read_bytes, refusal};

const MIB: u64 = 1 << 20;
type Zstd = zstd::Encoder<'static, fs_err::File>;

/// Writes a compressed archive to a file.
fn write(path: &Path, window: u32, write: impl FnOnce(&mut Tar<Zstd>)) {
    let mut encoder = zstd::Encoder::new(fs_err::File::create(path).unwrap(), 1).unwrap();
    if window > 0 {
        encoder.long_distance_matching(true).unwrap();
        encoder.window_log(window).unwrap();
    }
    let mut tar = Tar(encoder);
    write(&mut tar);
    tar.end();
    tar.0.finish().unwrap();
}

/// Reads the package in `$PACKAGE` and prints the result and its peak memory.
#[test]
#[ignore = "started by the tests below, in processes of their own"]
fn reads_one_package() {
    let path = std::env::var("PACKAGE").unwrap();
    let what = match read(path.as_ref()) {
        Ok(package) => format!("read {} bytes of names", package.files.len()),
        Err(error) => error.to_string(),
    };
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:"));
    println!("\nRESULT {what}\n{}", peak.unwrap());
}

/// Reads a package in another process; returns the result and its memory in MiB.
fn measured(path: &Path) -> (String, u64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "decompression_bombs::reads_one_package",
            "--ignored",
            "--nocapture",
        ])
        .env("PACKAGE", path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let Some(result) = value("RESULT ") else {
        panic!("the process died: {output:?}");
    };
    let peak = value("VmHWM:").unwrap().trim().trim_end_matches(" kB");
    (result.to_owned(), peak.parse::<u64>().unwrap() / 1024)
}

#[test]
fn bounds_memory_of_names_and_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb");
    for (flag, size) in [
        (b'L', 300 * MIB),
        (b'L', 1_200 * MIB),
        (b'K', 300 * MIB),
        (b'x', 300 * MIB),
        (b'g', 300 * MIB),
        (b'L', (64 << 10) + 1),
    ] {
        write(&path, 0, |tar| {
            tar.pkginfo().repeated(b"x", flag, size);
            tar.member(b"usr/a", b'0', b"");
        });
        let (result, memory) = measured(&path);
        assert!(result.contains("more than"), "{result}");
        assert!(memory < 48, "{memory} MiB for {size} bytes of {flag}");
    }
    write(&path, 0, |tar| {
        tar.repeated(b".PKGINFO", b'0', 300 * MIB);
    });
    let (result, memory) = measured(&path);
    assert!(result.contains("more than"), "{result}");
    assert!(memory < 48, "{memory} MiB");
}

#[test]
fn bounds_memory_of_windows_and_lists() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb");
    write(&path, 27, |tar| {
        tar.pkginfo().repeated(b"usr", b'0', 400 * MIB);
    });
    let (result, memory) = measured(&path);
    assert!(result.starts_with("read "), "{result}");
    assert!(memory < 200, "{memory} MiB for the largest window");
    write(&path, 28, |tar| {
        tar.pkginfo().repeated(b"usr", b'0', 400 * MIB);
    });
    let (result, memory) = measured(&path);
    assert!(result.contains("not a readable"), "{result}");
    assert!(memory < 48, "{memory} MiB for a larger window");

    let listed = |count: u64| {
        write(&path, 0, |tar| {
            tar.pkginfo();
            for number in 0..count {
                let name = format!("{number:04090}");
                tar.member(b"long", b'L', name.as_bytes());
                tar.member(b"cut", b'0', b"");
            }
        });
        measured(&path)
    };
    let (result, memory) = listed(16_000);
    assert!(result.starts_with("read 6"), "{result}");
    assert!(memory < 200, "{memory} MiB");
    let (result, memory) = listed(17_000);
    assert!(result.contains("longer than"), "{result}");
    assert!(memory < 120, "{memory} MiB");
}

#[test]
fn counts_all_members() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb");
    // Hidden names as well, which are not listed.
    let hidden = header(b".a", b'0', 0);
    write(&path, 0, |tar| {
        tar.pkginfo();
        for _ in 0..1_000_000 {
            tar.raw(&hidden, b"");
        }
    });
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("more than 1000000 members"), "{error}");
}

#[test]
fn rejects_decompression_bombs_before_reading_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb");
    // As announced by the header, in one member or in the sum of all.
    for parts in [1, 4] {
        write(&path, 0, |tar| {
            tar.pkginfo();
            for _ in 1..parts {
                tar.repeated(b"usr", b'0', 300 * MIB);
            }
            tar.raw(&header(b"usr", b'0', 1_200 * MIB / parts), b"");
        });
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("unpacks to more than"), "{error}");
    }
    // Holes are not part of the archive, but pacman writes them.
    let sparse = crate::archives::tar(|tar| {
        tar.pkginfo();
        tar.pax(&[
            ("GNU.sparse.name", "usr"),
            ("GNU.sparse.realsize", "2000000000"),
        ]);
        tar.member(b"GNUSparseFile.0/usr", b'0', b"1\n0\n1\n").end();
    });
    assert!(refusal(&sparse).contains("unpacks to more than"));
}

#[test]
fn reads_large_packages_within_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    write(&path, 0, |tar| {
        tar.pkginfo().repeated(b"usr", b'0', 1_000 * MIB);
    });
    assert_eq!(read(&path).unwrap().files, "%FILES%\nusr\n");
}

#[test]
fn stops_reading_on_cancellation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    write(&path, 0, |tar| {
        tar.pkginfo().repeated(b"usr", b'0', 100 * MIB);
    });
    let asked = std::cell::Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 20
    };
    let name = crate::NAME.parse().unwrap();
    let read = buildbtw_package::Package::read(&path, &name, &"a".parse().unwrap(), &stop);
    assert!(matches!(read, Err(buildbtw_package::PackageError::Stopped)));
}

#[test]
fn accepts_paths_of_4096_bytes() {
    let long = |length: usize| {
        crate::archives::tar(|tar| {
            let name = "n".repeat(length);
            tar.pkginfo().pax(&[("path", &name)]);
            tar.member(b"cut", b'0', b"").end();
        })
    };
    assert!(read_bytes(&long(4_096)).is_ok());
    assert!(refusal(&long(4_097)).contains("4096"));
    let link = crate::archives::tar(|tar| {
        tar.pkginfo().pax(&[("linkpath", &"n".repeat(4_097))]);
        tar.member(b"link", b'2', b"").end();
    });
    assert!(refusal(&link).contains("4096"));
}
