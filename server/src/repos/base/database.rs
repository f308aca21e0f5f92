//! Parses the database of a base repository (repo-add(8)). It is foreign, often unsigned data, so the memory for
//! parsing it is bounded.

use std::io::{self, Read};

use buildbtw_model::{PackageVersion, Pkgname};
use buildbtw_planner::BasePackage;
use liblzma::stream::{CONCATENATED, Stream};

/// The maximum size of an unpacked database. Arch's largest has about 100 MiB, with file lists.
const MAX_UNPACKED: u64 = 2 << 30;
/// The maximum window of zstd is 2^n bytes; pacman accepts no larger one.
const MAX_WINDOW_LOG: u32 = 27;
/// The maximum memory of xz; its highest preset needs 65 MiB.
const MAX_DICTIONARY: u64 = 128 << 20;
/// The maximum size of an entry.
const MAX_ENTRY: u64 = 1 << 20;
/// The maximum size of a long name.
const MAX_NAME: u64 = 4_096;
/// The maximum memory of the packages of all databases of an architecture. Those of Arch need about 30 MiB.
pub(super) const MAX_KEPT: usize = 256 << 20;
/// The overhead of a package, and of each of its strings.
const OVERHEAD: usize = 128;

/// Returns the packages of a database, in its order.
///
/// # Errors
/// When it is not a valid database, or exceeds a limit.
pub(super) fn read(bytes: &[u8]) -> io::Result<Vec<BasePackage>> {
    let mut archive = tar::Archive::new(decompress(bytes)?.take(MAX_UNPACKED));
    let mut packages = Vec::new();
    let mut kept = 0_usize;
    let mut long_name = None;
    // Raw, because otherwise `tar` reads names of any length into memory.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() {
            long_name = Some(text(&mut entry, MAX_NAME)?);
            continue;
        }
        if kind.is_pax_local_extensions() {
            long_name = pax_path(&text(&mut entry, MAX_ENTRY)?);
            continue;
        }
        let short_name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = long_name.take().unwrap_or(short_name);
        let path = path.trim_end_matches('\0').trim_start_matches("./");
        let Some(folder) = path.strip_suffix("/desc").filter(|_| kind.is_file()) else {
            continue;
        };
        let text = text(&mut entry, MAX_ENTRY)?;
        let Some(package) = package(folder, &text) else {
            continue;
        };
        kept = kept.saturating_add(cost(&package));
        if kept > MAX_KEPT {
            return Err(too_many_packages());
        }
        packages.push(package);
    }
    Ok(packages)
}

fn decompress(bytes: &[u8]) -> io::Result<Box<dyn Read + '_>> {
    Ok(match bytes {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::Decoder::with_buffer(bytes)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            Box::new(decoder)
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let stream = Stream::new_stream_decoder(MAX_DICTIONARY, CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(bytes, stream))
        }
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(bytes)),
        _ => Box::new(bytes),
    })
}

/// Reads the text of an entry.
fn text(entry: &mut impl Read, limit: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    entry.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_long(limit));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn too_many_packages() -> io::Error {
    io::Error::other(format!(
        "its packages need more than {} MiB of memory",
        MAX_KEPT >> 20
    ))
}

fn too_long(limit: u64) -> io::Error {
    io::Error::other(format!("an entry has more than {limit} bytes"))
}

/// Returns the path in an extended header (pax(1)), which has lines of `length key=value`.
fn pax_path(records: &str) -> Option<String> {
    let mut paths = records.lines().filter_map(|line| {
        let (_, record) = line.split_once(' ')?;
        record.strip_prefix("path=")
    });
    paths.next_back().map(str::to_owned)
}

/// Parses an entry `name-version-release/desc`.
fn package(folder: &str, desc: &str) -> Option<BasePackage> {
    let (name, version) = name_and_version(folder)?;
    let mut package = BasePackage {
        name,
        version,
        pkgbase: None,
        depends: Vec::new(),
        provides: Vec::new(),
    };
    let mut lines = desc.lines();
    while let Some(line) = lines.next() {
        match line {
            "%BASE%" => package.pkgbase = lines.next().and_then(|name| name.parse().ok()),
            "%DEPENDS%" => package.depends = values(&mut lines),
            "%PROVIDES%" => package.provides = values(&mut lines),
            _ => {}
        }
    }
    Some(package)
}

/// Returns the lines up to an empty one.
fn values<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<Box<str>> {
    let values = lines.take_while(|line| !line.is_empty());
    values.map(Into::into).collect()
}

