//! Tiny real packages to upload.

use std::path::Path;

use buildbtw_builder::{
    BuildOutcome, BuildRequest, Builder, BuiltPackage, SimulatedConfig, Source,
};
use buildbtw_model::api::{ClaimedBuild, ExpectedPackage};
use tokio_util::sync::CancellationToken;

use super::parse;

/// Creates the packages of a claimed build. Another `payload` results in other content under the same names.
pub(crate) async fn make_packages(
    claimed: &ClaimedBuild,
    payload: usize,
    folder: &Path,
) -> Vec<BuiltPackage> {
    let mut request = BuildRequest::new(
        claimed.pkgbase.clone(),
        claimed.architecture.clone(),
        Source::Directory("/nowhere".into()),
    );
    request.version = Some(claimed.version.clone());
    request.packages.clone_from(&claimed.packages);
    build(&request, payload, folder).await
}

/// Creates one package with properties chosen by the test.
pub(crate) async fn make_package(
    name: &str,
    version: &str,
    architecture: &str,
    folder: &Path,
) -> BuiltPackage {
    make_package_of(name, name, version, architecture, folder).await
}

/// Creates one package of a pkgbase chosen by the test.
pub(crate) async fn make_package_of(
    pkgbase: &str,
    name: &str,
    version: &str,
    architecture: &str,
    folder: &Path,
) -> BuiltPackage {
    let nowhere = Source::Directory("/nowhere".into());
    let mut request = BuildRequest::new(parse(pkgbase), parse(architecture), nowhere);
    request.version = Some(parse(version));
    request.packages = vec![ExpectedPackage {
        name: parse(name),
        architecture: parse(architecture),
    }];
    build(&request, 0, folder).await.remove(0)
}

async fn build(request: &BuildRequest, payload: usize, folder: &Path) -> Vec<BuiltPackage> {
    let builder = Builder::simulated(SimulatedConfig {
        payload_bytes: payload,
        ..SimulatedConfig::default()
    });
    let silent = |_: &[u8]| {};
    let outcome = builder
        .build(request, folder, &silent, CancellationToken::new())
        .await;
    match outcome {
        BuildOutcome::Succeeded { packages, .. } => packages,
        failed => panic!("the simulated builder failed: {failed:?}"),
    }
}

/// Returns the package with more files, under the same name.
pub(crate) fn with_files(package: &BuiltPackage, files: &[(&str, Vec<u8>)]) -> BuiltPackage {
    let packed = fs_err::read(&package.path).unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    let unpacked = zstd::decode_all(&*packed).unwrap();
    let mut old = tar::Archive::new(&*unpacked);
    for entry in old.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        archive.append(&header, &*content).unwrap();
    }
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        archive
            .append_data(&mut header, path, content.as_slice())
            .unwrap();
    }
    let bytes = zstd::bulk::compress(&archive.into_inner().unwrap(), 1).unwrap();
    fs_err::write(&package.path, &bytes).unwrap();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
    BuiltPackage {
        sha256: buildbtw_model::Sha256Digest::from_bytes(&digest.into()),
        size: bytes.len() as u64,
        ..package.clone()
    }
}

/// Returns the smallest 64-bit program or library that records what it links.
pub(crate) fn elf(soname: Option<&str>, needed: &[&str]) -> Vec<u8> {
    let mut strings = vec![0];
    let mut entries: Vec<(u64, u64)> = Vec::new();
    let named = soname.iter().map(|name| (14, *name));
    for (tag, name) in named.chain(needed.iter().map(|name| (1, *name))) {
        entries.push((tag, strings.len() as u64));
        strings.extend(name.as_bytes());
        strings.push(0);
    }
    let table = 64 + 2 * 56;
    let dynamic = table + strings.len() as u64;
    entries.extend([(5, table), (0, 0)]);
    let size = entries.len() as u64 * 16;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    for word in [0_u64, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 2, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for (kind, offset, size) in [(1_u32, 0, dynamic + size), (2, dynamic, size)] {
        file.extend(kind.to_le_bytes());
        file.extend(4_u32.to_le_bytes());
        for word in [offset, offset, offset, size, size, 8] {
            file.extend(word.to_le_bytes());
        }
    }
    file.extend(&strings);
    for (tag, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file
}
