//! The strict parser, alpm-srcinfo, which rejects a file with any bad line.

use alpm_srcinfo::SourceInfoV1;
use alpm_srcinfo::source_info::v1::package::Override;
use alpm_types::Architectures;

use super::draft::{Draft, Section};
use super::field::Field;
use super::lines;

/// Parses a file with alpm-srcinfo; `None` if it rejects the file.
pub(super) fn read(text: &str) -> Option<Draft> {
    let info = SourceInfoV1::from_string(text).ok()?;
    let base = &info.base;
    let mut draft = Draft {
        pkgbase: base.name.to_string(),
        version: lines::read_version(text),
        ..Draft::default()
    };
    let section = &mut draft.base;
    section.architectures = names(&base.architectures);
    add(section, Field::Depends, "", &base.dependencies);
    add(section, Field::Makedepends, "", &base.make_dependencies);
    add(section, Field::Checkdepends, "", &base.check_dependencies);
    add(section, Field::Provides, "", &base.provides);
    for (architecture, fields) in &base.architecture_properties {
        let name = architecture.to_string();
        add(section, Field::Depends, &name, &fields.dependencies);
        add(
            section,
            Field::Makedepends,
            &name,
            &fields.make_dependencies,
        );
        add(
            section,
            Field::Checkdepends,
            &name,
            &fields.check_dependencies,
        );
        add(section, Field::Provides, &name, &fields.provides);
    }
    // alpm-types normalises locations, but sources must be fetched from exactly the written ones.
    lines::read_sources(text, section);
    for package in &info.packages {
        let mut section = Section::default();
        if let Some(architectures) = &package.architectures {
            section.architectures = names(architectures);
        }
        override_with(&mut section, Field::Depends, "", &package.dependencies);
        override_with(&mut section, Field::Provides, "", &package.provides);
        for (architecture, fields) in &package.architecture_properties {
            let name = architecture.to_string();
            override_with(&mut section, Field::Depends, &name, &fields.dependencies);
            override_with(&mut section, Field::Provides, &name, &fields.provides);
        }
        draft.packages.push((package.name.to_string(), section));
    }
    Some(draft)
}

fn names(architectures: &Architectures) -> Vec<String> {
    match architectures {
        Architectures::Any => vec!["any".to_owned()],
        Architectures::Some(list) => list.iter().map(ToString::to_string).collect(),
    }
}

fn add<T: ToString>(section: &mut Section, field: Field, architecture: &str, values: &[T]) {
    if !values.is_empty() {
        let values = values.iter().map(ToString::to_string);
        section.values(field, architecture).extend(values);
    }
}

fn override_with<T: ToString>(
    section: &mut Section,
    field: Field,
    architecture: &str,
    values: &Override<Vec<T>>,
) {
    match values {
        Override::No => {}
        Override::Clear => section.values(field, architecture).clear(),
        Override::Yes { value } => {
            let values = value.iter().map(ToString::to_string);
            section.values(field, architecture).extend(values);
        }
    }
}
