//! Compares a `.SRCINFO` with its PKGBUILD. The plan is based on the former, and makepkg reads the latter:
//! where they differ, the wrong packages and sources are installed, fetched and expected.
//!
//! Only the fields that a plan or a build uses are compared, for one architecture and as sets: tools that
//! write the file differ in order, whitespace, comments and empty lines.

use std::collections::{BTreeMap, BTreeSet};

use buildbtw_model::{InvalidName, PackageVersion, is_epoch_left_out};

/// Fields of the whole PKGBUILD that are lists.
const BASE_LISTS: &[&str] = &["depends", "makedepends", "checkdepends", "source"];
/// Fields that a package of a PKGBUILD can override.
const PACKAGE_LISTS: &[&str] = &["depends", "provides", "conflicts", "replaces"];
/// Fields that name other packages.
const RELATIONS: &[&str] = &[
    "makedepends",
    "checkdepends",
    "depends",
    "provides",
    "conflicts",
    "replaces",
];

/// The fields of one section.
type Section = BTreeMap<String, Vec<String>>;

/// A parsed `.SRCINFO`, with the fields that are compared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Srcinfo {
    base: Section,
    packages: BTreeMap<String, Section>,
}

/// A field with different values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The field, and the package if there are several.
    pub(crate) field: String,
    /// The values that only the `.SRCINFO` has.
    pub(crate) srcinfo: String,
    /// The values that only the PKGBUILD has.
    pub(crate) pkgbuild: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |value: &str| match value {
            "" => "nothing".to_owned(),
            value => format!("`{value}`"),
        };
        let (srcinfo, pkgbuild) = (shown(&self.srcinfo), shown(&self.pkgbuild));
        let field = &self.field;
        write!(
            f,
            "{field}: .SRCINFO says {srcinfo}, the PKGBUILD says {pkgbuild}"
        )
    }
}

impl Srcinfo {
    /// Parses a text. Ignores what comes before the first section, which is output of the PKGBUILD's top
    /// level.
    pub(crate) fn parse(text: &str) -> Self {
        let mut info = Self::default();
        let mut section = None;
        for line in text.lines() {
            let mut line = line.trim();
            // The top level may have printed text without a line feed.
            if section.is_none() && !line.starts_with('#') {
                line = line.find("pkgbase = ").map_or(line, |at| &line[at..]);
            }
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let (key, value) = (key.trim(), normalized(value));
            match (key, &mut section) {
                (_, _) if line.starts_with('#') => continue,
                ("pkgbase", _) => section = Some(None),
                ("pkgname", Some(_)) => {
                    info.packages.entry(value.clone()).or_default();
                    section = Some(Some(value));
                    continue;
                }
                _ => {}
            }
            let fields = match &section {
                None => continue,
                Some(None) => &mut info.base,
                Some(Some(package)) => info.packages.entry(package.clone()).or_default(),
            };
            let values = fields.entry(key.to_owned()).or_default();
            // With an empty value, a package replaces the values of the base by none.
            if !value.is_empty() {
                values.push(value);
            }
        }
        info
    }

    /// Returns whether the text names no package.
    pub(crate) fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// Returns the architectures of the whole PKGBUILD.
    pub(crate) fn architectures(&self) -> Vec<String> {
        self.base.get("arch").cloned().unwrap_or_default()
    }

    /// Returns the names of the packages.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &str> {
        self.packages.keys().map(String::as_str)
    }

    /// Returns the values of a field of the whole PKGBUILD, in order.
    pub(crate) fn listed(&self, field: &str) -> &[String] {
        self.base.get(field).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the values of a field of a package.
    pub(crate) fn of_package(
        &self,
        package: &str,
        field: &str,
        architecture: &str,
    ) -> BTreeSet<String> {
        list(&self.base, self.packages.get(package), field, architecture)
    }

    /// Returns `[epoch:]pkgver-pkgrel`.
    pub(crate) fn version(&self) -> Result<PackageVersion, InvalidName> {
        let epoch = match self.single("epoch") {
            epoch if is_epoch_left_out(&epoch) => String::new(),
            epoch => format!("{epoch}:"),
        };
        format!("{epoch}{}-{}", self.single("pkgver"), self.single("pkgrel")).parse()
    }

    pub(crate) fn single(&self, field: &str) -> String {
        let last = self.base.get(field).and_then(|values| values.last());
        last.cloned().unwrap_or_default()
    }
}

/// Collapses whitespace, as makepkg does.
fn normalized(value: &str) -> String {
    value.split_whitespace().collect::<Vec<&str>>().join(" ")
}

/// Returns the values of a field for an architecture: the general ones and those for the architecture. A
/// package that overrides the former overrides both, because makepkg adds the latter before it runs the
/// package's function.
fn list(
    base: &Section,
    package: Option<&Section>,
    field: &str,
    architecture: &str,
) -> BTreeSet<String> {
    let own = |field: &str| package.and_then(|package| package.get(field));
    let special = format!("{field}_{architecture}");
    // This also holds if it repeats the values of the base, as some tools do for each package: a plan then
    // lacks the values for this architecture.
    let is_replaced = own(field).is_some();
    let inherited = (!is_replaced).then(|| base.get(&special)).flatten();
    let all = own(field).or_else(|| base.get(field));
    let special = own(&special).or(inherited);
    all.into_iter().chain(special).flatten().cloned().collect()
}

