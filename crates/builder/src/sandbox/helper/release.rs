//! Writes the release of the build: before anything is downloaded or, if `pkgver()` computes the version,
//! between the two runs of makepkg. `makepkg --printsrcinfo` then tells whether bash sees the release, and
//! what else depends on it.

mod failures;

use std::io;
use std::os::unix::fs::lchown;
use std::path::Path;

use buildbtw_model::PackageVersion;

use self::failures::{not_bumped, not_installable, pinned_name};
use super::accounts::BUILD_USER;
use super::headings::heading;
use super::login_shell::quoted;
use super::root::Root;
use super::srcinfo::PkgbuildQuery;
use crate::failure::{Context as _, Failure};
use crate::request::BuildRequest;
use crate::source::assignments::{Placement, appended, is_plain};
use crate::source::open_in_tree;
use crate::source::pins;
use crate::source::pkgbuild::Pkgbuild;
use crate::source::renamed::Renamed;
use crate::source::srcinfo::Srcinfo;

/// The dependency lists that makepkg wants installed.
const DEPENDENCIES: &[&str] = &["depends", "makedepends", "checkdepends"];

/// The consequences of a release that was written.
#[derive(Debug, Default)]
pub(super) struct AppliedRelease {
    /// Sources that are named after the release.
    pub(super) renamed: Renamed,
    /// Dependencies that name the release, before and after.
    dependencies: Vec<(String, String)>,
}

/// Writes the planned release, if possible before anything is downloaded, and returns the consequences.
pub(super) fn write_planned(
    query: &PkgbuildQuery<'_>,
    pkgbuild: &mut Pkgbuild,
    request: &BuildRequest,
    is_fetched: bool,
) -> Result<AppliedRelease, Failure> {
    let planned = request.version.as_ref();
    if query.has_pkgver_function(pkgbuild)? {
        if let Some(release) = &request.pkgrel {
            dry_run(query, pkgbuild, release)?;
        }
        return Ok(AppliedRelease::default());
    }
    if let (Some(version), Some(rule)) = (planned, &request.release)
        && rule.is_rebuild
        && let Some(newer) = rule.newer_in_base(version)
    {
        return Err(not_installable(version, newer));
    }
    let Some(release) = &request.pkgrel else {
        return Ok(AppliedRelease::default());
    };
    let applied = write(query, pkgbuild, release)?;
    // By then, everything is installed and fetched under its old name.
    match is_fetched {
        true => applied.reject_consequences(request, release),
        false => Ok(applied),
    }
}

/// Returns whether the release can only be written after `pkgver()` has computed the version.
pub(super) fn waits_for_pkgver(
    query: &PkgbuildQuery<'_>,
    pkgbuild: &Pkgbuild,
    request: &BuildRequest,
) -> Result<bool, Failure> {
    let is_requested = request.release.is_some() || request.pkgrel.is_some();
    Ok(is_requested && query.has_pkgver_function(pkgbuild)?)
}

/// Returns the version that the packages must have, where `pkgver()` does not compute it.
pub(super) fn planned(
    query: &PkgbuildQuery<'_>,
    pkgbuild: &Pkgbuild,
    request: &BuildRequest,
) -> Result<Option<PackageVersion>, Failure> {
    if query.has_pkgver_function(pkgbuild)? {
        return Ok(None);
    }
    match (&request.version, &request.pkgrel) {
        (Some(version), _) => Ok(Some(version.clone())),
        (None, Some(release)) => {
            let own = query
                .current_srcinfo()?
                .and_then(|srcinfo| srcinfo.version().ok());
            own.map(|own| with_release(&own, release)).transpose()
        }
        (None, None) => Ok(None),
    }
}

/// Writes the release for the version that the first run of makepkg has computed. Returns the version of the
/// packages.
pub(super) fn write_computed(
    query: &PkgbuildQuery<'_>,
    tree: &Path,
    request: &BuildRequest,
    pkgver: Option<&str>,
) -> Result<PackageVersion, Failure> {
    let mut pkgbuild = Pkgbuild::open(tree)?;
    let srcinfo = srcinfo_with_pkgver(query, &mut pkgbuild, pkgver)?;
    let own = srcinfo.version().map_err(failures::invalid_version)?;
    let version = match (&request.release, &request.pkgrel) {
        (Some(rule), _) => {
            let version = rule.version(&own);
            // The planned version exceeds all that the plan knew, and is expected if pkgver() changed nothing.
            let planned = request.version.as_ref().filter(|planned| {
                planned.without_pkgrel() == own.without_pkgrel()
                    && planned.compare(&version).is_gt()
            });
            planned.cloned().unwrap_or(version)
        }
        (None, Some(release)) => with_release(&own, release)?,
        (None, None) => own.clone(),
    };
    heading(&format!("pkgver() computed {own}; building {version}"));
    if let Some(rule) = &request.release
        && rule.is_rebuild
        && let Some(newer) = rule.newer_in_base(&version)
    {
        return Err(not_installable(&version, newer));
    }
    if version == own {
        return Ok(version);
    }
    // Sources were unpacked under their old names.
    let release = version.pkgrel();
    write(query, &mut pkgbuild, release)?.reject_consequences(request, release)?;
    Ok(version)
}

