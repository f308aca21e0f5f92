//! The database of a repository in memory, so that adding a package costs little in a large repository. Packages
//! are in buckets by name, which are compressed separately; the file is their concatenation, because several zstd
//! frames in a row decompress to one stream (RFC 8878, section 3).

use std::collections::BTreeMap;
use std::io;

use buildbtw_model::Pkgname;

use super::choice::NameCandidates;
use super::database::{Entry, TRAILER, compress, members};
use crate::db::packages::Listing;

/// In the largest distributions a bucket has a few dozen packages.
const BUCKETS: u64 = 256;

/// A repository database without file lists.
#[derive(Debug, Default)]
pub struct DatabaseImage {
    buckets: BTreeMap<u64, Bucket>,
}

#[derive(Debug, Default)]
struct Bucket {
    packages: BTreeMap<Pkgname, NameCandidates<Listing>>,
    /// The compressed members; `None` after a change.
    compressed: Option<Vec<u8>>,
}

impl DatabaseImage {
    /// Adds a package, unless a later stage of it is known.
    pub fn list(&mut self, package: Listing) {
        let bucket = self.buckets.entry(bucket_of(&package.pkgname)).or_default();
        let rivals = bucket.packages.entry(package.pkgname.clone()).or_default();
        if rivals.add(package) {
            bucket.compressed = None;
        }
    }

    /// Returns the bytes of the file. They do not depend on the order in which packages were added.
    ///
    /// # Errors
    /// Only when memory runs out.
    pub fn render(&mut self) -> io::Result<Vec<u8>> {
        let mut file = Vec::new();
        for bucket in self.buckets.values_mut() {
            if bucket.compressed.is_none() {
                let listed = bucket.packages.values().filter_map(NameCandidates::listed);
                let entries = listed.map(|listed| Entry {
                    name: &listed.pkgname,
                    version: &listed.version,
                    desc: &listed.desc_entry,
                    files: None,
                });
                bucket.compressed = Some(compress(&members(entries)?)?);
            }
            file.extend_from_slice(bucket.compressed.as_deref().unwrap_or_default());
        }
        file.extend_from_slice(&compress(&TRAILER)?);
        Ok(file)
    }
}

/// Returns the bucket of a name, by FNV-1a: stable across platforms and versions, unlike the standard library's hashes.
fn bucket_of(name: &Pkgname) -> u64 {
    let hash = name
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    hash % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn package(stage: u32, name: &str, version: &str) -> Listing {
        Listing {
            pkgbase: "base".parse().unwrap(),
            stage,
            pkgname: name.parse().unwrap(),
            version: version.parse().unwrap(),
            desc_entry: format!("%NAME%\n{name}\n"),
        }
    }

    fn folders(file: &[u8]) -> Vec<String> {
        let mut bytes = Vec::new();
        let mut decoder = zstd::Decoder::new(file).unwrap();
        decoder.read_to_end(&mut bytes).unwrap();
        let mut archive = tar::Archive::new(&*bytes);
        let mut folders: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .filter(|path| path.ends_with('/'))
            .collect();
        folders.sort();
        folders
    }

    #[test]
    fn prefers_later_stage_in_any_order() {
        let mut image = DatabaseImage::default();
        for number in 0..1_000 {
            image.list(package(1, &format!("p{number}"), "1-1"));
        }
        let before = folders(&image.render().unwrap());
        assert_eq!(before.len(), 1_000);
        image.list(package(2, "p7", "1-3"));
        image.list(package(1, "p7", "1-2"));
        let after = folders(&image.render().unwrap());
        assert_eq!(after.len(), 1_000);
        assert!(after.contains(&"p7-1-3/".to_owned()));

        let mut other = DatabaseImage::default();
        other.list(package(2, "p7", "1-3"));
        for number in (0..1_000).rev() {
            other.list(package(1, &format!("p{number}"), "1-1"));
        }
        assert_eq!(image.render().unwrap(), other.render().unwrap());
    }

    #[test]
    fn lists_higher_version_of_two_pkgbases_in_any_order() {
        let by = |pkgbase: &str, stage, version| Listing {
            pkgbase: pkgbase.parse().unwrap(),
            ..package(stage, "moved", version)
        };
        // The second stage of one has a lower version than its first: pkgver() counts commits.
        let all = [
            by("old", 1, "9-1"),
            by("old", 2, "1-3"),
            by("new", 1, "2-1"),
            by("other", 1, "2-1"),
        ];
        let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]];
        for order in orders {
            let mut image = DatabaseImage::default();
            for place in order {
                image.list(all[place].clone());
            }
            assert_eq!(
                folders(&image.render().unwrap()),
                ["moved-2-1/"],
                "{order:?}"
            );
        }
    }

    #[test]
    fn writes_archive_for_empty_database() {
        let file = DatabaseImage::default().render().unwrap();
        assert_eq!(folders(&file), [""; 0]);
    }
}
