//! Identifiers with pacman's rules, validated by alpm-types.

use std::str::FromStr as _;

use super::macros::text_id;

/// File systems limit a name to 255 bytes, and a package file name adds version, architecture and suffix.
const MAX_NAME_LENGTH: usize = 200;

fn package_name(text: &str) -> Result<(), String> {
    if text.len() > MAX_NAME_LENGTH {
        return Err(format!("longer than {MAX_NAME_LENGTH} bytes"));
    }
    if is_plain_name(text) {
        return Ok(());
    }
    alpm_types::Name::from_str(text)
        .map_err(|_| {
            "only letters, digits and @ . _ + - are allowed, not starting with a hyphen or a dot"
                .into()
        })
        .map(drop)
}

/// Returns whether a name is an ordinary one, as nearly all are. Loading an index checks tens of thousands of names,
/// and for these the full grammar is not needed.
fn is_plain_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+'))
}

text_id! {
    /// The name of a source package: one `PKGBUILD`, one source repository.
    Pkgbase, "pkgbase", package_name,
    pattern = "^[A-Za-z0-9@_+][A-Za-z0-9@._+-]*$",
    example = "libgreet"
}

text_id! {
    /// The name of a package that a pkgbase produces (PKGBUILD(5), `pkgname`).
    Pkgname, "pkgname", package_name,
    pattern = "^[A-Za-z0-9@_+][A-Za-z0-9@._+-]*$",
    example = "libgreet"
}

impl Pkgbase {
    /// Returns the pkgname of a package that is not split.
    #[must_use]
    pub fn to_pkgname(&self) -> Pkgname {
        Pkgname(self.0.clone())
    }
}

fn architecture(text: &str) -> Result<(), String> {
    let valid = !text.is_empty()
        && text.len() <= 32
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if valid {
        Ok(())
    } else {
        Err("1 to 32 letters, digits and underscores".into())
    }
}

text_id! {
    /// A machine architecture as pacman names it (`x86_64`, `aarch64`), or `any`.
    Architecture, "architecture", architecture,
    pattern = "^[A-Za-z0-9_]{1,32}$",
    example = "x86_64"
}

impl Architecture {
    /// Returns whether this is `any`: the package runs on every architecture.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.as_str() == "any"
    }
}

fn full_version(text: &str) -> Result<(), String> {
    if text.len() > 128 {
        return Err("longer than 128 bytes".into());
    }
    if is_plain_version(text) {
        return Ok(());
    }
    // makepkg copies the epoch from the PKGBUILD: `epoch=01` gives `01:1-1`.
    let text = match text.split_once(':') {
        Some((epoch, rest)) if !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) => {
            match epoch.trim_start_matches('0') {
                "" => rest.to_owned(),
                number => format!("{number}:{rest}"),
            }
        }
        _ => text.to_owned(),
    };
    alpm_types::FullVersion::from_str(&text)
        .map(drop)
        .map_err(|_| "expected [epoch:]pkgver-pkgrel".into())
}

/// Returns whether a version is an ordinary one, as nearly all are: letters, digits and dots, an integer release and
/// no epoch.
fn is_plain_version(text: &str) -> bool {
    let Some((version, release)) = text.rsplit_once('-') else {
        return false;
    };
    let is_number = |text: &str| {
        (1..=9).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && !text.starts_with('0')
    };
    version
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric())
        && version
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
        && is_number(release)
}

text_id! {
    /// A full package version, `[epoch:]pkgver-pkgrel` (PKGBUILD(5)). Its order as text is meaningless; compare with
    /// [`PackageVersion::compare`].
    PackageVersion, "package version", full_version,
    pattern = "^([0-9]+:)?[^:/-]+-[0-9]+(\\.[0-9]+)?$",
    example = "1.0-1.1"
}

impl PackageVersion {
    /// Compares two versions in pacman's order (vercmp(8)).
    #[must_use]
    pub fn compare(&self, other: &Self) -> std::cmp::Ordering {
        crate::version::compare_versions(self.as_str(), other.as_str())
    }

    /// Returns `[epoch:]pkgver`, without the release.
    #[must_use]
    pub fn without_pkgrel(&self) -> &str {
        self.as_str()
            .rsplit_once('-')
            .map_or(self.as_str(), |(version, _)| version)
    }

    /// Returns the release, `N` or `N.M`.
    #[must_use]
    pub fn pkgrel(&self) -> &str {
        self.as_str()
            .rsplit_once('-')
            .map_or("", |(_, release)| release)
    }
}

