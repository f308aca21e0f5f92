//! Who built a package, and with which tool, as in makepkg.conf(5). Values are validated by alpm-types, which also
//! reads them from packages.

use std::str::FromStr as _;

use serde::{Deserialize, Serialize};

use super::macros::text_id;

const LONGEST: usize = 255;

fn packager(text: &str) -> Result<(), String> {
    // A line with more than one name and one address could mean something else to other programs.
    let is_plain = text.trim() == text
        && text.len() <= LONGEST
        && !text.contains(char::is_control)
        && text.matches(['<', '>']).count() == 2;
    if is_plain && alpm_types::Packager::from_str(text).is_ok() {
        return Ok(());
    }
    Err(format!(
        "expected a name and a mail address, such as `Jane Doe <jane@example.org>`, of at most \
         {LONGEST} bytes"
    ))
}

text_id! {
    /// The packager (`PACKAGER`): a name and a mail address.
    Packager, "packager", packager,
    pattern = "^[^<>]+ <[^<>@ ]+@[^<>@ ]+>$",
    example = "Jane Doe <jane@example.org>"
}

impl Default for Packager {
    fn default() -> Self {
        Self("buildbtw <buildbtw@localhost>".into())
    }
}

fn build_tool_name(text: &str) -> Result<(), String> {
    if text.len() <= LONGEST && alpm_types::BuildTool::from_str(text).is_ok() {
        return Ok(());
    }
    Err("expected the name of a package, such as `devtools`".into())
}

text_id! {
    /// The name of the build tool (`BUILDTOOL`).
    BuildToolName, "build tool", build_tool_name,
    pattern = "^[^ /]+$",
    example = "devtools"
}

fn build_tool_version(text: &str) -> Result<(), String> {
    if text.len() <= LONGEST && alpm_types::BuildToolVersion::from_str(text).is_ok() {
        return Ok(());
    }
    Err(
        "expected a version, such as `1.0` or, with release and architecture, `1:1.3.2-1-any`"
            .into(),
    )
}

text_id! {
    /// The version of the build tool (`BUILDTOOLVER`).
    BuildToolVersion, "build tool version", build_tool_version,
    pattern = "^[^ /]+$",
    example = "1:1.3.2-1-any"
}

/// The build tool that is recorded in packages. Tools that reproduce a package use the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BuildTool {
    /// Its name.
    pub name: BuildToolName,
    /// Its version.
    pub version: BuildToolVersion,
}

impl BuildTool {
    /// Returns the tool with this name and version. The version may be missing only for buildbtw itself; otherwise the
    /// result is `None`.
    #[must_use]
    pub fn named(name: BuildToolName, version: Option<BuildToolVersion>) -> Option<Self> {
        let own = Self::default();
        let version = version.or_else(|| (name == own.name).then_some(own.version))?;
        Some(Self { name, version })
    }
}

impl Default for BuildTool {
    fn default() -> Self {
        Self {
            name: BuildToolName("buildbtw".into()),
            version: BuildToolVersion(env!("CARGO_PKG_VERSION").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_packagers_with_a_name_and_an_address() {
        for text in [
            "buildbtw <buildbtw@localhost>",
            "Jane Doe <jane@example.org>",
            "Zoë O'Hara (CI) <ci+1@example.org>",
        ] {
            assert_eq!(text.parse::<Packager>().unwrap().as_str(), text);
        }
        assert!(Packager::default().as_str().parse::<Packager>().is_ok());
    }

    #[test]
    fn rejects_malformed_packagers() {
        let long = format!("{} <a@b>", "x".repeat(300));
        for text in [
            "",
            "Unknown Packager",
            "jane@example.org",
            "<jane@example.org>",
            " <jane@example.org>",
            "Jane <jane>",
            "Jane <@example.org>",
            "Jane <jane@>",
            "Jane <ja ne@example.org>",
            "Jane <jane@example.org> ",
            "Jane <jane@example.org>\npkgname = x",
            "Ja\nne <jane@example.org>",
            "Jane <a@b> <jane@example.org>",
            &long,
        ] {
            let error = text.parse::<Packager>().unwrap_err().to_string();
            assert!(
                error.contains("Jane Doe <jane@example.org>"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn uses_this_program_as_default_build_tool() {
        let tool = BuildTool::default();
        assert!(tool.name.as_str().parse::<BuildToolName>().is_ok());
        assert!(tool.version.as_str().parse::<BuildToolVersion>().is_ok());
        assert!("1:1.3.2-1-any".parse::<BuildToolVersion>().is_ok());
        for text in ["", "-x", "a b", "a\nb", "a/b"] {
            assert!(text.parse::<BuildToolName>().is_err(), "{text}");
        }
    }
}
