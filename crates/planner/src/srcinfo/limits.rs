//! Limits for `.SRCINFO` files. Packages inherit the fields of their base, so that a small file can expand to a huge
//! number of relations. The limits are far above what real packages reach.

use std::collections::BTreeSet;

use super::error::SrcinfoError;
use super::field::Field;
use super::stored::lines;
use super::text;

/// The maximum number of lines that are neither empty nor comments.
const LINES: usize = 100_000;
const PKGNAMES: usize = 1_000;
/// The maximum number of distinct architectures in field names.
const ARCHITECTURES: usize = 64;
/// The maximum number of architectures, dependencies and provisions of all packages, including inherited ones.
const RELATIONS: usize = 50_000;
/// The maximum number of bytes in the base, counted once for each package.
const INHERITED: usize = 32 << 20;

fn at_most(found: usize, most: usize, of: &'static str) -> Result<(), SrcinfoError> {
    if found > most {
        return Err(SrcinfoError::TooMuch { most, of });
    }
    Ok(())
}

/// Checks the limits of a text before it is parsed.
pub(super) fn check_text(srcinfo: &str) -> Result<(), SrcinfoError> {
    let (mut count, mut pkgnames) = (0, 0);
    let mut architectures = BTreeSet::new();
    for (_, line) in text::numbered(srcinfo) {
        count += 1;
        at_most(count, LINES, "lines")?;
        let Some((key, _)) = text::split(line) else {
            continue;
        };
        if key == "pkgname" {
            pkgnames += 1;
            at_most(pkgnames, PKGNAMES, "pkgname lines")?;
        } else if let Some((_, architecture)) = text::field(key) {
            architectures.insert(architecture);
            at_most(
                architectures.len(),
                ARCHITECTURES,
                "architectures in field names",
            )?;
        }
    }
    Ok(())
}

/// Checks the limits of what the packages of a stored form inherit.
pub(super) fn check_stored(
    stored: &str,
    base_end: usize,
    pkgnames: usize,
) -> Result<(), SrcinfoError> {
    at_most(pkgnames, PKGNAMES, "packages")?;
    // A relation takes at least four bytes, so that most packages cannot have too many.
    let inherited = base_end.saturating_mul(pkgnames);
    if inherited.saturating_add(stored.len()) / 4 <= RELATIONS {
        return Ok(());
    }
    at_most(
        inherited,
        INHERITED,
        "bytes that its packages inherit from the base",
    )?;
    let (base, packages) = stored.split_at_checked(base_end).unwrap_or((stored, ""));
    let relations = |section: &str| -> usize {
        [b'a', Field::Depends as u8, Field::Provides as u8]
            .into_iter()
            .map(|tag| lines(section, tag).count())
            .sum()
    };
    let found = relations(base).saturating_mul(pkgnames) + relations(packages);
    at_most(found, RELATIONS, "relations, including inherited ones")
}
