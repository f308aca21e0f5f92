//! `buildbtw plan`: what a rebuild would be. On the server's sources, or offline on a folder of
//! `.SRCINFO` files.

use std::path::Path;
use std::sync::Arc;

use buildbtw_model::api::{PlanFormat, PlanPreview};
use buildbtw_model::{Changeset, Pkgbase};
use buildbtw_planner::{PackageIndex, Patterns, PlanRequest, parse_srcinfo, render};

use super::sandbox::machine_architecture;
use crate::cli::{Global, Plan, PlanForm};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::Output;

pub(super) async fn run(global: &Global, args: Plan) -> Result<u8> {
    let format = match (args.format, global.json) {
        (Some(PlanForm::Json), _) | (None, true) => PlanFormat::Json,
        (Some(PlanForm::Dot), _) => PlanFormat::Dot,
        (Some(PlanForm::Text), _) | (None, false) => PlanFormat::Text,
    };
    let text = match &args.srcinfo {
        Some(folder) => {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || offline(&folder, &args, format))
                .await
                .map_err(|error| Error::new(error.to_string()))??
        }
        None => online(&Context::new(global)?, args, format).await?,
    };
    Output::new(false).line(text.trim_end())?;
    Ok(0)
}

async fn online(context: &Context, args: Plan, format: PlanFormat) -> Result<String> {
    let mut changesets = Vec::with_capacity(args.origins.len());
    for origin in &args.origins {
        changesets.push(
            origin
                .parse::<Changeset>()
                .map_err(|error| Error::new(error.to_string()))?,
        );
    }
    let preview = PlanPreview {
        changesets,
        scope: args.spread.scope,
        architecture: args.arch,
        include: args.spread.include,
        exclude: args.spread.exclude,
        format,
    };
    context.ask(context.client.preview_plan(&preview).await)
}

fn offline(folder: &Path, args: &Plan, format: PlanFormat) -> Result<String> {
    let index = read_index(folder)?;
    let mut origins = Vec::with_capacity(args.origins.len());
    for origin in &args.origins {
        let pkgbase: Pkgbase = origin.parse().map_err(|_| {
            let message = format!("'{origin}' is not a pkgbase");
            Error::with_hint(
                message,
                "with --srcinfo there are no refs: name pkgbases only",
            )
        })?;
        let package = index.get(&pkgbase).ok_or_else(|| {
            Error::new(format!(
                "{} has no package with the pkgbase '{pkgbase}'",
                folder.display()
            ))
        })?;
        origins.push(Arc::clone(package));
    }
    let patterns = |patterns: &[String]| {
        Patterns::new(patterns).map_err(|error| Error::new(error.to_string()))
    };
    let architecture = match &args.arch {
        Some(architecture) => architecture.clone(),
        None => machine_architecture()?,
    };
    let mut request = PlanRequest::new(architecture, origins, args.spread.scope);
    request.include = patterns(&args.spread.include)?;
    request.exclude = patterns(&args.spread.exclude)?;
    let plan = buildbtw_planner::plan(&index, &request);
    Ok(match format {
        PlanFormat::Text => render::text(&plan),
        PlanFormat::Dot => render::dot(&plan),
        PlanFormat::Json => {
            serde_json::to_string(&plan).map_err(|error| Error::new(error.to_string()))?
        }
    })
}

/// Reads every `<folder>/.SRCINFO`. One that cannot be read is reported and left out.
fn read_index(folder: &Path) -> Result<PackageIndex> {
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path().join(".SRCINFO");
        if path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Error::with_hint(
            format!("{} holds no <pkgbase>/.SRCINFO", folder.display()),
            "expected is a folder of folders with a .SRCINFO each",
        ));
    }
    // Where two claim one pkgbase the first by name wins, whatever order the disk has.
    paths.sort();
    let mut index = PackageIndex::new();
    let notes = Output::new(false);
    for path in paths {
        let text = String::from_utf8_lossy(&fs_err::read(&path)?).into_owned();
        match parse_srcinfo(&text) {
            Ok(package) if index.get(package.pkgbase()).is_some() => {
                let message = format!(
                    "{}: another one has the pkgbase '{}' already; left out",
                    path.display(),
                    package.pkgbase()
                );
                notes.note(message);
            }
            Ok(package) => {
                index.insert(Arc::new(package));
            }
            Err(error) => notes.note(format_args!("{}: {error}; left out", path.display())),
        }
    }
    Ok(index)
}
