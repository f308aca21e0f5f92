//! `buildbtw build DIR`: builds a package from a folder.

use std::path::Path;

use buildbtw_builder::{BuildRequest, Source};
use buildbtw_model::api::ExpectedPackage;
use buildbtw_model::{Architecture, settings};
use buildbtw_planner::{SourcePackage, parse_srcinfo};

use super::super::sandbox::{machine_architecture, repositories};
use super::perform::{conclude, perform};
use crate::cli::BuildArgs;
use crate::error::{Error, Result};

pub(super) async fn run(args: &BuildArgs) -> Result<u8> {
    let architecture = match &args.arch {
        Some(architecture) => architecture.clone(),
        None => machine_architecture()?,
    };
    let source = read_source(&args.target)?;
    if !source.builds_for(&architecture) {
        return Err(Error::with_hint(
            format!("`{}` is not built for {architecture}", source.pkgbase()),
            "choose another architecture with --arch",
        ));
    }
    let request = request(args, &source, &architecture)?;
    let outcome = perform(args, None, &request).await?;
    conclude(outcome, |kept| is_changed(kept, &args.target))
}

/// Returns whether the PKGBUILD of the build differs from that of the folder; removes it otherwise.
fn is_changed(kept: &Path, dir: &Path) -> bool {
    let text = |path: &Path| fs_err::read(path).ok();
    if text(kept) != text(&dir.join("PKGBUILD")) {
        return true;
    }
    // A copy that cannot be removed does no harm.
    let _ = fs_err::remove_file(kept);
    false
}

fn read_source(dir: &Path) -> Result<SourcePackage> {
    let path = dir.join(".SRCINFO");
    let text = settings::read(&path).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound if !dir.exists() => {
                "`buildbtw build NAMESPACE PKGBASE` repeats an attempt, `buildbtw build DIR` builds a folder"
            }
            std::io::ErrorKind::NotFound => {
                "`makepkg --printsrcinfo > .SRCINFO` creates it from the PKGBUILD"
            }
            _ => "make the file readable and UTF-8",
        };
        Error::with_hint(format!("cannot read `{}`: {error}", path.display()), hint)
    })?;
    parse_srcinfo(&text).map_err(|error| {
        Error::with_hint(
            format!("cannot parse `{}`: {error}", path.display()),
            "`makepkg --printsrcinfo > .SRCINFO` creates it again from the PKGBUILD",
        )
    })
}

fn request(
    args: &BuildArgs,
    source: &SourcePackage,
    architecture: &Architecture,
) -> Result<BuildRequest> {
    let folder = fs_err::canonicalize(&args.target)?;
    let mut request = BuildRequest::new(
        source.pkgbase().clone(),
        architecture.clone(),
        Source::Directory(folder),
    );
    let texts = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect();
    request.packages = source
        .pkgnames_for(architecture)
        .map(|(name, architecture)| ExpectedPackage {
            name: name.clone(),
            architecture,
        })
        .collect();
    request.dependencies = texts(source.build_dependencies(architecture));
    request.sources = texts(source.sources(architecture));
    request.repositories = repositories(&args.repositories);
    request.version = Some(match &args.pkgrel {
        None => source.version().clone(),
        Some(pkgrel) => format!("{}-{pkgrel}", source.version().without_pkgrel())
            .parse()
            .map_err(|error| Error::new(format!("{error}")))?,
    });
    request.pkgrel.clone_from(&args.pkgrel);
    request.packager.clone_from(&args.packager);
    if let Some(name) = &args.buildtool {
        request.build_tool.name.clone_from(name);
    }
    if let Some(version) = &args.buildtoolver {
        request.build_tool.version.clone_from(version);
    }
    request.source_date_epoch = args.source_date_epoch;
    request.network = args.network;
    request.missing_keys = args.missing_keys;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use buildbtw_model::BuildTool;
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn tool(arguments: &[&str]) -> Option<BuildTool> {
        let arguments = ["buildbtw", "build"].iter().chain(arguments);
        let Command::Build(args) = Cli::try_parse_from(arguments).ok()?.command else {
            panic!("another command");
        };
        let folder = tempfile::tempdir().unwrap();
        let srcinfo = "pkgbase = a\npkgver = 1\npkgrel = 1\narch = any\n\npkgname = a\n";
        fs_err::write(folder.path().join(".SRCINFO"), srcinfo).unwrap();
        let args = BuildArgs {
            target: folder.path().to_owned(),
            ..args
        };
        let source = read_source(&args.target).unwrap();
        let request = request(&args, &source, &"x86_64".parse().unwrap()).unwrap();
        Some(request.build_tool)
    }

    #[test]
    fn writes_requested_build_tool_into_packages() {
        assert_eq!(tool(&[]).unwrap(), BuildTool::default());
        let other = tool(&["--buildtool=devtools", "--buildtoolver=1:1.3.2-1-any"]).unwrap();
        assert_eq!(other.name.as_str(), "devtools");
        assert_eq!(other.version.as_str(), "1:1.3.2-1-any");
        assert_eq!(tool(&["--buildtool=devtools"]), None);
    }
}
