//! Generates distributions of any size.

use std::path::Path;

/// Returns the `.SRCINFO`s of a distribution with this many source packages.
pub(crate) fn texts(size: usize) -> Vec<String> {
    let mut originals = Vec::new();
    for name in ["mingw", "archlinuxcn"] {
        originals.extend(corpus(name).unwrap_or_default());
    }
    if originals.is_empty() {
        originals = (0..6_000).map(synthetic).collect();
    }
    let mut texts = Vec::with_capacity(size);
    for copy in 0.. {
        for (at, original) in originals.iter().enumerate() {
            if texts.len() == size {
                return texts;
            }
            texts.push(if copy == 0 {
                original.clone()
            } else {
                renamed(original, copy, at)
            });
        }
    }
    texts
}

/// Copies a package, with the number of the copy in its names. Every tenth copy also needs a package of the previous
/// copy.
fn renamed(original: &str, copy: usize, at: usize) -> String {
    let mut text = String::with_capacity(original.len() + 256);
    for line in original.lines() {
        let Some((key, value)) = line.split_once(" = ") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let renames = [
            "pkgbase",
            "pkgname",
            "depends",
            "makedepends",
            "checkdepends",
            "provides",
        ];
        let name = key.trim();
        if renames.contains(&name) && !value.contains(".so") {
            let end = value.find(['<', '>', '=']).unwrap_or(value.len());
            let (relation, constraint) = value.split_at(end);
            text.push_str(&format!("{key} = {relation}-copy{copy}{constraint}\n"));
        } else {
            text.push_str(&format!("{line}\n"));
        }
        if name == "arch" && at.is_multiple_of(10) {
            let before = match copy {
                1 => String::new(),
                _ => format!("-copy{}", copy - 1),
            };
            text.push_str(&format!("\tdepends = mingw-w64-ucrt-x86_64-zlib{before}\n"));
        }
    }
    text
}

/// Returns a package that needs some earlier ones at run time, and some of them a later one to build.
fn synthetic(at: usize) -> String {
    let mut text =
        format!("pkgbase = synthetic-{at}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n");
    for step in [1, 7, 61, 401] {
        if at >= step {
            text.push_str(&format!("\tdepends = synthetic-{}\n", (at - step) / 2));
        }
    }
    if at.is_multiple_of(9) {
        text.push_str(&format!("\tmakedepends = synthetic-{}\n", at + 20));
    }
    text + &format!("\npkgname = synthetic-{at}\n")
}

/// Returns a distribution whose first `cycle_size` packages need each other to be built, most of them indirectly. All
/// other packages depend on these.
pub(crate) fn cyclic(size: usize, cycle_size: usize) -> Vec<String> {
    let mut state = 7u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let package = |at: usize| {
        let mut text = format!("pkgbase = p{at}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = any\n");
        for _ in 0..3 {
            // Near packages more often than distant ones, as in real distributions.
            let near = random(at.min(300) + 1);
            let back = if random(3) == 0 { random(at + 1) } else { near };
            if back > 0 {
                text.push_str(&format!("\tdepends = p{}\n", at - back));
            }
        }
        if at < cycle_size {
            for _ in 0..random(3) {
                text.push_str(&format!("\tmakedepends = p{}\n", random(cycle_size)));
            }
            text.push_str(&format!("\tcheckdepends = p{}\n", random(cycle_size)));
        }
        text + &format!("\npkgname = p{at}\n")
    };
    (0..size).map(package).collect()
}

/// Returns a corpus of real packages, if it is present; otherwise prints a message.
pub(crate) fn corpus(name: &str) -> Option<Vec<String>> {
    // Several crates include this file, so all parent folders are searched for the corpus.
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join(format!("shared/data/{name}.tar.zst")))
        .find(|path| path.exists());
    let Some(path) = path else {
        println!("skipped: no parent folder has a neighbour shared/data/{name}.tar.zst");
        return None;
    };
    let file = fs_err::File::open(&path).unwrap();
    let mut archive = tar::Archive::new(zstd::Decoder::new(file).unwrap());
    let mut texts = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with(".SRCINFO") {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut text).unwrap();
            texts.push(String::from_utf8_lossy(&text).into_owned());
        }
    }
    Some(texts)
}
