//! The lenient parser, which reads line by line and ignores only the bad lines.

use buildbtw_model::is_epoch_left_out;

use super::draft::{Draft, Section};
use super::field::Field;
use super::text::{field, numbered, split};
use crate::relation;

/// Reads all lines that can be parsed.
pub(super) fn read(text: &str) -> Draft {
    let mut draft = Draft::default();
    let mut version = Version::default();
    for (number, line) in numbered(text) {
        let Some((key, value)) = split(line) else {
            let reason = format!("`{line}` is not an assignment");
            draft.problems.push((number, reason));
            continue;
        };
        match key {
            "pkgbase" if draft.pkgbase.is_empty() => value.clone_into(&mut draft.pkgbase),
            "pkgname" => {
                draft.pkgname_lines.push(number);
                draft.packages.push((value.to_owned(), Section::default()));
            }
            "epoch" | "pkgver" | "pkgrel" if draft.packages.is_empty() => version.take(key, value),
            _ => {
                if let Err(reason) = read_entry(&mut draft, key, value) {
                    draft.problems.push((number, reason));
                }
            }
        }
    }
    draft.version = version.join();
    draft
}

#[derive(Default)]
struct Version<'a> {
    epoch: &'a str,
    pkgver: &'a str,
    pkgrel: &'a str,
}

impl<'a> Version<'a> {
    fn take(&mut self, key: &str, value: &'a str) {
        match key {
            "epoch" => self.epoch = value,
            "pkgver" => self.pkgver = value,
            "pkgrel" => self.pkgrel = value,
            _ => {}
        }
    }

    /// Joins the version like makepkg (`get_full_version`).
    fn join(&self) -> String {
        let Self {
            epoch,
            pkgver,
            pkgrel,
        } = self;
        if is_epoch_left_out(epoch) {
            format!("{pkgver}-{pkgrel}")
        } else {
            format!("{epoch}:{pkgver}-{pkgrel}")
        }
    }
}

/// Reads the version as written; the strict parser normalizes it.
pub(super) fn read_version(text: &str) -> String {
    let mut version = Version::default();
    for (_, line) in numbered(text) {
        match split(line) {
            Some(("pkgname", _)) => break,
            Some((key, value)) => version.take(key, value),
            None => {}
        }
    }
    version.join()
}

/// Reads the sources as written; the strict parser normalizes them.
pub(super) fn read_sources(text: &str, base: &mut Section) {
    for (_, line) in numbered(text) {
        if let Some((key, value)) = split(line)
            && let Some((Field::Source, architecture)) = field(key)
            && !value.is_empty()
        {
            base.values(Field::Source, architecture)
                .push(value.to_owned());
        }
    }
}

fn read_entry(draft: &mut Draft, key: &str, value: &str) -> Result<(), String> {
    let in_package = !draft.packages.is_empty();
    let section = match draft.packages.last_mut() {
        Some((_, section)) => section,
        None => &mut draft.base,
    };
    if key == "arch" {
        return match value.parse::<buildbtw_model::Architecture>() {
            Ok(_) => {
                section.architectures.push(value.to_owned());
                Ok(())
            }
            Err(invalid) => Err(invalid.to_string()),
        };
    }
    // Fields that planning does not need are not checked.
    let Some((field, architecture)) = field(key) else {
        return Ok(());
    };
    if !architecture.is_empty()
        && architecture
            .parse::<buildbtw_model::Architecture>()
            .is_err()
    {
        return Err(format!("`{key}` does not name a valid architecture"));
    }
    if in_package && matches!(field, Field::Makedepends | Field::Checkdepends) {
        return Err(format!("{key} belongs to the pkgbase, not to a package"));
    }
    if value.is_empty() {
        // In a package this clears the field of the base, unless values follow.
        section.values(field, architecture);
        return Ok(());
    }
    if field == Field::Source {
        draft
            .base
            .values(field, architecture)
            .push(value.to_owned());
        return Ok(());
    }
    // An override whose only value is invalid is still an override, so the list is created first.
    let values = section.values(field, architecture);
    relation::check(value).map_err(|reason| format!("{key}: {reason}"))?;
    values.push(value.to_owned());
    Ok(())
}
