//! `buildbtw build`: builds one package on this machine, in the sandbox that workers use.

use std::path::Path;
use std::sync::Mutex;

use buildbtw_builder::{BuildOutcome, BuildRequest, Builder, Source};
use buildbtw_model::api::ExpectedPackage;
use buildbtw_model::{Architecture, settings};
use buildbtw_planner::{SourcePackage, parse_srcinfo};

use super::sandbox::{
    builder_error, cancel_on_signal, machine_architecture, repositories, sandbox_config,
};
use crate::cli::BuildArgs;
use crate::error::{Error, Result};
use crate::output::{LogCleaner, Output, clean};

pub(super) async fn run(args: &BuildArgs) -> Result<u8> {
    let architecture = match &args.arch {
        Some(architecture) => architecture.clone(),
        None => machine_architecture()?,
    };
    let source = read_source(&args.dir)?;
    if !source.builds_for(&architecture) {
        return Err(Error::with_hint(
            format!("`{}` is not built for {architecture}", source.pkgbase()),
            "choose another architecture with --arch",
        ));
    }
    let mut config = sandbox_config(args.base_root.as_deref()).await?;
    config
        .allow_source_networks
        .clone_from(&args.allow_source_networks);
    let builder = Builder::sandboxed(config);
    fs_err::create_dir_all(&args.output)?;
    let output_dir = fs_err::canonicalize(&args.output)?;
    let request = request(args, &source, &architecture)?;
    let log = LogPrinter::new();
    let sink = |bytes: &[u8]| log.print(bytes);
    let outcome = builder
        .build(&request, &output_dir, &sink, cancel_on_signal()?)
        .await;
    log.finish();
    match outcome {
        BuildOutcome::Succeeded {
            packages,
            notes,
            pkgbuild,
        } => {
            let output = &Output::new(None);
            for note in notes {
                output.note(format_args!("note: {}", clean(&note)));
            }
            if let Some(path) = pkgbuild.filter(|path| is_changed(path, &args.dir)) {
                output.note(format_args!(
                    "note: the PKGBUILD was changed for this build and saved as {}",
                    path.display()
                ));
            }
            for package in packages {
                output.line(package.path.display())?;
            }
            Ok(0)
        }
        BuildOutcome::Failed { kind, explanation } => {
            Err(builder_error(explanation.map(|message| {
                format!("the build failed ({kind}): {message}")
            })))
        }
    }
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
    let folder = fs_err::canonicalize(&args.dir)?;
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

/// Prints the log while it grows.
struct LogPrinter {
    output: Output,
    cleaner: Mutex<Option<LogCleaner>>,
}

impl LogPrinter {
    fn new() -> Self {
        let output = Output::new(None);
        Self {
            cleaner: Mutex::new(output.terminal.then(LogCleaner::for_stdout)),
            output,
        }
    }

    fn print(&self, bytes: &[u8]) {
        let mut cleaner = self
            .cleaner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // The build continues without a reader: its packages are the result.
        let _ = match cleaner.as_mut() {
            Some(cleaner) => self.output.bytes(&cleaner.feed(bytes)),
            None => self.output.bytes(bytes),
        };
    }

    fn finish(self) {
        let cleaner = self
            .cleaner
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(cleaner) = cleaner {
            let _ = self.output.bytes(&cleaner.finish());
        }
    }
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
            dir: folder.path().to_owned(),
            ..args
        };
        let source = read_source(&args.dir).unwrap();
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