/// Compares a `.SRCINFO` with the output of `makepkg --printsrcinfo` for an architecture. If `pkgver()`
/// computes the version, it and values derived from it may differ.
pub(crate) fn differences(
    srcinfo: &Srcinfo,
    pkgbuild: &Srcinfo,
    architecture: &str,
    computes_version: bool,
) -> Vec<Difference> {
    let mut comparison = Comparison {
        found: Vec::new(),
        versions: [srcinfo, pkgbuild].map(|info| info.single("pkgver")),
        computes_version,
    };
    let name = |info: &Srcinfo| BTreeSet::from([info.single("pkgbase")]);
    comparison.sets("pkgbase", &name(srcinfo), &name(pkgbuild));
    let names = |info: &Srcinfo| info.packages.keys().cloned().collect();
    comparison.sets("pkgname", &names(srcinfo), &names(pkgbuild));
    for field in ["pkgver", "pkgrel", "epoch"] {
        comparison.single(field, srcinfo, pkgbuild);
    }
    for field in BASE_LISTS {
        let values = |info: &Srcinfo| list(&info.base, None, field, architecture);
        comparison.lists(field, None, values(srcinfo), values(pkgbuild));
    }
    let several = pkgbuild.packages.len() > 1;
    for (package, section) in &pkgbuild.packages {
        let Some(other) = srcinfo.packages.get(package) else {
            continue;
        };
        let named = several.then_some(package.as_str());
        for field in PACKAGE_LISTS {
            let [old, new] = [(srcinfo, other), (pkgbuild, section)]
                .map(|(info, own)| list(&info.base, Some(own), field, architecture));
            comparison.lists(field, named, old, new);
        }
        let [old, new] = [(srcinfo, other), (pkgbuild, section)].map(|(info, own)| kind(info, own));
        comparison.sets(&named_field("arch", named), &old, &new);
    }
    comparison.found
}

/// Returns `any` if a package is for all architectures; other architectures are not compared.
fn kind(info: &Srcinfo, package: &Section) -> BTreeSet<String> {
    let all = list(&info.base, Some(package), "arch", "");
    match all.contains("any") {
        true => BTreeSet::from(["any".to_owned()]),
        false => BTreeSet::new(),
    }
}

fn named_field(field: &str, package: Option<&str>) -> String {
    match package {
        Some(package) => format!("{field} of {package}"),
        None => field.to_owned(),
    }
}

struct Comparison {
    found: Vec<Difference>,
    /// `pkgver` of the `.SRCINFO` and of the PKGBUILD.
    versions: [String; 2],
    computes_version: bool,
}

impl Comparison {
    fn single(&mut self, field: &str, srcinfo: &Srcinfo, pkgbuild: &Srcinfo) {
        if field == "pkgver" && self.computes_version {
            return;
        }
        let [srcinfo, pkgbuild] = [srcinfo, pkgbuild].map(|info| match info.single(field) {
            // A missing epoch is epoch 0.
            value if field == "epoch" && is_epoch_left_out(&value) => String::new(),
            value => value,
        });
        if srcinfo != pkgbuild {
            self.found.push(Difference {
                field: field.to_owned(),
                srcinfo,
                pkgbuild,
            });
        }
    }

    fn sets(&mut self, field: &str, srcinfo: &BTreeSet<String>, pkgbuild: &BTreeSet<String>) {
        if srcinfo == pkgbuild {
            return;
        }
        let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
            let values: Vec<&str> = one.difference(other).map(String::as_str).collect();
            values.join(" ")
        };
        let difference = Difference {
            field: field.to_owned(),
            srcinfo: only(srcinfo, pkgbuild),
            pkgbuild: only(pkgbuild, srcinfo),
        };
        // A single package has the same values as its base.
        if !self.found.contains(&difference) {
            self.found.push(difference);
        }
    }

    fn lists(
        &mut self,
        field: &str,
        package: Option<&str>,
        srcinfo: BTreeSet<String>,
        pkgbuild: BTreeSet<String>,
    ) {
        let [old, new] = &self.versions;
        let moved = self.computes_version && old != new;
        let (srcinfo, pkgbuild) = if moved {
            let strip = |values: BTreeSet<String>, version: &str| {
                let without = |value: String| without_version(field, &value, version);
                values.into_iter().map(without).collect()
            };
            (strip(srcinfo, old), strip(pkgbuild, new))
        } else {
            (srcinfo, pkgbuild)
        };
        self.sets(&named_field(field, package), &srcinfo, &pkgbuild);
    }
}

/// Removes the version of the PKGBUILD itself from a value.
fn without_version(field: &str, value: &str, version: &str) -> String {
    if RELATIONS.contains(&field) {
        let end = value.find(['<', '>', '=']).unwrap_or(value.len());
        return value.get(..end).unwrap_or(value).to_owned();
    }
    match version {
        "" => value.to_owned(),
        version => value.replace(version, "$pkgver"),
    }
}

#[cfg(test)]
mod tests;