/// Returns the `.SRCINFO` with the result of `pkgver()`, which makepkg writes only if `pkgver=` starts a
/// line.
fn srcinfo_with_pkgver(
    query: &PkgbuildQuery<'_>,
    pkgbuild: &mut Pkgbuild,
    pkgver: Option<&str>,
) -> Result<Srcinfo, Failure> {
    let srcinfo = query.fresh_srcinfo()?.ok_or_else(failures::unreadable)?;
    let Some(pkgver) = pkgver.filter(|pkgver| *pkgver != srcinfo.single("pkgver")) else {
        return Ok(srcinfo);
    };
    let line = format!("pkgver={}", quoted(pkgver));
    let text = appended(pkgbuild.text(), &line);
    pkgbuild.write(text)?;
    let srcinfo = query.fresh_srcinfo()?.ok_or_else(failures::unreadable)?;
    match srcinfo.single("pkgver") {
        found if found == pkgver => Ok(srcinfo),
        found => Err(failures::other_pkgver(pkgver, &found)),
    }
}

impl AppliedRelease {
    /// Updates the sources and dependencies of a request.
    pub(super) fn apply_to(&self, request: &mut BuildRequest) {
        for source in &mut request.sources {
            *source = self.renamed.entry_of(source).to_owned();
        }
        for (before, after) in &self.dependencies {
            for dependency in &mut request.dependencies {
                if dependency == before {
                    dependency.clone_from(after);
                }
            }
        }
    }

    /// Fails if the release has consequences, because it is too late for them.
    fn reject_consequences(self, request: &BuildRequest, release: &str) -> Result<Self, Failure> {
        if let Some(source) = self.renamed.sources.first() {
            return Err(pinned_name(request, release, &source.before, &source.entry));
        }
        match self.dependencies.first() {
            None => Ok(self),
            Some((before, after)) => {
                let why = format!(
                    "the dependency `{before}` is installed before the release is written, and would \
                     become `{after}`"
                );
                let advice = "do not name the release in depends";
                Err(not_bumped(request, release, &why, advice))
            }
        }
    }

    /// Copies files of the tree to where makepkg expects them under their new names.
    pub(super) fn copy_files(
        &self,
        root: &Root,
        tree: &Path,
        sources: &Path,
    ) -> Result<(), Failure> {
        let names = self
            .renamed
            .sources
            .iter()
            .filter_map(|source| source.in_tree.as_ref());
        for (old, new) in names {
            // makepkg reports a missing file.
            let Ok(mut file) = open_in_tree(tree, old) else {
                continue;
            };
            let path = sources.join(new);
            let mut copy = fs_err::File::create(&path)?;
            io::copy(&mut file, &mut copy).context("copying a source")?;
            let id = root.first_uid + BUILD_USER;
            lchown(&path, Some(id), Some(id))?;
        }
        Ok(())
    }

    /// Adds a hint about renamed sources to a failure.
    pub(super) fn explain(&self, failure: Failure, request: &BuildRequest) -> Failure {
        match self.renamed.sources.first() {
            Some(source) => failure.hint(format!(
                "a source is named after the release, which was bumped: `{}` is used as `{}`; name it after \
                 pkgver only, or {}",
                source.before,
                source.entry,
                request.release_hint()
            )),
            None => failure,
        }
    }
}

/// Writes a release and reverts it, to find out before any download whether it is possible.
fn dry_run(
    query: &PkgbuildQuery<'_>,
    pkgbuild: &mut Pkgbuild,
    release: &str,
) -> Result<(), Failure> {
    let text = pkgbuild.text().to_vec();
    write(query, pkgbuild, release)?.reject_consequences(query.request(), release)?;
    pkgbuild.write(text)
}

