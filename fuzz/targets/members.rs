//! Archives with valid headers and any content: the fuzzer does not have to find checksums to reach the parsers of long
//! names, extended headers and metadata.
#![no_main]

use buildbtw_package::Package;
use libfuzzer_sys::fuzz_target;

const NAME: &str = "a-1-1-x86_64.pkg.tar";
const TYPES: &[u8] = b"000000xxxgLLK123567\0S";

/// Splits off a length and as many bytes.
fn part<'a>(data: &mut &'a [u8], longest: usize) -> &'a [u8] {
    let [high, low, rest @ ..] = *data else {
        return std::mem::take(data);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low])) % longest;
    let (part, rest) = rest.split_at(length.min(rest.len()));
    *data = rest;
    part
}

fn member(archive: &mut Vec<u8>, flag: u8, name: &[u8], content: &[u8]) {
    let mut block = [0_u8; 512];
    block[..name.len()].copy_from_slice(name);
    block[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    block[148..156].fill(b' ');
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.extend_from_slice(&block);
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

thread_local! {
    static FILE: tempfile::NamedTempFile = {
        let memory = std::path::Path::new("/dev/shm");
        tempfile::NamedTempFile::new_in(memory).unwrap()
    };
}

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    let mut archive = Vec::new();
    while let [choice, tail @ ..] = rest {
        rest = tail;
        let flag = TYPES[usize::from(*choice) % TYPES.len()];
        let name = match choice {
            128.. => b".PKGINFO",
            _ => part(&mut rest, 101),
        };
        let content = part(&mut rest, 4_000);
        member(&mut archive, flag, name, content);
    }
    archive.resize(archive.len() + 1024, 0);
    FILE.with(|file| {
        std::fs::write(file.path(), &archive).unwrap();
        let name = NAME.parse().unwrap();
        let base = "a".parse().unwrap();
        let Ok(package) = Package::read(file.path(), &name, &base, &|| false) else {
            return;
        };
        for key in ["pkgname", "pkgver", "arch"] {
            assert_eq!(package.info.values(key).count(), 1, "{key}");
        }
        for line in package.files.lines() {
            assert!(!line.chars().any(char::is_control), "{line:?}");
            assert!(!line.starts_with(['/', '.']), "{line:?}");
            assert!(!line.split('/').any(|name| name == ".."), "{line:?}");
            assert!(line.len() <= 3 * 4_096 + 1, "{line:?}");
        }
    });
});