fn package_file_name(text: &str) -> Result<(), String> {
    if text.len() > 255 {
        return Err("longer than 255 bytes".into());
    }
    let parts = split_package_file_name(text).ok_or(
        "expected name-[epoch:]version-release-architecture.pkg.tar[.zst|.xz|.gz|.bz2|.lz4|.lzo]",
    )?;
    package_name(parts.name)?;
    full_version(parts.version)?;
    architecture(parts.architecture)
}

/// The values of `PKGEXT` (makepkg.conf(5)) that worker and server support.
const PACKAGE_EXTENSIONS: [&str; 7] = [
    ".pkg.tar.zst",
    ".pkg.tar.xz",
    ".pkg.tar.gz",
    ".pkg.tar.bz2",
    ".pkg.tar.lz4",
    ".pkg.tar.lzo",
    ".pkg.tar",
];

struct FileNameParts<'a> {
    name: &'a str,
    version: &'a str,
    architecture: &'a str,
}

fn split_package_file_name(text: &str) -> Option<FileNameParts<'_>> {
    let stem = PACKAGE_EXTENSIONS
        .iter()
        .find_map(|suffix| text.strip_suffix(suffix))?;
    let (rest, architecture) = stem.rsplit_once('-')?;
    let (name_version, _release) = rest.rsplit_once('-')?;
    let (name, _version) = name_version.rsplit_once('-')?;
    let version = rest.get(name.len() + 1..)?;
    Some(FileNameParts {
        name,
        version,
        architecture,
    })
}

text_id! {
    /// The file name of a package, `name-version-release-architecture.pkg.tar.zst` or with another supported
    /// compression. It never contains a path separator.
    PackageFileName, "package file name", package_file_name,
    pattern = "^[^/]+-[^/-]+-[^/-]+-[A-Za-z0-9_]+\\.pkg\\.tar(\\.(zst|xz|gz|bz2|lz4|lzo))?$",
    example = "libgreet-1.0-1.1-x86_64.pkg.tar.zst"
}

impl PackageFileName {
    /// Returns the file name of a package with these properties and makepkg's default extension, `.pkg.tar.zst`.
    #[must_use]
    pub fn from_parts(
        name: &Pkgname,
        version: &PackageVersion,
        architecture: &Architecture,
    ) -> Self {
        Self(format!("{name}-{version}-{architecture}.pkg.tar.zst").into())
    }

    fn parts(&self) -> FileNameParts<'_> {
        split_package_file_name(self.as_str()).unwrap_or(FileNameParts {
            name: "",
            version: "",
            architecture: "",
        })
    }

    /// Returns the package's name.
    #[must_use]
    pub fn pkgname(&self) -> Pkgname {
        Pkgname(self.parts().name.into())
    }

    /// Returns the package's full version.
    #[must_use]
    pub fn version(&self) -> PackageVersion {
        PackageVersion(self.parts().version.into())
    }

    /// Returns the architecture in the file name, which may be `any`.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        Architecture(self.parts().architecture.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn accepts_plain_names_that_alpm_types_accepts(
            name in "[-@._+a-zA-Z0-9/ ]{0,8}",
            version in "[-:._+~a-zA-Z0-9]{0,8}(-[0-9.]{0,4})?",
        ) {
            if is_plain_name(&name) {
                prop_assert!(alpm_types::Name::from_str(&name).is_ok(), "{}", name);
            }
            if is_plain_version(&version) {
                let judged = alpm_types::FullVersion::from_str(&version).unwrap();
                prop_assert_eq!(judged.to_string(), version);
            }
        }
    }

    #[test]
    fn splits_package_file_name() {
        let file: PackageFileName = "lib-greet+-1:2.0-3.1-x86_64.pkg.tar.zst".parse().unwrap();
        assert_eq!(file.pkgname().as_str(), "lib-greet+");
        assert_eq!(file.version().as_str(), "1:2.0-3.1");
        assert_eq!(file.version().pkgrel(), "3.1");
        assert_eq!(file.version().without_pkgrel(), "1:2.0");
        assert_eq!(file.architecture().as_str(), "x86_64");
    }

    #[test]
    fn rejects_names_that_could_escape_a_folder() {
        for name in [
            "../x", "a/b", ".", "..", "-x", ".x", "", "a b", "a\nb", "a\0b",
        ] {
            assert!(name.parse::<Pkgbase>().is_err(), "{name:?}");
            let file = format!("{name}-1-1-any.pkg.tar.zst");
            assert!(file.parse::<PackageFileName>().is_err(), "{file:?}");
        }
    }

    #[test]
    fn compares_versions_like_pacman() {
        let version = |text: &str| text.parse::<PackageVersion>().unwrap();
        assert!(version("1-1.1").compare(&version("1-1")).is_gt());
        assert!(version("1-1.10").compare(&version("1-1.9")).is_gt());
        assert!(version("1:0.1-1").compare(&version("9-1")).is_gt());
    }
}