fn write(
    query: &PkgbuildQuery<'_>,
    pkgbuild: &mut Pkgbuild,
    release: &str,
) -> Result<AppliedRelease, Failure> {
    heading(&format!("setting pkgrel={release}"));
    let valid = !release.is_empty() && release.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !valid {
        return Err(failures::invalid_release(release));
    }
    let before = query.current_srcinfo()?;
    let text = pkgbuild.text().to_vec();
    if let Some(before) = &before
        && is_plain(&text, &before.single("pkgrel"))
        && let Some(text) = Placement::InPlace.write(&text, release)
    {
        pkgbuild.write(text)?;
        check_pins(query, before, before, release)?;
        return Ok(AppliedRelease::default());
    }
    let mut seen = None;
    for placement in [Placement::InPlace, Placement::Appended] {
        let Some(text) = placement.write(&text, release) else {
            continue;
        };
        pkgbuild.write(text)?;
        match (&before, query.fresh_srcinfo()?) {
            // The PKGBUILD cannot be read before its dependencies are installed, with or without this change.
            (None, None) => return Ok(AppliedRelease::default()),
            (_, Some(after)) if after.single("pkgrel") == release => {
                let before = before.as_ref().unwrap_or(&after);
                return consequences(query, pkgbuild, before, &after, release);
            }
            (_, after) => seen = seen.or(after.map(|after| after.single("pkgrel"))),
        }
    }
    Err(failures::not_replaced(query.request(), release, seen))
}

/// Determines what else changes in the PKGBUILD's output with another release.
fn consequences(
    query: &PkgbuildQuery<'_>,
    pkgbuild: &mut Pkgbuild,
    before: &Srcinfo,
    after: &Srcinfo,
    release: &str,
) -> Result<AppliedRelease, Failure> {
    check_pins(query, before, after, release)?;
    let architecture = query.architecture();
    let renamed = Renamed::find(before, after, architecture)
        .map_err(|(old, new)| pinned_name(query.request(), release, &old, &new))?;
    if let Some(source) = renamed.sources.first() {
        let text = pkgbuild.text().to_vec();
        pkgbuild.write(appended(&text, &renamed.lines.join("\n")))?;
        let srcinfo = query.fresh_srcinfo()?;
        let agrees = srcinfo.is_some_and(|srcinfo| {
            let fields = ["source".to_owned(), format!("source_{architecture}")];
            let mut entries = fields.iter().flat_map(|field| srcinfo.listed(field));
            renamed
                .sources
                .iter()
                .all(|source| entries.any(|entry| *entry == source.entry))
        });
        if !agrees {
            let request = query.request();
            return Err(pinned_name(request, release, &source.before, &source.entry));
        }
        for source in &renamed.sources {
            heading(&format!("{} is used as {}", source.before, source.entry));
        }
    }
    let dependencies = DEPENDENCIES
        .iter()
        .flat_map(|field| {
            let special = format!("{field}_{architecture}");
            let pairs = |field: &str| {
                let (old, new) = (before.listed(field), after.listed(field));
                let pairs = old.iter().cloned().zip(new.iter().cloned());
                pairs.filter(|(old, new)| old != new).collect::<Vec<_>>()
            };
            [pairs(field), pairs(&special)].concat()
        })
        .collect();
    Ok(AppliedRelease {
        renamed,
        dependencies,
    })
}

/// Fails if a package pins a sibling to the replaced release.
fn check_pins(
    query: &PkgbuildQuery<'_>,
    before: &Srcinfo,
    after: &Srcinfo,
    release: &str,
) -> Result<(), Failure> {
    // An invalid version is reported elsewhere.
    let Ok(old) = before.version() else {
        return Ok(());
    };
    let new = with_release(&old, release)?;
    match pins::find_broken(after, query.architecture(), &old, &new) {
        None => Ok(()),
        Some(pins::BrokenPin {
            package,
            dependency,
            sibling,
        }) => {
            let why = format!("{package} depends on `{dependency}`, and {sibling} becomes {new}");
            let advice = format!("write `{sibling}=$pkgver-$pkgrel` in the PKGBUILD");
            Err(not_bumped(query.request(), release, &why, &advice))
        }
    }
}

fn with_release(version: &PackageVersion, release: &str) -> Result<PackageVersion, Failure> {
    format!("{}-{release}", version.without_pkgrel())
        .parse()
        .map_err(|error: buildbtw_model::InvalidName| Failure::package(error.to_string()))
}
