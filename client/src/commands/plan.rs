//! `buildbtw plan`: shows the plan of a rebuild, from the server's sources or offline from a folder of
//! `.SRCINFO` files.

use std::path::Path;
use std::sync::Arc;

use buildbtw_model::api::{PlanFormat, PlanPreview};
use buildbtw_model::{OriginSpec, Pkgbase};
use buildbtw_planner::{
    PackageIndex, Patterns, PlanRequest, Problem, ProblemKind, parse_srcinfo, render,
};
use buildbtw_telemetry::spawn_blocking_named;

use super::sandbox::machine_architecture;
use crate::cli::{Global, PlanArgs, PlanForm};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::Output;

/// What `--srcinfo` expects.
const SRCINFO_HINT: &str = "name a folder with one folder per package, each with a .SRCINFO";

pub(super) async fn run(global: &Global, args: PlanArgs) -> Result<u8> {
    let format = match (args.format, global.json) {
        (Some(PlanForm::Json), _) | (None, true) => PlanFormat::Json,
        (Some(PlanForm::Dot), _) => PlanFormat::Dot,
        (Some(PlanForm::Text), _) | (None, false) => PlanFormat::Text,
    };
    let text = match &args.srcinfo {
        Some(folder) => {
            let folder = folder.clone();
            spawn_blocking_named("offline plan", move || offline(&folder, &args, format))
                .await
                .map_err(|error| Error::new(error.to_string()))??
        }
        None => online(&Context::new(global)?, args, format).await?,
    };
    Output::new(false).line(text.trim_end())?;
    Ok(0)
}

async fn online(context: &Context, args: PlanArgs, format: PlanFormat) -> Result<String> {
    let mut changesets = Vec::with_capacity(args.origins.len());
    for origin in &args.origins {
        changesets.push(origin.parse::<OriginSpec>().map_err(|error| {
            Error::with_hint(
                error.to_string(),
                "add a ref, which only --srcinfo does not need",
            )
        })?);
    }
    let preview = PlanPreview {
        changesets,
        scope: args.spread.scope,
        architecture: args.arch,
        include: args.spread.include,
        exclude: args.spread.exclude,
        bootstrap: args.spread.bootstrap,
        same_sonames: args.spread.same_sonames,
        no_bump: args.no_bump,
        format,
    };
    context.check(context.client.preview_plan(&preview).await)
}

fn offline(folder: &Path, args: &PlanArgs, format: PlanFormat) -> Result<String> {
    let Tree { index, left_out } = read_tree(folder)?;
    let mut origins = Vec::with_capacity(args.origins.len());
    for origin in &args.origins {
        let pkgbase: Pkgbase = origin.parse().map_err(|_| {
            let message = format!("`{origin}` is not a valid pkgbase");
            Error::with_hint(message, "with --srcinfo, name a pkgbase without a ref")
        })?;
        let package = index.get(&pkgbase).ok_or_else(|| {
            Error::with_hint(
                format!("`{}` has no package `{pkgbase}`", folder.display()),
                "check the pkgbase, which is in the first line of the .SRCINFO of a package",
            )
        })?;
        origins.push(Arc::clone(package));
    }
    let patterns = |option: &str, patterns: &[String]| {
        Patterns::new(patterns).map_err(|error| {
            Error::with_hint(
                format!("{option}: {error}"),
                "use a shell pattern of pkgbases, for example `haskell-*`",
            )
        })
    };
    let architecture = match &args.arch {
        Some(architecture) => architecture.clone(),
        None => machine_architecture()?,
    };
    let mut request = PlanRequest::new(architecture, origins.clone(), args.spread.scope);
    request.include = patterns("--include", &args.spread.include)?;
    request.exclude = patterns("--exclude", &args.spread.exclude)?;
    request.bootstrap.clone_from(&args.spread.bootstrap);
    request.keeps_sonames = args.spread.same_sonames;
    let mut plan = buildbtw_planner::plan(&index, &request);
    // The versions in the distribution are unknown.
    plan.expect_versions(&index, &origins, &|_, _| Vec::new(), !args.no_bump);
    plan.problems.extend(left_out);
    plan.problems.sort();
    Ok(match format {
        PlanFormat::Text => render::text(&plan),
        PlanFormat::Dot => render::dot(&plan),
        PlanFormat::Json => {
            serde_json::to_string(&plan).map_err(|error| Error::new(error.to_string()))?
        }
    })
}

/// The packages of a folder, and the `.SRCINFO` files that were left out.
#[derive(Default)]
struct Tree {
    index: PackageIndex,
    left_out: Vec<Problem>,
}

/// Reads every `<folder>/.SRCINFO`. Warns of one that cannot be used, and leaves it out.
fn read_tree(folder: &Path) -> Result<Tree> {
    let mut folders = Vec::new();
    let entries = folder.read_dir().map_err(|error| {
        Error::with_hint(
            format!("cannot read --srcinfo `{}`: {error}", folder.display()),
            SRCINFO_HINT,
        )
    })?;
    for entry in entries {
        let path = entry?.path();
        // A broken symbolic link counts, so that it is reported.
        if path.join(".SRCINFO").symlink_metadata().is_ok() {
            folders.push(path);
        }
    }
    if folders.is_empty() {
        return Err(Error::with_hint(
            format!("`{}` has no <pkgbase>/.SRCINFO", folder.display()),
            SRCINFO_HINT,
        ));
    }
    // If two have the same pkgbase, the first by name is used, on every disk.
    folders.sort();
    let mut tree = Tree::default();
    let notes = Output::new(false);
    for folder in folders {
        if let Err(reason) = tree.read(&folder) {
            let path = folder.join(".SRCINFO");
            notes.note(format_args!(
                "warning: ignoring `{}`: {reason}",
                path.display()
            ));
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if let Ok(pkgbase) = name.parse() {
                tree.left_out.push(Problem {
                    pkgbase,
                    kind: ProblemKind::LeftOut,
                    message: format!("its .SRCINFO is ignored: {reason}"),
                });
            }
        }
    }
    Ok(tree)
}

impl Tree {
    fn read(&mut self, folder: &Path) -> std::result::Result<(), String> {
        let path = folder.join(".SRCINFO");
        // Reading a pipe or a device may never end.
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err("not a regular file".into()),
            Err(error) => return Err(error.to_string()),
        }
        #[expect(clippy::disallowed_methods, reason = "the caller prints the path")]
        let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        let package = parse_srcinfo(&String::from_utf8_lossy(&bytes));
        let package = package.map_err(|error| error.to_string())?;
        if self.index.get(package.pkgbase()).is_some() {
            let pkgbase = package.pkgbase();
            return Err(format!("another .SRCINFO has the pkgbase `{pkgbase}`"));
        }
        self.index.insert(Arc::new(package));
        Ok(())
    }
}
