//! The common result of both parsers, and its conversion to a [`SourcePackage`].

use std::fmt::Write as _;

use buildbtw_model::{Architecture, PackageVersion, Pkgbase, Pkgname};
use rustc_hash::FxHashSet;

use super::error::SrcinfoError;
use super::field::Field;
use super::package::SourcePackage;

/// The values of one field for one architecture suffix.
#[derive(Clone, Debug)]
pub(super) struct Values {
    pub(super) field: Field,
    /// Empty for a field without a suffix, which sorts first.
    pub(super) architecture: String,
    /// Empty in a package's section if the package clears the field of the base.
    pub(super) values: Vec<String>,
}

/// The section of the base or of a package.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    pub(super) architectures: Vec<String>,
    pub(super) fields: Vec<Values>,
}

impl Section {
    /// Returns the values of a field, which is added if it is missing.
    pub(super) fn values(&mut self, field: Field, architecture: &str) -> &mut Vec<String> {
        let found = self
            .fields
            .iter()
            .position(|values| values.field == field && values.architecture == architecture);
        let at = found.unwrap_or(self.fields.len());
        if found.is_none() {
            self.fields.push(Values {
                field,
                architecture: architecture.to_owned(),
                values: Vec::new(),
            });
        }
        &mut self.fields[at].values
    }

    fn write(&self, text: &mut String, is_base: bool) {
        // Writing to a string cannot fail.
        for architecture in &self.architectures {
            let _ = writeln!(text, "a {architecture}");
        }
        let mut fields: Vec<&Values> = self.fields.iter().collect();
        fields.sort_by(|a, b| (a.field, &a.architecture).cmp(&(b.field, &b.architecture)));
        for values in fields {
            let mut tag = char::from(values.field as u8).to_string();
            if !values.architecture.is_empty() {
                let _ = write!(tag, ":{}", values.architecture);
            }
            for value in &values.values {
                let _ = writeln!(text, "{tag} {value}");
            }
            if values.values.is_empty() && !is_base {
                let _ = writeln!(text, "{tag} ");
            }
        }
    }
}

/// The result of a parser.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) pkgbase: String,
    pub(super) version: String,
    pub(super) base: Section,
    pub(super) packages: Vec<(String, Section)>,
    /// The line number of each `pkgname`, if the parser knows line numbers.
    pub(super) pkgname_lines: Vec<usize>,
    /// Line number and reason of every ignored line.
    pub(super) problems: Vec<(usize, String)>,
}

impl Draft {
    /// Checks required fields and limits, and writes the stored form.
    pub(super) fn finish(mut self) -> Result<SourcePackage, SrcinfoError> {
        if self.pkgbase.is_empty() {
            return Err(SrcinfoError::Missing("pkgbase"));
        }
        let pkgbase: Pkgbase = self.pkgbase.parse()?;
        let version: PackageVersion = self.version.parse()?;
        let valid = |text: &String| text.parse::<Architecture>().is_ok();
        self.base.architectures.retain(valid);
        if self.base.architectures.is_empty() {
            let reason = "no usable arch: it is not built for any architecture".to_owned();
            self.problems.push((0, reason));
        }

        let mut text = String::with_capacity(1024);
        let _ = writeln!(text, "b {pkgbase}\nv {version}");
        self.base.write(&mut text, true);
        let mut pkgnames: Vec<Pkgname> = Vec::with_capacity(self.packages.len());
        let mut seen = FxHashSet::default();
        let mut lines = self.pkgname_lines.into_iter();
        for (name, mut section) in self.packages {
            // The strict parser has no line numbers, but rejects such names itself.
            let line = lines.next().unwrap_or_default();
            section.architectures.retain(valid);
            match name.parse::<Pkgname>() {
                Ok(pkgname) if !seen.insert(pkgname.clone()) => {
                    let reason = format!("duplicate pkgname `{pkgname}`");
                    self.problems.push((line, reason));
                }
                Ok(pkgname) => {
                    let _ = writeln!(text, "n {pkgname}");
                    section.write(&mut text, false);
                    pkgnames.push(pkgname);
                }
                Err(invalid) => self.problems.push((line, invalid.to_string())),
            }
        }
        if pkgnames.is_empty() {
            return Err(SrcinfoError::Missing("pkgname"));
        }
        for (line, reason) in &self.problems {
            let reason = reason.replace(['\n', '\r'], " ");
            let _ = writeln!(text, "! {line} {reason}");
        }
        SourcePackage::new(pkgbase, version, pkgnames, text)
    }
}