fn name_and_version(folder: &str) -> Option<(Pkgname, PackageVersion)> {
    let mut parts = folder.rsplitn(3, '-');
    let (release, version, name) = (parts.next()?, parts.next()?, parts.next()?);
    let version = format!("{version}-{release}");
    Some((name.parse().ok()?, version.parse().ok()?))
}

/// Returns the approximate memory of a package.
pub(super) fn cost(package: &BasePackage) -> usize {
    let relations = package.depends.iter().chain(&package.provides);
    let texts: usize = relations.map(|text| text.len() + OVERHEAD).sum();
    texts + package.name.as_str().len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESC: &str = "%FILENAME%\nlibx-1:2-3-x86_64.pkg.tar.zst\n\n%NAME%\nlibx\n\n%BASE%\nx\n\n\
        %VERSION%\n1:2-3\n\n%DEPENDS%\nglibc\nlibc.so=6-64\n\n%PROVIDES%\nlibx.so=1-64\n";

    fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder
                .append_data(&mut header, path, content.as_bytes())
                .unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn errors_match_snapshot() {
        let errors = [too_many_packages(), too_long(MAX_ENTRY)];
        insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n"));
    }

    #[test]
    fn reads_packages_with_dependencies_and_provisions() {
        let long = "n".repeat(150);
        let path = format!("{long}-1-1/desc");
        let database = archive(&[
            ("libx-1:2-3/desc", DESC),
            ("libx-1:2-3/files", "%FILES%\nusr/\n"),
            (&path, ""),
            ("nonsense/desc", DESC),
        ]);
        for bytes in [
            database.clone(),
            zstd::bulk::compress(&database, 1).unwrap(),
        ] {
            let packages = read(&bytes).unwrap();
            let [libx, other] = &packages[..] else {
                panic!("{packages:?}");
            };
            assert_eq!(libx.name.as_str(), "libx");
            assert_eq!(libx.pkgbase.as_ref().unwrap().as_str(), "x");
            assert_eq!(libx.version.as_str(), "1:2-3");
            assert_eq!(libx.depends, ["glibc".into(), "libc.so=6-64".into()]);
            assert_eq!(libx.provides, ["libx.so=1-64".into()]);
            assert_eq!(other.name.as_str(), long);
        }
    }

    #[test]
    fn reads_database_with_pax_headers() {
        let long = "n".repeat(150);
        let record = |key: &str, value: &str| {
            let rest = format!(" {key}={value}\n");
            let length = rest.len() + 3;
            assert_eq!(length.to_string().len(), 3);
            format!("{length}{rest}")
        };
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        let records = record("path", &format!("{long}-1-1/desc"));
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_size(records.len() as u64);
        header.set_path("x").unwrap();
        header.set_cksum();
        builder.append(&header, records.as_bytes()).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(DESC.len() as u64);
        header.set_path("cut-off").unwrap();
        header.set_cksum();
        builder.append(&header, DESC.as_bytes()).unwrap();
        let packages = read(&builder.into_inner().unwrap()).unwrap();
        assert_eq!(packages[0].name.as_str(), long);
    }

    #[test]
    fn limits_memory() {
        // A frame with one uncompressed block, and a window of 2^n bytes that the decoder would
        // have to hold (RFC 8878, section 3.1.1).
        let content = archive(&[("a-1-1/desc", "")]);
        let with_window = |n: u8| {
            let block = (content.len() as u32) << 3 | 1;
            let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (n - 10) << 3];
            frame.extend(&block.to_le_bytes()[..3]);
            frame.extend(&content);
            frame
        };
        assert_eq!(read(&with_window(27)).unwrap().len(), 1);
        assert!(read(&with_window(30)).is_err());
        // A name, and a description, of many megabytes that compress well.
        let mut builder = tar::Builder::new(Vec::new());
        let name = vec![b'n'; 8 << 20];
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(name.len() as u64);
        header.set_cksum();
        builder.append(&header, &*name).unwrap();
        assert!(read(&builder.into_inner().unwrap()).is_err());
        let desc = "%DEPENDS%\n".to_owned() + &"x\n".repeat(1 << 20);
        assert!(read(&archive(&[("a-1-1/desc", &desc)])).is_err());
        assert!(read(b"nonsense").is_err());
        assert!(read(b"\x28\xb5\x2f\xfdnonsense").is_err());
    }
}
