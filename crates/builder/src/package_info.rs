//! What a package says about itself, read with limits: the file comes from hostile code.

use std::io::{self, Read as _};
use std::path::Path;

use buildbtw_model::{PackageFileName, Pkgbase};

/// Decompressed bytes looked at; makepkg puts the metadata first.
const MOST_BYTES: u64 = 64 << 20;
const LARGEST_INFO: u64 = 1 << 20;
/// zstd may ask for a window of 2^n bytes of memory; makepkg's default level needs 2^21.
const LARGEST_WINDOW: u32 = 27;

/// The part of `.PKGINFO` that the file name repeats.
#[derive(Debug, Default)]
pub(crate) struct PackageInfo {
    name: String,
    base: String,
    version: String,
    architecture: String,
}

impl PackageInfo {
    /// Reads it out of a `.pkg.tar.zst` file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        find(path).map_err(|error| format!("not a readable package: {error}"))
    }

    /// Checks that it agrees with the file's name and with what was built.
    pub(crate) fn check(&self, file: &PackageFileName, base: &Pkgbase) -> Result<(), String> {
        for (key, inside, outside) in [
            ("pkgname", &self.name, file.pkgname().as_str()),
            ("pkgver", &self.version, file.version().as_str()),
            ("arch", &self.architecture, file.architecture().as_str()),
            ("pkgbase", &self.base, base.as_str()),
        ] {
            if inside != outside {
                return Err(format!(
                    "its .PKGINFO says {key} = {inside:?}, not {outside:?}"
                ));
            }
        }
        Ok(())
    }

    fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(" = ") else {
                continue;
            };
            let field = match key.trim_end() {
                "pkgname" => &mut info.name,
                "pkgbase" => &mut info.base,
                "pkgver" => &mut info.version,
                "arch" => &mut info.architecture,
                _ => continue,
            };
            // pacman takes the last one; two different ones would deceive somebody.
            if field.is_empty() {
                value.clone_into(field);
            } else if field != value {
                field.push_str(" and ");
                field.push_str(value);
            }
        }
        info
    }
}

fn find(path: &Path) -> io::Result<PackageInfo> {
    let mut decoder = zstd::Decoder::new(fs_err::File::open(path)?)?;
    decoder.window_log_max(LARGEST_WINDOW)?;
    let mut archive = tar::Archive::new(decoder.take(MOST_BYTES));
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.path_bytes().as_ref() == b".PKGINFO" {
            let text = io::read_to_string(entry.take(LARGEST_INFO))?;
            return Ok(PackageInfo::parse(&text));
        }
    }
    Err(io::Error::other("no .PKGINFO"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_agree_with_nothing() {
        let info = PackageInfo::parse("pkgname = a\npkgname = b\npkgver = 1-1\narch = any\n");
        let file = "a-1-1-any.pkg.tar.zst".parse().unwrap();
        let error = info.check(&file, &"a".parse().unwrap()).unwrap_err();
        assert!(error.contains("a and b"), "{error}");
    }
}
